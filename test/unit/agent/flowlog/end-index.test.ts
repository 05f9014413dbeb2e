import test from 'ava';
import { EndIndex } from '../../../../agent/flowlog/end-index.ts';
import type { End } from '../../../../agent/flowlog/end-index.ts';
import type {
  HostEndpoint,
  NetworkSet,
  Node,
  Resource,
  ServiceEndpoints,
  WorkloadEndpoint,
} from '../../../../compiler/model/cluster.ts';
import { toAddress, toCidr } from '../../../../compiler/model/ip.ts';
import type { Address, Cidr } from '../../../../compiler/model/ip.ts';

const at = (text: string): Address => toAddress(text) ?? { family: 4, value: 0n };
const net = (text: string): Cidr => toCidr(text) ?? { family: 4, value: 0n, prefixLen: 0 };

function pod(name: string, ip: string, createdMs = 0): WorkloadEndpoint {
  return {
    kind: 'WorkloadEndpoint',
    id: `shop/${name}`,
    node: 'n1',
    namespace: 'shop',
    name,
    labels: { app: name, 'projectcalico.org/namespace': 'shop' },
    profiles: [],
    addresses: [at(ip)],
    interfaceName: undefined,
    ports: [],
    allowedSourcePrefixes: [],
    active: true,
    createdMs,
    isPod: true,
  };
}

function set(name: string, namespace: string | undefined, ...nets: string[]): NetworkSet {
  const base = { kind: 'NetworkSet', labels: {}, profiles: [] } as const;
  return { ...base, namespace, name, nets: nets.map(net) };
}

const NODE: Node = {
  kind: 'Node',
  name: 'n1',
  labels: { zone: 'a' },
  addresses: [at('192.0.2.1')],
};
const HOST: HostEndpoint = {
  kind: 'HostEndpoint',
  name: 'n1-eth0',
  node: 'n1',
  labels: {},
  interfaceName: 'eth0',
  expectedIPs: [at('192.0.2.1')],
  profiles: [],
  ports: [],
};
const SERVICE: ServiceEndpoints = {
  kind: 'ServiceEndpoints',
  namespace: 'shop',
  name: 'web-abc',
  service: 'web',
  addresses: [at('10.0.0.1')],
  ports: [{ protocol: 6, port: 80 }],
};

/** Times at which things happen are their position in the list, in seconds. */
function index(...resources: readonly Resource[]): EndIndex {
  const ends = new EndIndex();
  resources.forEach((resource, position) => {
    ends.take({ op: 'put', key: String(position), resource }, position * 1_000);
  });
  return ends;
}

const named = ({ kind, namespace, name }: End): string => [kind, namespace, name].join(' ');

const LATE = 1_000_000;

const ROWS: readonly { name: string; in: EndIndex; ip: string; near?: string; out: string }[] = [
  { name: 'a pod', in: index(pod('web', '10.0.0.1')), ip: '10.0.0.1', out: 'pod shop web' },
  {
    name: 'a VM',
    in: index({ ...pod('vm', '10.0.0.1'), isPod: false }),
    ip: '10.0.0.1',
    out: 'workload shop vm',
  },
  {
    name: 'a finished pod has no address',
    in: index({ ...pod('web', '10.0.0.1'), active: false }),
    ip: '10.0.0.1',
    out: 'external  ',
  },
  {
    name: 'the newest of two pods',
    in: index(pod('new', '10.0.0.1', 5), pod('old', '10.0.0.1', 3)),
    ip: '10.0.0.1',
    out: 'pod shop new',
  },
  {
    name: 'a pod before a node',
    in: index(pod('web', '192.0.2.1'), NODE),
    ip: '192.0.2.1',
    out: 'pod shop web',
  },
  {
    name: 'a host endpoint before its node',
    in: index(NODE, HOST),
    ip: '192.0.2.1',
    out: 'host-endpoint  n1-eth0',
  },
  { name: 'a node', in: index(NODE), ip: '192.0.2.1', out: 'node  n1' },
  { name: 'nobody', in: index(NODE), ip: '198.51.100.1', out: 'external  ' },
  {
    name: 'the longest prefix',
    in: index(set('all', undefined, '0.0.0.0/0'), set('ten', undefined, '10.0.0.0/8')),
    ip: '10.1.1.1',
    out: 'network-set  ten',
  },
  {
    name: 'a global set before another namespace’s',
    in: index(set('ours', 'shop', '10.0.0.0/8'), set('all', undefined, '0.0.0.0/0')),
    ip: '10.1.1.1',
    out: 'network-set  all',
  },
  {
    name: 'the own namespace’s set first',
    in: index(set('ours', 'shop', '10.0.0.0/8'), set('one', undefined, '10.1.1.1')),
    ip: '10.1.1.1',
    near: 'shop',
    out: 'network-set shop ours',
  },
  {
    name: 'IPv6',
    in: index(set('six', undefined, 'fd00::/8')),
    ip: 'fd00::1',
    out: 'network-set  six',
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.is(named(row.in.endOf(at(row.ip), LATE, row.near)), row.out);
  });
}

