/** Tiers, profiles, network sets, services and nodes. */
import test from 'ava';
import { printAddress, printCidr } from '../../../../../compiler/model/ip.ts';
import { ANY_MATCH } from '../../../../../compiler/model/parse/rule-parts.ts';
import { parseResource } from '../../../../../compiler/model/parse/resource.ts';
import { briefIssues, calico, parsePlain, plain } from '../../../../support/manifest.ts';

const tier = (name: string, spec: unknown): object => calico('Tier', spec, { name });

const TIERS = [
  {
    name: 'plain',
    in: tier('a', { order: 5, defaultAction: 'Pass' }),
    out: { order: 5, defaultAction: 'pass' },
    issues: [],
  },
  {
    name: 'defaults',
    in: tier('a', undefined),
    out: { order: 1_000_000, defaultAction: 'deny' },
    issues: [],
  },
  {
    name: 'null order',
    in: tier('a', { order: null }),
    out: { order: 1_000_000, defaultAction: 'deny' },
    issues: [],
  },
  {
    name: 'unknown action denies',
    in: tier('a', { defaultAction: 'pass' }),
    out: { order: 1_000_000, defaultAction: 'deny' },
    issues: ['error not-in-list spec.defaultAction'],
  },
  {
    name: 'action of a wrong type denies',
    in: tier('a', { defaultAction: 1 }),
    out: { order: 1_000_000, defaultAction: 'deny' },
    issues: ['error not-a-string spec.defaultAction'],
  },
  {
    name: 'bad order',
    in: tier('a', { order: 'x' }),
    out: undefined,
    issues: ['error not-a-number spec.order'],
  },
  {
    name: 'name with a dot',
    in: tier('a.b', {}),
    out: { order: 1_000_000, defaultAction: 'deny' },
    issues: ['warning name-style metadata.name'],
  },
  {
    name: 'misspelt order',
    in: tier('a', { oder: 1 }),
    out: undefined,
    issues: ['error unknown-field spec.oder'],
  },
  {
    name: 'default as it is',
    in: tier('default', {}),
    out: { order: 1_000_000, defaultAction: 'deny' },
    issues: [],
  },
  {
    name: 'kube-admin as it is',
    in: tier('kube-admin', { order: 1000, defaultAction: 'Pass' }),
    out: { order: 1000, defaultAction: 'pass' },
    issues: [],
  },
] as const;

for (const row of TIERS) {
  test(`tier: ${row.name}`, (t) => {
    const { name } = (row.in as { metadata: { name: string } }).metadata;
    t.deepEqual(briefIssues(row.in), [...row.issues]);
    t.deepEqual(
      parsePlain(row.in),
      row.out === undefined ? undefined : { kind: 'Tier', name, ...row.out },
    );
  });
}

const BUILT_IN = [
  {
    in: tier('kube-admin', { order: 1000, defaultAction: 'Deny' }),
    out: "The 'kube-admin' tier must have default action 'Pass'",
  },
  {
    in: tier('kube-baseline', { order: 10_000_000 }),
    out: "The 'kube-baseline' tier must have default action 'Pass'",
  },
  {
    in: tier('default', { defaultAction: 'Pass' }),
    out: "The 'default' tier must have default action 'Deny'",
  },
  { in: tier('default', { order: 1 }), out: 'default tier order must be 1000000' },
  {
    in: tier('kube-admin', { order: 1, defaultAction: 'Pass' }),
    out: 'kube-admin tier order must be 1000',
  },
  {
    in: tier('kube-baseline', { defaultAction: 'Pass' }),
    out: 'kube-baseline tier order must be 10000000',
  },
];

for (const row of BUILT_IN) {
  test(`built-in tier: ${row.out}`, (t) => {
    const { value, issues } = parseResource(row.in, {});
    t.is(value, undefined);
    t.deepEqual(
      issues.map(({ message }) => message.split(';')[0]),
      [row.out],
    );
  });
}

const ALLOW = { action: 'allow', index: 0, name: undefined, match: plain(ANY_MATCH) };

test('a namespace is a profile', (t) => {
  const metadata = { name: 'shop', labels: { env: 'prod', 'projectcalico.org/name': 'forged' } };
  t.deepEqual(
    parsePlain({ apiVersion: 'v1', kind: 'Namespace', metadata, spec: { finalizers: [] } }),
    {
      kind: 'Profile',
      name: 'kns.shop',
      ingress: [ALLOW],
      egress: [ALLOW],
      labelsToApply: { 'pcns.env': 'prod', 'pcns.projectcalico.org/name': 'shop' },
    },
  );
});

test('a service account is a profile without rules', (t) => {
  const metadata = { name: 'api', namespace: 'shop', labels: { role: 'x' } };
  t.deepEqual(parsePlain({ apiVersion: 'v1', kind: 'ServiceAccount', metadata, secrets: [] }), {
    kind: 'Profile',
    name: 'ksa.shop.api',
    ingress: [],
    egress: [],
    labelsToApply: { 'pcsa.role': 'x', 'pcsa.projectcalico.org/name': 'api' },
  });
});

