/** Pods, WorkloadEndpoints and HostEndpoints. */
import test from 'ava';
import type { HostEndpoint, WorkloadEndpoint } from '../../../../../compiler/model/cluster.ts';
import { printAddress, printCidr } from '../../../../../compiler/model/ip.ts';
import { parseResource } from '../../../../../compiler/model/parse/resource.ts';
import { briefIssues, calico, parsePlain } from '../../../../support/manifest.ts';

type Endpoint = WorkloadEndpoint | HostEndpoint;

const pod = (spec: object, status: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', ...metadata },
  spec: { nodeName: 'n1', ...spec },
  status,
});

function parseEndpoint(object: object): WorkloadEndpoint {
  const { value } = parseResource(object, { workloadSourceSpoofing: 'Any' });
  if (value?.kind !== 'WorkloadEndpoint') throw new Error('no endpoint');
  return value;
}

test('a running pod', (t) => {
  const object = pod(
    {
      serviceAccountName: 'api',
      containers: [
        {
          ports: [
            { name: 'http', containerPort: 8080 },
            { containerPort: 9 },
            { name: 'none', containerPort: 0 },
          ],
        },
        {},
      ],
      initContainers: [{ ports: [{ name: 'dns', containerPort: 53, protocol: 'UDP' }] }],
    },
    { phase: 'Running', podIP: '10.0.0.9', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
    { labels: { app: 'web' }, creationTimestamp: '2026-01-02T03:04:05Z' },
  );
  t.deepEqual(parsePlain(object), {
    kind: 'WorkloadEndpoint',
    id: 'shop/web',
    node: 'n1',
    namespace: 'shop',
    name: 'web',
    labels: {
      app: 'web',
      'projectcalico.org/namespace': 'shop',
      'projectcalico.org/orchestrator': 'k8s',
      'projectcalico.org/serviceaccount': 'api',
    },
    profiles: ['kns.shop', 'ksa.shop.api'],
    addresses: [
      { family: 4, value: 0x0a000001n },
      { family: 6, value: 0xfd00_0000_0000_0000_0000_0000_0000_0001n },
    ],
    interfaceName: undefined,
    ports: [
      { name: 'http', protocol: 6, port: 8080 },
      { name: 'dns', protocol: 17, port: 53 },
    ],
    allowedSourcePrefixes: [],
    active: true,
    createdMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    isPod: true,
  });
  t.deepEqual(briefIssues(object), []);
});

const ANNOTATIONS = 'cni.projectcalico.org';

const ADDRESSES = [
  { name: 'podIP', in: pod({}, { podIPs: [], podIP: '10.0.0.2' }), out: ['10.0.0.2'] },
  {
    name: 'annotation with both',
    in: pod(
      {},
      {},
      {
        annotations: {
          [`${ANNOTATIONS}/podIPs`]: '10.0.0.3/32, fd00::3/128',
          [`${ANNOTATIONS}/podIP`]: '10.0.0.4',
        },
      },
    ),
    out: ['10.0.0.3', 'fd00::3'],
  },
  {
    name: 'annotation with one',
    in: pod({}, {}, { annotations: { [`${ANNOTATIONS}/podIP`]: '10.0.0.4/32' } }),
    out: ['10.0.0.4'],
  },
  {
    name: 'annotation of AWS',
    in: pod({}, {}, { annotations: { 'vpc.amazonaws.com/pod-ips': '10.0.0.5' } }),
    out: ['10.0.0.5'],
  },
  {
    name: 'each once',
    in: pod({}, { podIPs: [{ ip: '10.0.0.1' }, { ip: '10.0.0.1' }] }),
    out: ['10.0.0.1'],
  },
  { name: 'none yet', in: pod({}), out: [] },
];

for (const row of ADDRESSES) {
  test(`addresses of a pod: ${row.name}`, (t) => {
    t.deepEqual(parseEndpoint(row.in).addresses.map(printAddress), row.out);
    t.true(parseEndpoint(row.in).active);
    t.deepEqual(briefIssues(row.in), []);
  });
}

const IP = { podIPs: [{ ip: '10.0.0.1' }] };
const torn = {
  deletionTimestamp: '2026-01-01T00:00:00Z',
  annotations: { [`${ANNOTATIONS}/podIP`]: '' },
};

const INACTIVE = [
  { name: 'host network', in: pod({ hostNetwork: true }, IP) },
  { name: 'not scheduled', in: pod({ nodeName: '' }, IP) },
  { name: 'succeeded', in: pod({}, { ...IP, phase: 'Succeeded' }) },
  { name: 'failed', in: pod({}, { ...IP, phase: 'Failed' }) },
  { name: 'completed', in: pod({}, { ...IP, phase: 'Completed' }) },
  { name: 'network torn down', in: pod({}, IP, torn) },
];

for (const row of INACTIVE) {
  test(`a pod that owns no address: ${row.name}`, (t) => {
    const { active, addresses } = parseEndpoint(row.in);
    t.false(active);
    t.deepEqual(addresses, []);
  });
}

test('a pod that only terminates keeps its address', (t) => {
  const { active, addresses } = parseEndpoint(
    pod({}, IP, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
  );
  t.true(active);
  t.is(addresses.length, 1);
});

test('a pod cannot forge inherited and reserved labels', (t) => {
  const labels = {
    'pcns.env': 'prod',
    'pcsa.role': 'admin',
    'projectcalico.org/namespace': 'kube-system',
    'projectcalico.org/serviceaccount': 'root',
  };
  const object = pod({}, IP, { labels });
  t.deepEqual(
    { ...parseEndpoint(object).labels },
    {
      'projectcalico.org/namespace': 'shop',
      'projectcalico.org/orchestrator': 'k8s',
    },
  );
  t.deepEqual(briefIssues(object), [
    'warning label-reserved metadata.labels["pcns.env"]',
    'warning label-reserved metadata.labels["pcsa.role"]',
  ]);
});

test('labels inherit nothing', (t) => {
  const labels = JSON.parse('{"__proto__": "x", "constructor": "y"}') as object;
  const parsed = parseEndpoint(pod({}, IP, { labels })).labels;
  t.is(Object.getPrototypeOf(parsed), null);
  t.is(parsed['__proto__'], 'x');
  t.is(parsed['constructor'], 'y');
  t.is(parsed['toString'], undefined);
});

const prefixes = (text: string): object =>
  pod({}, IP, { annotations: { [`${ANNOTATIONS}/allowedSourcePrefixes`]: text } });
const PREFIX_PATH = `metadata.annotations["${ANNOTATIONS}/allowedSourcePrefixes"]`;

test('source prefixes are given where the configuration allows them', (t) => {
  const object = prefixes('["10.1.0.0/16"]');
  t.deepEqual(parseEndpoint(object).allowedSourcePrefixes.map(printCidr), ['10.1.0.0/16']);
  for (const context of [{}, { workloadSourceSpoofing: 'Disabled' } as const]) {
    const { value, issues } = parseResource(object, context);
    t.deepEqual(value?.kind === 'WorkloadEndpoint' ? value.allowedSourcePrefixes : undefined, []);
    t.deepEqual(
      issues.map(({ code }) => code),
      ['source-prefixes-off'],
    );
  }
});

const BAD_PREFIXES = [
  { name: 'no JSON', in: '10.0.0.0/8', out: `error not-a-list ${PREFIX_PATH}` },
  { name: 'no list', in: '{}', out: `error not-a-list ${PREFIX_PATH}` },
  { name: 'no prefix', in: '["10.0.0.0/8", "x"]', out: `error net-invalid ${PREFIX_PATH}[1]` },
];

for (const row of BAD_PREFIXES) {
  test(`source prefixes that cannot be read give none: ${row.name}`, (t) => {
    t.deepEqual(parseEndpoint(prefixes(row.in)).allowedSourcePrefixes, []);
    t.deepEqual(briefIssues(prefixes(row.in), { workloadSourceSpoofing: 'Any' }), [row.out]);
  });
}

test('a bad port or address of a pod costs only itself', (t) => {
  const containers = [
    {
      ports: [
        { name: 'a b', containerPort: 1 },
        { name: 'x', containerPort: 70_000 },
        { name: 'y', containerPort: 1, protocol: 'GRE' },
        { name: 'z', containerPort: 2 },
      ],
    },
  ];
  const object = pod({ containers }, { podIPs: [{ ip: 'x' }, { ip: '10.0.0.1' }] });
  const { ports, addresses } = parseEndpoint(object);
  t.deepEqual(ports, [{ name: 'z', protocol: 6, port: 2 }]);
  t.deepEqual(addresses.map(printAddress), ['10.0.0.1']);
  t.is(briefIssues(object).length, 4);
});

const VM = {
  orchestrator: 'libvirt',
  node: 'hv1',
  interfaceName: 'tap7',
  ipNetworks: ['10.0.0.7/32', 'fd00::7'],
  profiles: ['vms'],
  serviceAccountName: 'vm',
  ports: [{ name: 'ssh', protocol: 'TCP', port: 22 }],
  allowSpoofedSourcePrefixes: ['10.9.0.0/16'],
};

test('a stored workload endpoint', (t) => {
  const object = calico('WorkloadEndpoint', VM, { labels: { a: 'b', 'pcns.x': 'y' } });
  t.deepEqual(parsePlain(object, { workloadSourceSpoofing: 'Any' }), {
    kind: 'WorkloadEndpoint',
    id: 'ns/p',
    node: 'hv1',
    namespace: 'ns',
    name: 'p',
    labels: {
      a: 'b',
      'projectcalico.org/namespace': 'ns',
      'projectcalico.org/orchestrator': 'libvirt',
      'projectcalico.org/serviceaccount': 'vm',
    },
    profiles: ['vms'],
    addresses: [
      { family: 4, value: 0x0a000007n },
      { family: 6, value: 0xfd00_0000_0000_0000_0000_0000_0000_0007n },
    ],
    interfaceName: 'tap7',
    ports: [{ name: 'ssh', protocol: 6, port: 22 }],
    allowedSourcePrefixes: [{ family: 4, value: 0x0a090000n, prefixLen: 16 }],
    active: true,
    createdMs: 0,
    isPod: false,
  });
});

const WORKLOADS = [
  { name: 'no node', in: { ...VM, node: undefined }, value: false, out: 'error missing spec.node' },
  {
    name: 'interface name',
    in: { ...VM, interfaceName: 'a/b' },
    value: false,
    out: 'error interface-invalid spec.interfaceName',
  },
  {
    name: 'wildcard interface',
    in: { ...VM, interfaceName: '*' },
    value: false,
    out: 'error interface-invalid spec.interfaceName',
  },
  {
    name: 'no interface',
    in: { ...VM, interfaceName: '' },
    value: true,
    out: 'warning interface-missing spec.interfaceName',
  },
  {
    name: 'no interface, no address',
    in: { node: 'a' },
    value: false,
    out: 'error interface-missing spec.interfaceName',
  },
  {
    name: 'a whole network',
    in: { ...VM, ipNetworks: ['10.0.0.0/8'] },
    value: true,
    out: 'error net-invalid spec.ipNetworks[0]',
  },
  {
    name: 'profile name',
    in: { ...VM, profiles: [3] },
    value: false,
    out: 'error not-a-string spec.profiles[0]',
  },
  {
    name: 'misspelt field',
    in: { ...VM, interfacename: 'x' },
    value: true,
    out: 'warning unknown-field spec.interfacename',
  },
];

for (const row of WORKLOADS) {
  test(`a stored workload endpoint with ${row.name}`, (t) => {
    const object = calico('WorkloadEndpoint', row.in);
    t.deepEqual(briefIssues(object, { workloadSourceSpoofing: 'Any' }), [row.out]);
    t.is(parsePlain(object) !== undefined, row.value);
  });
}

test('a host endpoint', (t) => {
  const spec = {
    node: 'n1',
    interfaceName: '*',
    expectedIPs: ['192.0.2.1'],
    profiles: ['projectcalico-default-allow'],
    ports: [{ name: 'ssh', protocol: 'TCP', port: 22 }],
  };
  const object = calico('HostEndpoint', spec, { labels: { role: 'edge' } });
  t.deepEqual(parsePlain(object), {
    kind: 'HostEndpoint',
    name: 'p',
    node: 'n1',
    labels: { role: 'edge' },
    interfaceName: '*',
    expectedIPs: [{ family: 4, value: 0xc0000201n }],
    profiles: ['projectcalico-default-allow'],
    ports: [{ name: 'ssh', protocol: 6, port: 22 }],
  });
  t.deepEqual(briefIssues(object), []);
});

const HOSTS = [
  { name: 'addresses only', in: { node: 'a', expectedIPs: ['1.2.3.4'] }, value: true, out: [] },
  {
    name: 'nothing to find it by',
    in: { node: 'a' },
    value: false,
    out: ['error interface-missing spec.interfaceName'],
  },
  {
    name: 'no node',
    in: { interfaceName: 'eth0' },
    value: false,
    out: ['error missing spec.node'],
  },
  {
    name: 'empty node',
    in: { node: '', interfaceName: 'eth0' },
    value: false,
    out: ['error missing spec.node'],
  },
  {
    name: 'long interface',
    in: { node: 'a', interfaceName: 'a'.repeat(16) },
    value: false,
    out: ['error interface-invalid spec.interfaceName'],
  },
  {
    name: 'a prefix for an address',
    in: { node: 'a', interfaceName: 'eth0', expectedIPs: ['10.0.0.0/8', '1.1.1.1'] },
    value: true,
    out: ['error address-invalid spec.expectedIPs[0]'],
  },
  {
    name: 'port 0',
    in: { node: 'a', interfaceName: 'eth0', ports: [{ name: 'a', protocol: 'TCP', port: 0 }] },
    value: true,
    out: ['error out-of-range spec.ports[0].port'],
  },
  {
    name: 'port of ICMP',
    in: { node: 'a', interfaceName: 'eth0', ports: [{ name: 'a', protocol: 'ICMP', port: 1 }] },
    value: true,
    out: ['error ports-with-protocol spec.ports[0].protocol'],
  },
  {
    name: 'port without name',
    in: { node: 'a', interfaceName: 'eth0', ports: [{ protocol: 'TCP', port: 1 }] },
    value: true,
    out: ['error missing spec.ports[0].name'],
  },
];

for (const row of HOSTS) {
  test(`a host endpoint with ${row.name}`, (t) => {
    const object = calico('HostEndpoint', row.in);
    t.deepEqual(briefIssues(object), row.out);
    const { value } = parseResource(object, {}) as { readonly value: Endpoint | undefined };
    t.is(value !== undefined, row.value);
  });
}
