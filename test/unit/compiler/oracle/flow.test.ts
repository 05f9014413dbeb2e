/** Specification sections 3.9, 6.2.1, 6.2.4 and 6.2.8: what is decided around the policies, as rows. */
import test from 'ava';
import type { Resource, WorkloadEndpoint } from '../../../../compiler/model/cluster.ts';
import type { Packet } from '../../../../compiler/model/packet.ts';
import type { OracleConfig } from '../../../../compiler/oracle/world.ts';
import { explainFlow } from '../../../../compiler/oracle/explain.ts';
import { evaluateFlow, findEnd } from '../../../../compiler/oracle/flow.ts';
import type { FlowDecision } from '../../../../compiler/oracle/flow.ts';
import type { FlowEnd } from '../../../../compiler/oracle/stage.ts';
import {
  address,
  cidr,
  hostEndpoint,
  namespace,
  packet,
  policy,
  portless,
  rule,
  workload,
  world,
} from '../../../support/world.ts';

const WEB = workload('shop/web', ['10.0.0.1', 'fd00::1'], {
  allowedSourcePrefixes: [cidr('198.51.100.0/24')],
});
const DB = workload('shop/db', ['10.0.0.2', 'fd00::2']);
const FAR = workload('shop/far', ['10.0.1.1'], { node: 'node-b' });
const GONE = workload('shop/gone', ['10.0.0.3'], { active: false });
const NODE_ITSELF: Resource = {
  kind: 'Node',
  name: 'node-a',
  labels: {},
  addresses: [address('192.168.0.1')],
};

const HOST: FlowEnd = { kind: 'host' };
const EXTERNAL: FlowEnd = { kind: 'external' };
const UNKNOWN: FlowEnd = { kind: 'unknown-interface' };
const at = (endpoint: WorkloadEndpoint): FlowEnd => ({ kind: 'workload', endpoint });

const DENY_INGRESS = policy('in', { types: ['ingress'] });
const DENY_EGRESS = policy('out', { types: ['egress'] });
const ALLOW_EGRESS = policy('out', { types: ['egress'], egress: [rule('allow')] });

const WEB_TO_DB = packet('10.0.0.1', '10.0.0.2', 80);
const WEB_TO_HOST = packet('10.0.0.1', '192.168.0.1', 80);
const VXLAN = packet('10.0.0.1', '10.0.0.2', 4789, { protocol: 17 });
const SOLICITATION = portless('fd00::1', 'fd00::9', 58, { type: 135, code: 0 });

interface Row {
  readonly name: string;
  readonly in: readonly Resource[];
  readonly config?: Partial<OracleConfig>;
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  readonly packet: Packet;
  /** One word per stage, and the verdict of the last is that of the flow. */
  readonly out: string;
}

