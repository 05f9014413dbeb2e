/** fast-check generators of valid Kubernetes policies over a fixed cluster, and the cluster's manifests. Small pools, so that things meet. */
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { Packet } from '../../compiler/model/packet.ts';
import type {
  Cluster,
  Cnp,
  CnpRule,
  JudgedPod,
  Knp,
  KnpRule,
  LabelSelector,
  PodsPeer,
  TransportName,
} from './kubernetes-judge.ts';
import { NODE, packet } from './world.ts';

const NAMESPACES = { a: { env: 'x', team: 'one' }, b: { env: 'y' }, c: {} } as const;

const PODS: readonly JudgedPod[] = [
  pod('a/p', 1, { app: 'web', env: 'x' }, [['http', 80, 'TCP']]),
  pod('a/q', 2, { app: 'db' }, [
    ['http', 8080, 'TCP'],
    ['dns', 53, 'UDP'],
  ]),
  pod('b/p', 3, { app: 'web' }, [
    ['http', 80, 'UDP'],
    ['http', 81, 'TCP'],
  ]),
  pod('b/q', 4, {}, []),
  pod('c/p', 5, { env: '' }, [['dns', 53, 'SCTP']]),
];

const NETS = {
  4: ['0.0.0.0/0', '10.0.0.0/24', '10.0.0.0/30', '10.0.0.3/32', '203.0.113.0/24', '10.0.0.2/31'],
  6: ['::/0', 'fd00::/64', 'fd00::2/127', 'fd00::3/128', '2001:db8::/32'],
} as const;
const PORTS = [1, 2, 3, 53, 80, 81, 8080, 65_535] as const;

function pod(
  id: string,
  host: number,
  labels: Readonly<Record<string, string>>,
  ports: readonly (readonly [string, number, TransportName])[],
): JudgedPod {
  const [namespace = '', name = ''] = id.split('/');
  return {
    namespace,
    name,
    labels,
    ips: [`10.0.0.${host}`, `fd00::${host}`],
    ports: ports.map(([portName, containerPort, protocol]) => ({
      name: portName,
      containerPort,
      protocol,
    })),
  };
}

const key = fc.constantFrom('app', 'env', 'team');
const value = fc.constantFrom('web', 'db', 'x', 'y', '');

const selector: Arbitrary<LabelSelector> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({}) },
  {
    weight: 3,
    arbitrary: fc.record({
      matchLabels: fc.dictionary(key, value, { maxKeys: 1, noNullPrototype: true }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      matchExpressions: fc.array(
        fc.oneof(
          fc.record({
            key,
            operator: fc.constantFrom('In' as const, 'NotIn' as const),
            values: fc.array(value, { minLength: 1, maxLength: 2 }),
          }),
          fc.record({ key, operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const) }),
        ),
        { maxLength: 2 },
      ),
    }),
  },
);

const podsPeer: Arbitrary<PodsPeer> = fc.record({
  namespaceSelector: selector,
  podSelector: selector,
});
const net = fc.constantFrom(...NETS[4], ...NETS[6]);

const ipBlock = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc.record(
    {
      cidr: fc.constantFrom(...NETS[family]),
      except: fc.array(fc.constantFrom(...NETS[family].slice(1)), { maxLength: 2 }),
    },
    { requiredKeys: ['cidr'] },
  ),
);

const range = fc
  .tuple(fc.constantFrom(...PORTS), fc.constantFrom(...PORTS))
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));

const knpPort = fc
  .record({
    protocol: fc.constantFrom(undefined, 'TCP' as const, 'UDP' as const, 'SCTP' as const),
    port: fc.oneof(
      fc.constant({}),
      fc.constantFrom<number | string>(...PORTS, 'http', 'dns').map((port) => ({ port })),
      range.map(({ start, end }) => ({ port: start, endPort: end })),
    ),
  })
  .map(({ protocol, port }) => ({ ...(protocol === undefined ? {} : { protocol }), ...port }));

const knpRule: Arbitrary<KnpRule> = fc.record(
  {
    peers: fc.array(
      fc.oneof(
        ipBlock.map((block) => ({ ipBlock: block })),
        fc.record({ podSelector: selector, namespaceSelector: selector }, { requiredKeys: [] }),
      ),
      { maxLength: 3 },
    ),
    ports: fc.array(knpPort, { maxLength: 4 }),
  },
  { requiredKeys: [] },
);

const knps: Arbitrary<readonly Knp[]> = fc
  .array(
    fc.record(
      {
        namespace: fc.constantFrom('a', 'a', 'b', 'c'),
        podSelector: selector,
        policyTypes: fc.subarray(['Ingress' as const, 'Egress' as const]),
        ingress: fc.array(knpRule, { maxLength: 2 }),
        egress: fc.array(knpRule, { maxLength: 2 }),
      },
      { requiredKeys: ['namespace', 'podSelector'] },
    ),
    { maxLength: 3 },
  )
  .map((all) => all.map((policy, index) => ({ ...policy, name: `n${index}` })));

