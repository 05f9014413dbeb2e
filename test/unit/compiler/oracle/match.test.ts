/** Specification sections 2.8 and 4.1 to 4.4, as rows. */
import test from 'ava';
import type { Packet } from '../../../../compiler/model/packet.ts';
import type { RuleMatch } from '../../../../compiler/model/policy.ts';
import { failingCondition } from '../../../../compiler/oracle/match.ts';
import {
  address,
  cidr,
  entity,
  equals,
  hostEndpoint,
  named,
  namespace,
  networkSet,
  packet,
  port,
  portless,
  rule,
  TCP,
  UDP,
  workload,
  world,
} from '../../../support/world.ts';

const WORLD = world([
  namespace('shop'),
  workload('shop/web', ['10.0.0.1', 'fd00::1'], {
    labels: { app: 'web' },
    ports: [
      { name: 'http', protocol: 6, port: 8080 },
      { name: 'dns', protocol: 17, port: 53 },
    ],
  }),
  workload('shop/api', ['10.0.0.2'], {
    labels: { app: 'api' },
    ports: [{ name: 'http', protocol: 6, port: 9090 }],
  }),
  hostEndpoint('host', ['192.168.0.1'], {}, [{ name: 'http', protocol: 6, port: 80 }]),
  networkSet('shop', 'net', ['172.16.0.0/12'], { app: 'web' }),
  {
    kind: 'ServiceEndpoints',
    namespace: 'shop',
    name: 'web-1',
    service: 'web',
    addresses: [address('10.0.0.1')],
    ports: [{ protocol: 6, port: 8080 }],
  },
  {
    kind: 'ServiceEndpoints',
    namespace: 'shop',
    name: 'bare-1',
    service: 'bare',
    addresses: [address('10.0.0.1')],
    ports: [],
  },
]);

const V4 = packet('10.0.0.2', '10.0.0.1', 8080);
const V6 = packet('fd00::9', 'fd00::1', 8080);
const HOST = packet('10.0.0.2', '192.168.0.1', 80);
const DNS = packet('10.0.0.2', '10.0.0.1', 53, { protocol: 17 });
const GRE = portless('10.0.0.2', '10.0.0.1', 47);
const PING = portless('10.0.0.2', '10.0.0.1', 1, { type: 8, code: 0 });
const PING6 = portless('fd00::9', 'fd00::1', 58, { type: 128, code: 0 });
const UNREACHABLE = portless('10.0.0.2', '10.0.0.1', 1, { type: 3, code: 4 });

interface Row {
  readonly name: string;
  readonly in: Partial<RuleMatch>;
  readonly packet: Packet;
  /** The condition that fails; `undefined` = match. */
  readonly out: string | undefined;
}

const ICMP = { number: 1, family: 4 } as const;
const ICMP_BY_NUMBER = { number: 1, family: undefined } as const;
const to = (part: Parameters<typeof entity>[0]): Partial<RuleMatch> => ({
  destination: entity(part),
});