const ROWS: readonly Row[] = [
  {
    name: 'workload to workload: both are judged',
    in: [],
    from: at(WEB),
    to: at(DB),
    packet: WEB_TO_DB,
    out: 'allow:rule allow:rule',
  },
  {
    name: 'workload to workload: egress denies',
    in: [DENY_EGRESS],
    from: at(WEB),
    to: at(DB),
    packet: WEB_TO_DB,
    out: 'deny:end-of-tier',
  },
  {
    name: 'workload to workload: ingress denies',
    in: [DENY_INGRESS],
    from: at(WEB),
    to: at(DB),
    packet: WEB_TO_DB,
    out: 'allow:rule deny:end-of-tier',
  },
  {
    name: 'to a workload of another node: egress only',
    in: [DENY_INGRESS],
    from: at(WEB),
    to: at(FAR),
    packet: packet('10.0.0.1', '10.0.1.1', 80),
    out: 'allow:rule',
  },
  {
    name: 'from a workload of another node: ingress only',
    in: [DENY_EGRESS],
    from: at(FAR),
    to: at(WEB),
    packet: packet('10.0.1.1', '10.0.0.1', 80),
    out: 'allow:rule',
  },
  {
    name: 'from outside: ingress',
    in: [DENY_INGRESS],
    from: EXTERNAL,
    to: at(WEB),
    packet: packet('8.8.8.8', '10.0.0.1', 80),
    out: 'deny:end-of-tier',
  },
  {
    name: '3.9: the host reaches its workloads whatever their policy',
    in: [DENY_INGRESS],
    from: HOST,
    to: at(WEB),
    packet: packet('192.168.0.1', '10.0.0.1', 80),
    out: 'allow:host-to-workload',
  },
  {
    name: '3.9: workload to host: egress, then accept',
    in: [],
    from: at(WEB),
    to: HOST,
    packet: WEB_TO_HOST,
    out: 'allow:rule allow:endpoint-to-host',
  },
  {
    name: '3.9: workload to host: egress denies',
    in: [DENY_EGRESS],
    from: at(WEB),
    to: HOST,
    packet: WEB_TO_HOST,
    out: 'deny:end-of-tier',
  },
  {
    name: '3.9: workload to host: Drop',
    in: [ALLOW_EGRESS],
    config: { defaultEndpointToHostAction: 'Drop' },
    from: at(WEB),
    to: HOST,
    packet: WEB_TO_HOST,
    out: 'allow:rule deny:endpoint-to-host',
  },
  {
    name: '6.2.4: neighbour discovery to the host goes before policy and Drop',
    in: [DENY_EGRESS],
    config: { defaultEndpointToHostAction: 'Drop' },
    from: at(WEB),
    to: HOST,
    packet: SOLICITATION,
    out: 'allow:neighbour-discovery',
  },
  {
    name: '6.2.4: not to other workloads',
    in: [DENY_EGRESS],
    from: at(WEB),
    to: at(DB),
    packet: SOLICITATION,
    out: 'deny:end-of-tier',
  },
  {
    name: '6.2.4: router advertisements are not among it',
    in: [DENY_EGRESS],
    from: at(WEB),
    to: HOST,
    packet: { ...SOLICITATION, icmpType: 134 },
    out: 'deny:end-of-tier',
  },
  {
    name: '6.2.8: VXLAN is denied before an egress policy allows',
    in: [ALLOW_EGRESS],
    from: at(WEB),
    to: at(DB),
    packet: VXLAN,
    out: 'deny:encapsulation',
  },
  {
    name: '6.2.8: VXLAN allowed by configuration',
    in: [ALLOW_EGRESS],
    config: { allowVxlanFromWorkloads: true },
    from: at(WEB),
    to: EXTERNAL,
    packet: VXLAN,
    out: 'allow:rule',
  },
  {
    name: '6.2.8: the port over TCP is not VXLAN',
    in: [],
    from: at(WEB),
    to: EXTERNAL,
    packet: { ...VXLAN, protocol: 6 },
    out: 'allow:rule',
  },
  {
    name: '6.2.8: protocol 4',
    in: [],
    from: at(WEB),
    to: HOST,
    packet: portless('10.0.0.1', '192.168.0.1', 4),
    out: 'deny:encapsulation',
  },
  {
    name: '6.2.8: only from workloads',
    in: [],
    from: EXTERNAL,
    to: at(WEB),
    packet: { ...VXLAN, saddr: address('8.8.8.8'), daddr: address('10.0.0.1') },
    out: 'allow:rule',
  },
  {
    name: 'spoofed source',
    in: [ALLOW_EGRESS],
    from: at(WEB),
    to: EXTERNAL,
    packet: packet('10.0.0.2', '8.8.8.8', 80),
    out: 'deny:spoofed-source',
  },
  {
    name: 'allowed prefixes do not count unless configured',
    in: [],
    from: at(WEB),
    to: EXTERNAL,
    packet: packet('198.51.100.7', '8.8.8.8', 80),
    out: 'deny:spoofed-source',
  },
  {
    name: 'allowed prefixes where configured',
    in: [],
    config: { allowSourceSpoofing: true },
    from: at(WEB),
    to: EXTERNAL,
    packet: packet('198.51.100.7', '8.8.8.8', 80),
    out: 'allow:rule',
  },
  {
    name: 'link-local sources are nobody else’s',
    in: [],
    from: at(WEB),
    to: HOST,
    packet: packet('fe80::1', 'fe80::2', 80),
    out: 'allow:rule allow:endpoint-to-host',
  },
  {
    name: 'an address that a newer workload took over',
    in: [workload('shop/newer', ['10.0.0.1'], { createdMs: 9 })],
    from: at(WEB),
    to: EXTERNAL,
    packet: packet('10.0.0.1', '8.8.8.8', 80),
    out: 'deny:spoofed-source',
  },
  {
    name: 'from an endpoint that is not active',
    in: [],
    from: at(GONE),
    to: EXTERNAL,
    packet: packet('10.0.0.3', '8.8.8.8', 80),
    out: 'deny:inactive-endpoint',
  },
  {
    name: 'to an endpoint that is not active',
    in: [],
    from: EXTERNAL,
    to: at(GONE),
    packet: packet('8.8.8.8', '10.0.0.3', 80),
    out: 'deny:inactive-endpoint',
  },
  {
    name: 'from an unknown interface',
    in: [],
    from: UNKNOWN,
    to: at(WEB),
    packet: packet('10.0.0.9', '10.0.0.1', 80),
    out: 'deny:unknown-interface',
  },
  {
    name: 'to an unknown interface',
    in: [],
    from: EXTERNAL,
    to: UNKNOWN,
    packet: packet('8.8.8.8', '10.0.0.9', 80),
    out: 'deny:unknown-interface',
  },
  {
    name: '6.2.6: what the host sends by a workload’s interface is not judged, whoever is there',
    in: [],
    from: HOST,
    to: UNKNOWN,
    packet: packet('192.168.0.1', '10.0.0.9', 80),
    out: 'allow:host-to-workload',
  },
  {
    name: '6.2.6: nor whether it runs',
    in: [],
    from: HOST,
    to: at(GONE),
    packet: packet('192.168.0.1', '10.0.0.3', 80),
    out: 'allow:host-to-workload',
  },
  {
    name: 'neither end is ours',
    in: [DENY_INGRESS, DENY_EGRESS],
    from: EXTERNAL,
    to: at(FAR),
    packet: packet('8.8.8.8', '10.0.1.1', 80),
    out: 'allow:not-governed',
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const resources = [namespace('shop'), NODE_ITSELF, WEB, DB, FAR, GONE, ...row.in];
    const decision = evaluateFlow(world(resources, row.config), row);
    t.is(printStages(decision), row.out);
    t.is(decision.verdict, row.out.includes('deny') ? 'deny' : 'allow');
  });
}

