/** Every kind of deny that is none of a workload's own policy, as a record: real packets in, who, where and why out. */
import type { FlowRecord } from '../../../agent/flowlog/record.ts';
import { FlowBench } from '../../support/flow-bench.ts';
import { translate } from '../../support/dnat.ts';
import { globalPolicy, hostEndpoint, packetOf } from '../../support/kernel-node.ts';
import type { PacketSpec } from '../../support/kernel-node.ts';
import { kernelTest } from '../../support/needs.ts';

const WEB = { name: 'web', addresses: ['10.0.0.1'] };
const DB = { name: 'db', addresses: ['10.0.0.2'] };
/** Nobody's. */
const STRAY = { name: 'stray', ifname: 'cali9', addresses: ['10.0.0.9'] };
const LAN = { name: 'lan', ifname: 'eth1', nets: ['198.51.100.0/24'] };
const [HOST, OUTSIDE, BEHIND_LAN] = ['192.0.2.1', '203.0.113.9', '198.51.100.7'];
const SERVICE = '10.96.0.1';
const UDP = 17;

const onEth0 = (name: string, spec: object): object =>
  globalPolicy(name, { selector: "host == 'eth0'", ...spec });

const deny = (...ports: readonly number[]): object => {
  return { action: 'Deny', protocol: 'TCP', destination: { ports } };
};

const OBJECTS = [
  hostEndpoint('eth0', { interfaceName: 'eth0' }),
  onEth0('normal', {
    order: 1,
    types: ['Ingress', 'Egress'],
    ingress: [deny(80)],
    egress: [deny(80)],
  }),
  onEth0('forwarded', {
    types: ['Ingress', 'Egress'],
    applyOnForward: true,
    ingress: [deny(92), { action: 'Allow' }],
    egress: [{ ...deny(85), action: 'Allow' }],
  }),
  onEth0('early', {
    types: ['Ingress'],
    preDNAT: true,
    applyOnForward: true,
    ingress: [deny(90)],
  }),
  onEth0('earliest', {
    types: ['Ingress', 'Egress'],
    doNotTrack: true,
    applyOnForward: true,
    ingress: [deny(91)],
    egress: [deny(91)],
  }),
  globalPolicy('closed-lan', {
    selector: "host == 'lan'",
    types: ['Egress'],
    applyOnForward: true,
  }),
  hostEndpoint('lan', { interfaceName: 'eth1' }),
];

interface Row {
  readonly name: string;
  readonly at: string;
  readonly packet: PacketSpec;
  readonly dress?: { readonly tcpFlags: 'syn-ack' };
  readonly out: readonly [
    direction: string,
    hook: string,
    host: string | undefined,
    why: string,
    src: string,
    dst: string,
  ];
}

const inbound = { from: OUTSIDE, to: HOST };
const outbound = { from: HOST, to: OUTSIDE };
const through = { from: OUTSIDE, to: BEHIND_LAN };
const ofWeb = { from: '10.0.0.1', to: OUTSIDE };
const [ETH0, NODE] = ['host-endpoint eth0', 'node node-a'];