const ROWS: readonly Row[] = [
  { name: 'empty rule', in: {}, packet: GRE, out: undefined },
  { name: 'ipVersion', in: { ipVersion: 6 }, packet: V4, out: 'ipVersion' },
  { name: 'protocol', in: { protocol: TCP }, packet: V4, out: undefined },
  { name: 'other protocol', in: { protocol: TCP }, packet: GRE, out: 'protocol' },
  { name: 'notProtocol', in: { notProtocol: TCP }, packet: V4, out: 'notProtocol' },
  { name: 'notProtocol of another', in: { notProtocol: TCP }, packet: GRE, out: undefined },
  {
    name: 'a name of ICMP excludes IPv6',
    in: { protocol: ICMP },
    packet: { ...V6, protocol: 1 },
    out: 'protocol',
  },
  {
    name: 'the number of ICMP does not',
    in: { protocol: ICMP_BY_NUMBER },
    packet: { ...V6, protocol: 1 },
    out: undefined,
  },
  {
    name: 'notProtocol by name does not restrict the family',
    in: { notProtocol: ICMP },
    packet: V6,
    out: undefined,
  },
  { name: 'icmp type', in: { icmp: { type: 8, code: undefined } }, packet: PING, out: undefined },
  {
    name: 'icmp type of IPv6',
    in: { icmp: { type: 128, code: 0 } },
    packet: PING6,
    out: undefined,
  },
  { name: 'icmp code', in: { icmp: { type: 8, code: 1 } }, packet: PING, out: 'icmp' },
  {
    name: 'icmp implies ICMP',
    in: { icmp: { type: 8, code: undefined } },
    packet: GRE,
    out: 'icmp',
  },
  {
    name: 'icmp implies the ICMP of the family',
    in: { icmp: { type: 8, code: undefined } },
    packet: { ...PING, protocol: 58 },
    out: 'icmp',
  },
  {
    name: 'notICMP type',
    in: { notIcmp: { type: 8, code: undefined } },
    packet: PING,
    out: 'notICMP',
  },
  {
    name: 'notICMP negates the pair',
    in: { notIcmp: { type: 3, code: 1 } },
    packet: UNREACHABLE,
    out: undefined,
  },
  {
    name: 'notICMP of the very pair',
    in: { notIcmp: { type: 3, code: 4 } },
    packet: UNREACHABLE,
    out: 'notICMP',
  },
  {
    name: 'notICMP implies ICMP',
    in: { notIcmp: { type: 3, code: 4 } },
    packet: V4,
    out: 'notICMP',
  },
  {
    name: 'notICMP without a type in the packet',
    in: { notIcmp: { type: 3, code: 4 } },
    packet: portless('10.0.0.2', '10.0.0.1', 1),
    out: 'notICMP',
  },
  { name: 'nets', in: to({ nets: [cidr('10.0.0.0/31')] }), packet: V4, out: undefined },
  {
    name: 'not in nets',
    in: to({ nets: [cidr('10.0.0.2/31')] }),
    packet: V4,
    out: 'destination.nets',
  },
  {
    name: 'nets of both families',
    in: to({ nets: [cidr('10.0.0.2/31'), cidr('fd00::/64')] }),
    packet: V6,
    out: undefined,
  },
  {
    name: 'notNets',
    in: { source: entity({ notNets: [cidr('10.0.0.0/8')] }) },
    packet: V4,
    out: 'source.notNets',
  },
  {
    name: 'IPv4 nets on the other side exclude IPv6',
    in: { source: entity({ nets: [cidr('0.0.0.0/0')] }) },
    packet: V6,
    out: 'source.nets',
  },
  {
    name: 'IPv4 notNets exclude IPv6 (Q5)',
    in: to({ notNets: [cidr('10.0.0.0/8')] }),
    packet: V6,
    out: 'destination.notNets',
  },
  {
    name: 'nets and selector are both asked for',
    in: to({ nets: [cidr('10.0.0.0/24')], selector: equals('app', 'api') }),
    packet: V4,
    out: 'destination.selector',
  },
  { name: 'selector', in: to({ selector: equals('app', 'web') }), packet: V4, out: undefined },
  {
    name: 'stand-alone notSelector',
    in: to({ notSelector: equals('app', 'web') }),
    packet: V4,
    out: 'destination.notSelector',
  },
  {
    name: 'ports',
    in: { protocol: TCP, ...to({ ports: [port(80), port(8000, 8100)] }) },
    packet: V4,
    out: undefined,
  },
  {
    name: 'other ports',
    in: { protocol: TCP, ...to({ ports: [port(80), port(8081, 8100)] }) },
    packet: V4,
    out: 'destination.ports',
  },
  {
    name: 'source ports',
    in: { protocol: TCP, source: entity({ ports: [port(40_000)] }) },
    packet: V4,
    out: undefined,
  },
  {
    name: 'notPorts',
    in: { protocol: TCP, ...to({ notPorts: [port(8080)] }) },
    packet: V4,
    out: 'destination.notPorts',
  },
  { name: 'named port', in: to({ ports: [named('http')] }), packet: V4, out: undefined },
  { name: 'named port of IPv6', in: to({ ports: [named('http')] }), packet: V6, out: undefined },
  {
    name: 'named port: another endpoint by that name has another number',
    in: to({ ports: [named('http')] }),
    packet: packet('10.0.0.1', '10.0.0.2', 8080),
    out: 'destination.ports',
  },
  {
    name: 'named port: only of selected endpoints',
    in: to({ ports: [named('http')], selector: equals('app', 'api') }),
    packet: V4,
    out: 'destination.selector',
  },
  {
    name: 'named port of a host endpoint',
    in: to({ ports: [named('http')] }),
    packet: HOST,
    out: undefined,
  },
  {
    name: 'named UDP port without protocol',
    in: to({ ports: [named('dns')] }),
    packet: DNS,
    out: undefined,
  },
  {
    name: 'named port: the protocol is part of it',
    in: to({ ports: [named('dns')] }),
    packet: { ...DNS, protocol: 6 },
    out: 'destination.ports',
  },
  {
    name: 'named port: the rule has another protocol',
    in: { protocol: UDP, ...to({ ports: [named('http')] }) },
    packet: V4,
    out: 'protocol',
  },
  {
    name: 'named port: network sets have none',
    in: to({ ports: [named('http')] }),
    packet: packet('10.0.0.2', '172.16.0.1', 8080),
    out: 'destination.ports',
  },
  {
    name: 'named port: case counts',
    in: to({ ports: [named('HTTP')] }),
    packet: V4,
    out: 'destination.ports',
  },
  {
    name: 'number or name',
    in: { protocol: TCP, ...to({ ports: [port(1), named('http')] }) },
    packet: V4,
    out: undefined,
  },
  {
    name: 'named notPorts',
    in: to({ notPorts: [named('http')] }),
    packet: V4,
    out: 'destination.notPorts',
  },
  {
    name: 'named notPorts hold for a protocol without ports',
    in: to({ notPorts: [named('http')] }),
    packet: GRE,
    out: undefined,
  },
  {
    name: 'named notPorts are limited by the positive selector',
    in: to({
      notPorts: [named('http')],
      notSelector: equals('app', 'web'),
      selector: equals('app', 'api'),
    }),
    packet: packet('10.0.0.1', '10.0.0.2', 8080),
    out: undefined,
  },
  {
    name: 'service as destination',
    in: to({ service: { namespace: 'shop', name: 'web' } }),
    packet: V4,
    out: undefined,
  },
  {
    name: 'service as destination: only its target ports',
    in: to({ service: { namespace: 'shop', name: 'web' } }),
    packet: packet('10.0.0.2', '10.0.0.1', 81),
    out: 'destination.services',
  },
  {
    name: 'service without ports as destination',
    in: to({ service: { namespace: 'shop', name: 'bare' } }),
    packet: V4,
    out: 'destination.services',
  },
  {
    name: 'service as source: by address',
    in: { source: entity({ service: { namespace: 'shop', name: 'bare' } }) },
    packet: packet('10.0.0.1', '10.0.0.2', 81),
    out: undefined,
  },
  {
    name: 'service of another namespace',
    in: to({ service: { namespace: 'other', name: 'web' } }),
    packet: V4,
    out: 'destination.services',
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.is(failingCondition(WORLD, rule('allow', row.in), undefined, row.packet), row.out);
  });
}

test('a re-used address belongs to the newest active owner, of two equally new ones to the lowest id', (t) => {
  t.deepEqual(ownersOf(2, true), ['new']);
  t.deepEqual(ownersOf(2, false), ['old']);
  t.deepEqual(ownersOf(1, true), ['new']);
  t.deepEqual(ownersOf(0, true), ['old']);
});

/** Which of two workloads with one address a selector finds by it. */
function ownersOf(newer: number, isActive: boolean): string[] {
  const judged = world([
    namespace('shop'),
    workload('shop/old', ['10.0.0.9'], { labels: { who: 'old' }, createdMs: 1 }),
    workload('shop/new', ['10.0.0.9'], {
      labels: { who: 'new' },
      createdMs: newer,
      active: isActive,
    }),
  ]);
  return ['old', 'new'].filter((who) => {
    const match = to({ selector: equals('who', who) });
    const seen = packet('10.1.1.1', '10.0.0.9', 1);
    return failingCondition(judged, rule('allow', match), undefined, seen) === undefined;
  });
}