const portBox = fc.oneof(
  fc.constant({}),
  fc.constantFrom(...PORTS).map((number) => ({ destinationPort: { number } })),
  range.map((ports) => ({ destinationPort: { range: ports } })),
);

function cnpRule(direction: 'ingress' | 'egress'): Arbitrary<CnpRule> {
  const pods = fc.oneof(
    selector.map((namespaces) => ({ namespaces })),
    podsPeer.map((peer) => ({ pods: peer })),
  );
  const networks = fc
    .array(net, { minLength: 1, maxLength: 2 })
    .map((nets) => ({ networks: nets }));
  const peer = direction === 'ingress' ? pods : fc.oneof(pods, networks);
  return fc.record(
    {
      action: fc.constantFrom('Accept' as const, 'Deny' as const, 'Pass' as const),
      peers: fc.array(peer, { minLength: 1, maxLength: 2 }),
      protocols: fc.array(
        fc.oneof(
          portBox.map((tcp) => ({ tcp })),
          portBox.map((udp) => ({ udp })),
          portBox.map((sctp) => ({ sctp })),
          fc.constantFrom('http', 'dns').map((name) => ({ destinationNamedPort: name })),
        ),
        { maxLength: 3 },
      ),
    },
    { requiredKeys: ['action', 'peers'] },
  );
}

const cnps: Arbitrary<readonly Cnp[]> = fc
  .array(
    fc.record(
      {
        tier: fc.constantFrom('Admin' as const, 'Baseline' as const),
        priority: fc.nat(3),
        subject: fc.oneof(
          selector.map((namespaces) => ({ namespaces })),
          podsPeer.map((pods) => ({ pods })),
        ),
        ingress: fc.array(cnpRule('ingress'), { maxLength: 2 }),
        egress: fc.array(cnpRule('egress'), { maxLength: 2 }),
      },
      { requiredKeys: ['tier', 'priority', 'subject'] },
    ),
    { maxLength: 3 },
  )
  .map((all) => all.map((policy, index) => ({ ...policy, name: `c${index}` })));

export const arbitraryCluster: Arbitrary<Cluster> = fc
  .record({ knps, cnps })
  .map((policies) => ({ namespaces: NAMESPACES, pods: PODS, ...policies }));

export const arbitraryClusterPacket: Arbitrary<Packet> = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    from: fc.nat(6),
    to: fc.nat(6),
    protocol: fc.constantFrom(6, 6, 6, 17, 17, 132, 47),
    dport: fc.constantFrom(...PORTS),
  })
  .map(({ family, from, to, protocol, dport }) => {
    const ends = [from, to].map((host) => addressOf(family, host));
    const portless = protocol === 47 ? { sport: undefined, dport: undefined } : {};
    return packet(ends[0] ?? '', ends[1] ?? '', dport, { protocol, ...portless });
  });

/** 1 to 5 are pods; 0 is outside, 6 is an address of the pods' network that nobody has. */
function addressOf(family: 4 | 6, host: number): string {
  if (host === 0) return family === 4 ? '203.0.113.9' : '2001:db8::9';
  return family === 4 ? `10.0.0.${host}` : `fd00::${host}`;
}

/** As manifests. */
export function clusterObjects({
  namespaces,
  pods,
  knps: named,
  cnps: clusterWide,
}: Cluster): object[] {
  return [
    ...Object.entries(namespaces).map(([name, labels]) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels },
    })),
    ...pods.map(({ namespace, name, labels, ips, ports }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels },
      spec: { nodeName: NODE, containers: [{ name: 'c', ports }] },
      status: { phase: 'Running', podIPs: ips.map((ip) => ({ ip })) },
    })),
    ...named.map(({ namespace, name, ...spec }) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name, namespace },
      spec: withPeerFields(spec),
    })),
    ...clusterWide.map(({ name, ...spec }) => ({
      apiVersion: 'policy.networking.k8s.io/v1alpha2',
      kind: 'ClusterNetworkPolicy',
      metadata: { name },
      spec: withPeerFields(spec),
    })),
  ];
}

interface Peered {
  readonly peers?: unknown;
}

interface Ruled {
  readonly ingress?: readonly Peered[];
  readonly egress?: readonly Peered[];
}

/** `peers` as the two directions call it. */
function withPeerFields({ ingress, egress, ...rest }: Ruled): object {
  return {
    ...rest,
    ...(ingress === undefined ? {} : { ingress: ingress.map((rule) => rename(rule, 'from')) }),
    ...(egress === undefined ? {} : { egress: egress.map((rule) => rename(rule, 'to')) }),
  };
}

function rename({ peers, ...others }: Peered, field: 'from' | 'to'): object {
  return peers === undefined ? others : { ...others, [field]: peers };
}