const ROWS: readonly Row[] = [
  {
    name: 'host endpoint, normal, in, by a rule',
    at: 'external',
    packet: { ...inbound, dport: 80 },
    out: ['ingress', 'input', 'eth0 normal', 'normal 0', 'external', ETH0],
  },
  {
    name: 'host endpoint, pre-DNAT, to the host',
    at: 'external',
    packet: { ...inbound, dport: 90 },
    out: ['ingress', 'prerouting', 'eth0 pre-dnat', 'early 0', 'external', 'external'],
  },
  {
    name: 'host endpoint, untracked, in',
    at: 'external',
    packet: { ...through, dport: 91 },
    out: ['ingress', 'prerouting', 'eth0 untracked', 'earliest 0', 'external', 'external'],
  },
  {
    name: 'host endpoint, untracked, out',
    at: 'router',
    packet: { ...outbound, dport: 91 },
    out: ['egress', 'output', 'eth0 untracked', 'earliest 0', ETH0, 'external'],
  },
  {
    name: 'host endpoint, normal, out, by the end of the tier',
    at: 'router',
    packet: { ...outbound, dport: 81 },
    out: [
      'egress',
      'output',
      'eth0 normal',
      'end-of-tier default gnp/normal gnp/forwarded',
      ETH0,
      'external',
    ],
  },
  {
    name: 'host endpoint, forward, by a rule',
    at: 'external',
    packet: { ...through, dport: 92 },
    out: ['ingress', 'forward', 'eth0 forward', 'forwarded 0', 'external', 'external'],
  },
  {
    name: 'host endpoint, forward, to a pod, by a rule',
    at: 'external',
    packet: { from: OUTSIDE, to: '10.0.0.1', dport: 92 },
    out: ['ingress', 'forward', 'eth0 forward', 'forwarded 0', 'external', 'pod shop/web'],
  },
  {
    name: 'host endpoint, forward, by the end of the tier',
    at: 'external',
    packet: { ...through, dport: 93 },
    out: [
      'egress',
      'forward',
      'lan forward',
      'end-of-tier default gnp/closed-lan',
      'external',
      'external',
    ],
  },
  {
    name: 'host endpoint, forward, of a pod',
    at: 'web',
    packet: { ...ofWeb, dport: 93 },
    out: [
      'egress',
      'forward',
      'eth0 forward',
      'end-of-tier default gnp/forwarded',
      'pod shop/web',
      'external',
    ],
  },
  {
    name: 'host endpoint, after DNAT',
    at: 'router',
    packet: { from: HOST, to: SERVICE, dport: 8080 },
    out: ['egress', 'postrouting', 'eth0 post-dnat', 'normal 0', ETH0, 'external'],
  },
  {
    name: 'invalid state, at a host endpoint',
    at: 'external',
    packet: { ...inbound, sport: 22, dport: 6443 },
    dress: { tcpFlags: 'syn-ack' },
    out: ['ingress', 'prerouting', 'eth0 pre-dnat', 'invalid-state', 'external', 'external'],
  },
  {
    name: 'invalid state, of a pod',
    at: 'web',
    packet: { ...ofWeb, to: BEHIND_LAN, sport: 22, dport: 6443 },
    dress: { tcpFlags: 'syn-ack' },
    out: ['egress', 'forward', undefined, 'invalid-state', 'pod shop/web', 'external'],
  },
  {
    name: 'a forged address',
    at: 'web',
    packet: { ...ofWeb, from: '10.0.0.99', to: BEHIND_LAN },
    out: ['egress', 'prerouting', undefined, 'anti-spoofing', 'pod shop/web', 'external'],
  },
  {
    name: 'the address of somebody else, forged',
    at: 'web',
    packet: { from: '10.0.0.2', to: '10.0.0.1' },
    out: ['egress', 'prerouting', undefined, 'anti-spoofing', 'pod shop/web', 'pod shop/web'],
  },
  {
    name: 'encapsulation',
    at: 'web',
    packet: { ...ofWeb, protocol: UDP, dport: 4789 },
    out: ['egress', 'forward', undefined, 'encapsulation', 'pod shop/web', 'external'],
  },
  {
    name: 'pod to host',
    at: 'web',
    packet: { ...ofWeb, to: HOST },
    out: ['egress', 'input', undefined, 'endpoint-to-host', 'pod shop/web', NODE],
  },
  {
    name: 'service loop',
    at: 'external',
    packet: { from: OUTSIDE, to: '10.112.0.7', dport: 85 },
    out: ['forward', 'forward', undefined, 'service-loop', 'external', 'external'],
  },
  {
    name: 'unknown interface',
    at: 'stray',
    packet: { from: '10.0.0.9', to: BEHIND_LAN, dport: 80 },
    out: ['egress', 'forward', undefined, 'unknown-interface', 'external', 'external'],
  },
];

function summary({ direction, hook, hostEndpoint: host, ...record }: FlowRecord): Row['out'] {
  const { policy, implicit, src, dst } = record;
  const why =
    policy === undefined
      ? [implicit?.reason, implicit?.tier, ...(implicit?.selectedBy ?? [])]
      : [policy.name, policy.rule];
  return [
    direction ?? '',
    hook ?? '',
    host && `${host.name} ${host.stage}`,
    why.filter((word) => word !== undefined).join(' '),
    printEnd(src),
    printEnd(dst),
  ];
}

function printEnd({ kind, namespace, name }: FlowRecord['src']): string {
  const parts = [namespace, name].filter((part) => part !== undefined);
  return [kind, ...(parts.length === 0 ? [] : [parts.join('/')])].join(' ');
}

/** What `picket explain` says of the record: the same, in its own words. */
function explained({ policy, implicit }: FlowRecord): string {
  if (policy !== undefined) return `deny gnp/${policy.name}[${policy.rule}]`;
  const { reason = '' } = implicit ?? {};
  return `deny ${WORDS[reason] ?? reason}`;
}

const WORDS: Readonly<Record<string, string>> = {
  'anti-spoofing': 'spoofed-source',
  'invalid-state': 'invalid',
};

/** Its addresses have no service, which no manifest says. */
const NOT_EXPLAINED = ['service loop'];

kernelTest(
  'each kind of deny has a record that says where and why',
  ['netns', 'cc', 'addon', 'nft'],
  async (t) => {
    await FlowBench.with([WEB, DB], OBJECTS, async (bench) => {
      await bench.fabric.addHostInterfaces([LAN]);
      await bench.fabric.addWorkloads([STRAY]);
      const [before, after] = [
        packetOf({ from: HOST, to: SERVICE, dport: 8080 }),
        packetOf({ ...outbound, dport: 80 }),
      ];
      await translate(bench.fabric.router, [{ before, after }]);
      await bench.start({
        PICKET_ENDPOINT_TO_HOST_ACTION: 'Drop',
        PICKET_SERVICE_CIDRS: '10.112.0.0/12',
        PICKET_FLOW_LOG_RATE: '0',
      });
      for (const { name, at, packet, dress, out } of ROWS) {
        const seen = (await bench.records()).length;
        const probe = { from: at, packet: packetOf(packet), ...(dress && { dress }) };
        t.deepEqual(await bench.fabric.probe([probe]), [false], name);
        const records = await bench.recorded(seen + 1);
        t.is(records.length, seen + 1, name);
        const [record] = records.slice(-1);
        t.deepEqual(record && summary(record), out, name);
        if (record === undefined || NOT_EXPLAINED.includes(name)) continue;
        t.is(await bench.explain(record), explained(record), name);
      }
    });
  },
);