test('a stored profile', (t) => {
  const spec = {
    ingress: [{ action: 'Allow' }],
    egress: [{ action: 'Deny', ipVersion: 5 }],
    labelsToApply: { a: 'b' },
  };
  t.deepEqual(parsePlain(calico('Profile', spec)), {
    kind: 'Profile',
    name: 'p',
    ingress: [ALLOW],
    egress: [{ action: 'deny', index: 0, name: undefined, match: 'everything' }],
    labelsToApply: { a: 'b' },
  });
});

test('the built-in profile cannot be replaced', (t) => {
  const object = calico('Profile', { ingress: [] }, { name: 'projectcalico-default-allow' });
  t.is(parsePlain(object), undefined);
  t.deepEqual(briefIssues(object), ['error profile-built-in metadata.name']);
});

test('a network set belongs to its namespace', (t) => {
  const labels = { a: 'b', 'pcns.x': 'y', 'projectcalico.org/namespace': 'forged' };
  const object = calico(
    'NetworkSet',
    { nets: ['10.0.0.0/8', '10.1.2.3/8', '1.2.3.4', 'x', 'fd00::/8', 3] },
    { labels },
  );
  const { value } = parseResource(object, {});
  if (value?.kind !== 'NetworkSet') return t.fail();
  t.deepEqual({ ...value.labels }, { a: 'b', 'pcns.x': 'y', 'projectcalico.org/namespace': 'ns' });
  t.deepEqual(value.profiles, ['kns.ns']);
  t.deepEqual(value.nets.map(printCidr), ['10.0.0.0/8', '1.2.3.4/32', 'fd00::/8']);
  return t.deepEqual(briefIssues(object), [
    'warning label-reserved metadata.labels["projectcalico.org/namespace"]',
    'error net-invalid spec.nets[3]',
    'error net-invalid spec.nets[5]',
  ]);
});

test('a global network set belongs to no namespace', (t) => {
  const labels = { a: 'b', 'projectcalico.org/namespace': 'forged' };
  t.deepEqual(parsePlain(calico('GlobalNetworkSet', { nets: ['0.0.0.0/0'] }, { labels })), {
    kind: 'NetworkSet',
    namespace: undefined,
    name: 'p',
    labels: { a: 'b' },
    profiles: [],
    nets: [{ family: 4, value: 0n, prefixLen: 0 }],
  });
});

test('a network set whose nets are no list has no value', (t) => {
  t.is(parsePlain(calico('NetworkSet', { nets: '10.0.0.0/8' })), undefined);
});

const slice = (
  fields: object,
  labels: object = { 'kubernetes.io/service-name': 'web' },
): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'web-abc', namespace: 'shop', labels },
  addressType: 'IPv4',
  ...fields,
});

test('an endpoint slice', (t) => {
  const object = slice({
    endpoints: [
      { addresses: ['10.0.0.1'], conditions: { ready: false } },
      { addresses: ['10.0.0.1', 'x'] },
    ],
    ports: [
      { port: 80 },
      { port: 53, protocol: 'UDP' },
      { port: null },
      { name: 'x' },
      { port: 1, protocol: 'GRE' },
    ],
  });
  t.deepEqual(parsePlain(object), {
    kind: 'ServiceEndpoints',
    namespace: 'shop',
    name: 'web-abc',
    service: 'web',
    addresses: [{ family: 4, value: 0x0a000001n }],
    ports: [
      { protocol: 6, port: 80 },
      { protocol: 17, port: 53 },
      { protocol: 6, port: 1 },
    ],
  });
  t.deepEqual(briefIssues(object), [
    'error address-invalid endpoints[1].addresses[1]',
    'error not-in-list ports[4].protocol',
  ]);
});

test('slices of no service or of host names have no value and no findings', (t) => {
  for (const object of [
    slice({}, {}),
    slice({ addressType: 'FQDN', endpoints: [{ addresses: ['a.b'] }] }),
  ]) {
    t.deepEqual(plain(parseResource(object, {})), { value: undefined, issues: [] });
  }
});

test('a service', (t) => {
  const metadata = { name: 'web', namespace: 'shop' };
  t.deepEqual(parsePlain({ apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [] } }), {
    kind: 'Service',
    namespace: 'shop',
    name: 'web',
  });
});

test('a node has every address that is known of it', (t) => {
  const object = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: 'n1',
      labels: { zone: 'a' },
      annotations: {
        'projectcalico.org/IPv4Address': '192.0.2.1/24',
        'projectcalico.org/IPv4VXLANTunnelAddr': '10.244.0.1',
        'projectcalico.org/IPv6Address': 'x',
        'projectcalico.org/labels': '{"rack": "7"}',
      },
    },
    status: {
      addresses: [
        { type: 'InternalIP', address: '192.0.2.1' },
        { type: 'ExternalIP', address: '198.51.100.1' },
        { type: 'Hostname', address: 'n1' },
      ],
    },
  };
  const { value } = parseResource(object, {});
  if (value?.kind !== 'Node') return t.fail();
  t.deepEqual(value.addresses.map(printAddress), ['192.0.2.1', '198.51.100.1', '10.244.0.1']);
  t.deepEqual({ ...value.labels }, { zone: 'a', rack: '7' });
  return t.deepEqual(briefIssues(object), [
    'error address-invalid metadata.annotations["projectcalico.org/IPv6Address"]',
  ]);
});