test('labels without those that say the namespace again', (t) => {
  t.deepEqual(index(pod('web', '10.0.0.1')).endOf(at('10.0.0.1'), LATE).labels, { app: 'web' });
});

test('an endpoint that is gone is remembered for late records, then forgotten', (t) => {
  const ends = index(pod('web', '10.0.0.1'));
  ends.take({ op: 'delete', key: '0' }, 5_000);
  t.is(named(ends.endOf(at('10.0.0.1'), 4_000)), 'pod shop web');
  t.is(named(ends.endOf(at('10.0.0.1'), 60_000)), 'pod shop web');
  t.is(named(ends.endOf(at('10.0.0.1'), LATE)), 'external  ');
});

test('each of two owners has the flows of its time', (t) => {
  const ends = index(pod('old', '10.0.0.1'));
  ends.take({ op: 'delete', key: '0' }, 5_000);
  ends.take({ op: 'put', key: 'n', resource: pod('new', '10.0.0.1', 9) }, 8_000);
  t.is(named(ends.endOf(at('10.0.0.1'), 4_000)), 'pod shop old');
  t.is(named(ends.endOf(at('10.0.0.1'), 9_000)), 'pod shop new');
});

test('an edit keeps the address, another address gives the first one up', (t) => {
  const ends = index(pod('web', '10.0.0.1'));
  ends.take(
    { op: 'put', key: '0', resource: { ...pod('web', '10.0.0.1'), labels: { v: '2' } } },
    5_000,
  );
  t.deepEqual(ends.endOf(at('10.0.0.1'), 4_000).labels, { v: '2' });
  ends.take({ op: 'put', key: '0', resource: pod('web', '10.0.0.2') }, 6_000);
  t.is(named(ends.endOf(at('10.0.0.1'), LATE)), 'external  ');
  t.is(named(ends.endOf(at('10.0.0.2'), LATE)), 'pod shop web');
});

test('a set that changes leaves its old prefixes', (t) => {
  const ends = index(set('s', undefined, '10.0.0.0/8'));
  ends.take({ op: 'put', key: '0', resource: set('s', undefined, '11.0.0.0/8') }, 0);
  t.is(named(ends.endOf(at('10.0.0.1'), LATE)), 'external  ');
  t.is(named(ends.endOf(at('11.0.0.1'), LATE)), 'network-set  s');
});

test('services by address, protocol and port', (t) => {
  const ends = index(SERVICE);
  t.deepEqual(ends.serviceOf(at('10.0.0.1'), 6, 80), { namespace: 'shop', name: 'web' });
  t.is(ends.serviceOf(at('10.0.0.1'), 17, 80), undefined);
  ends.take({ op: 'delete', key: '0' }, 0);
  t.is(ends.serviceOf(at('10.0.0.1'), 6, 80), undefined);
});