test('findEnd: owner, node, its host endpoint, or nobody', (t) => {
  const resources = [NODE_ITSELF, WEB, GONE, hostEndpoint('eth1', ['192.168.1.1'])];
  const kindOf = (text: string): string => findEnd(world(resources), address(text)).kind;
  t.is(kindOf('10.0.0.1'), 'workload');
  t.is(kindOf('192.168.0.1'), 'host');
  t.is(kindOf('192.168.1.1'), 'host');
  t.is(kindOf('10.0.0.3'), 'external');
});

test('explainFlow tells stages, the deciding rule and what was looked at', (t) => {
  const egress = [rule('log'), rule('deny', { protocol: { number: 17, family: undefined } }, 1)];
  const out = policy('out', { namespace: 'shop', types: ['egress'], egress });
  const judged = world([namespace('shop'), WEB, DB, out]);
  t.is(
    explainFlow(evaluateFlow(judged, { from: at(WEB), to: at(DB), packet: WEB_TO_DB })),
    [
      'DENY',
      'egress of shop/web:',
      '  DENY: end of tier default: selected by policies of the tier, and none of their rules decides (np/shop/out)',
      '    np/shop/out egress[0] (tier default): matches, log',
      '    np/shop/out egress[1] (tier default): no match (protocol)',
    ].join('\n'),
  );
});

function printStages(flow: FlowDecision): string {
  return flow.stages
    .map(({ decision: { verdict, decisive } }) => {
      return `${verdict}:${decisive.kind === 'rule' ? 'rule' : decisive.reason}`;
    })
    .join(' ');
}
