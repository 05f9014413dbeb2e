/** Specification sections 3.5 to 3.9, 6.1, 6.2 and A.5 at host endpoints: one row a sentence. */
import test from 'ava';
import type { HostEndpoint, Resource } from '../../../../compiler/model/cluster.ts';
import type { Packet } from '../../../../compiler/model/packet.ts';
import type { Policy, Rule } from '../../../../compiler/model/policy.ts';
import { evaluateFlow } from '../../../../compiler/oracle/flow.ts';
import type { FlowDecision } from '../../../../compiler/oracle/flow.ts';
import type { BeforeDnat, ConnectionState, FlowEnd } from '../../../../compiler/oracle/stage.ts';
import type { OracleConfig } from '../../../../compiler/oracle/world.ts';
import {
  address,
  cidr,
  entity,
  equals,
  hostEndpointOf,
  hostInterface,
  namespace,
  packet,
  policy,
  port,
  portless,
  rule,
  TCP,
  tier,
  UDP,
  workload,
  world,
} from '../../../support/world.ts';

const INTERFACES = [
  hostInterface('lo', ['127.0.0.1']),
  hostInterface('eth0', ['192.0.2.1', '2001:db8::1']),
  hostInterface('eth1', ['198.51.100.1']),
  { name: 'tap1', addresses: [address('10.0.0.254')], isWorkload: true },
];

const WEB = workload('shop/web', ['10.0.0.1', 'fd00::1']);
const DB = workload('shop/db', ['10.0.0.2']);

const HOST: FlowEnd = { kind: 'host' };
const OUTSIDE: FlowEnd = { kind: 'external' };
const UNKNOWN: FlowEnd = { kind: 'unknown-interface' };
const AT_WEB: FlowEnd = { kind: 'workload', endpoint: WEB };
const AT_DB: FlowEnd = { kind: 'workload', endpoint: DB };

const ETH0 = hostEndpointOf('eth0', { interfaceName: 'eth0', labels: { role: 'host' } });
const ETH1 = hostEndpointOf('eth1', { interfaceName: 'eth1', labels: { role: 'host' } });
const ALL = hostEndpointOf('all', {
  interfaceName: '*',
  labels: { role: 'host' },
  profiles: ['projectcalico-default-allow'],
});
const BARE_ALL = { ...ALL, profiles: [] };

/** Of host endpoints only. */
function hosts(name: string, part: Partial<Policy>): Policy {
  return policy(name, { selector: equals('role', 'host'), ...part });
}
const untracked = (name: string, part: Partial<Policy>): Policy =>
  hosts(name, { doNotTrack: true, applyOnForward: true, ...part });
const preDnat = (name: string, part: Partial<Policy>): Policy =>
  hosts(name, { preDnat: true, applyOnForward: true, types: ['ingress'], ...part });
const forward = (name: string, part: Partial<Policy>): Policy =>
  hosts(name, { applyOnForward: true, ...part });

const to = (
  first: number,
  protocol: typeof TCP | typeof UDP = TCP,
): Partial<Rule['match'] & object> => ({
  protocol,
  destination: entity({ ports: [port(first)] }),
});
const IN: Partial<Policy> = { types: ['ingress'] };
const OUT: Partial<Policy> = { types: ['egress'] };

const ARRIVING = { from: OUTSIDE, to: HOST, inInterface: 'eth0' } as const;
const LEAVING = { from: HOST, to: OUTSIDE, outInterface: 'eth0' } as const;
const THROUGH = { from: OUTSIDE, to: OUTSIDE, inInterface: 'eth0', outInterface: 'eth1' } as const;
const TO_WEB = { from: OUTSIDE, to: AT_WEB, inInterface: 'eth0' } as const;
const FROM_WEB = { from: AT_WEB, to: OUTSIDE, outInterface: 'eth0' } as const;

const HTTP_IN = packet('203.0.113.9', '192.0.2.1', 80);
const HTTP_OUT = packet('192.0.2.1', '203.0.113.9', 80);
const HTTP_THROUGH = packet('203.0.113.9', '198.51.100.7', 80);
const HTTP_TO_WEB = packet('203.0.113.9', '10.0.0.1', 80);
const HTTP_FROM_WEB = packet('10.0.0.1', '203.0.113.9', 80);
const WEB_TO_HOST = packet('10.0.0.1', '192.0.2.1', 80);
const NODE_PORT = packet('203.0.113.9', '192.0.2.1', 30_080);

interface Row {
  readonly name: string;
  readonly in: readonly Resource[];
  readonly config?: Partial<OracleConfig>;
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  readonly inInterface?: string;
  readonly outInterface?: string;
  readonly packet: Packet;
  readonly before?: BeforeDnat;
  readonly state?: ConnectionState;
  /** `<stage>@<endpoint>:<verdict>:<reason>`; the verdict of the last is that of the flow. */
  readonly out: string;
}

const ROWS: readonly Row[] = [
  // 3.5
  {
    name: '3.5: no policy and no profile: to the host, denied',
    in: [ETH0],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:deny:no-profile',
  },
  {
    name: '3.5: no policy and no profile: from the host, denied',
    in: [ETH0],
    ...LEAVING,
    packet: HTTP_OUT,
    out: 'output@eth0:deny:no-profile',
  },
  {
    name: '3.5: profile projectcalico-default-allow allows',
    in: [{ ...ETH0, profiles: ['projectcalico-default-allow'] }],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '1.8: a profile that nobody declares denies',
    in: [{ ...ETH0, profiles: ['gone', 'projectcalico-default-allow'] }],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:deny:missing-profile',
  },
  {
    name: '3.5: forwarded without applyOnForward policy: allowed',
    in: [ETH0, hosts('deny', {})],
    ...THROUGH,
    packet: HTTP_THROUGH,
    out: 'forward-in@eth0:allow:no-forward-policy',
  },
  {
    name: '3.5: an interface without host endpoint: nothing is done',
    in: [ETH0, hosts('deny', {})],
    ...ARRIVING,
    inInterface: 'eth1',
    packet: HTTP_IN,
    out: 'input@:allow:no-host-endpoint',
  },
  {
    name: '3.5: the same, leaving',
    in: [ETH0, hosts('deny', {})],
    ...LEAVING,
    outInterface: 'eth1',
    packet: HTTP_OUT,
    out: 'output@:allow:no-host-endpoint',
  },
  // 1.6
  {
    name: '1.6: host endpoints of other nodes do not count',
    in: [{ ...ETH0, node: 'node-b' }],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@:allow:no-host-endpoint',
  },
  {
    name: '1.6: the lowest name wins',
    in: [
      { ...ETH0, name: 'b' },
      { ...ETH0, name: 'a', profiles: ALL.profiles },
      { ...ETH0, name: 'c' },
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@a:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '1.6: found by an expected address',
    in: [hostEndpointOf('by-ip', { expectedIPs: [address('9.9.9.9'), address('192.0.2.1')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@by-ip:deny:no-profile',
  },
  {
    name: '1.6: with an interface name, expected addresses do not choose',
    in: [hostEndpointOf('x', { interfaceName: 'eth7', expectedIPs: [address('192.0.2.1')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@:allow:no-host-endpoint',
  },
  {
    name: '1.6: by address or by name, the lowest of both',
    in: [ETH0, hostEndpointOf('a', { expectedIPs: [address('192.0.2.1')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@a:deny:no-profile',
  },
  {
    name: '1.6, 3.8: a named one replaces the wildcard, whatever its name',
    in: [
      { ...ALL, name: 'a' },
      { ...ETH0, name: 'z' },
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@z:deny:no-profile',
  },
  {
    name: '3.8: the wildcard governs the others',
    in: [
      { ...ALL, name: 'a' },
      { ...ETH0, name: 'z' },
    ],
    ...ARRIVING,
    inInterface: 'eth1',
    packet: HTTP_IN,
    out: 'input@a:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '1.6: of two wildcards the lowest',
    in: [
      { ...ALL, name: 'b' },
      { ...BARE_ALL, name: 'a' },
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@a:deny:no-profile',
  },
  {
    name: 'the wildcard leaves lo alone',
    in: [BARE_ALL],
    from: HOST,
    to: HOST,
    inInterface: 'lo',
    outInterface: 'lo',
    packet: packet('127.0.0.1', '127.0.0.1', 80),
    out: 'output@:allow:no-host-endpoint input@:allow:no-host-endpoint',
  },
  {
    name: 'a host endpoint that names lo governs it, both ways',
    in: [
      hostEndpointOf('lo', { interfaceName: 'lo', labels: { role: 'host' } }),
      hosts('out', { ...OUT, egress: [rule('allow')] }),
    ],
    from: HOST,
    to: HOST,
    inInterface: 'lo',
    outInterface: 'lo',
    packet: packet('127.0.0.1', '127.0.0.1', 80),
    out: 'output@lo:allow:gnp/out[0] input@lo:deny:no-profile',
  },
  {
    name: 'what arrives by lo has been translated where it was sent',
    in: [
      hostEndpointOf('lo', {
        interfaceName: 'lo',
        labels: { role: 'host' },
        profiles: ALL.profiles,
      }),
      preDnat('pre', { ingress: [rule('deny', to(80))] }),
    ],
    from: HOST,
    to: HOST,
    inInterface: 'lo',
    outInterface: 'lo',
    packet: packet('127.0.0.1', '127.0.0.1', 8080),
    before: { packet: packet('127.0.0.1', '10.96.0.1', 80), outInterface: 'eth0' },
    out: 'post-dnat@lo:allow:pro/projectcalico-default-allow[0] pre-dnat@lo:allow:undecided input@lo:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '1.6: interfaces of workloads are never found by name',
    in: [hostEndpointOf('tap', { interfaceName: 'tap1' })],
    ...ARRIVING,
    inInterface: 'tap1',
    packet: HTTP_IN,
    out: 'to-workload@:allow:not-governed',
  },
  {
    name: '1.6: nor by address',
    in: [hostEndpointOf('tap', { expectedIPs: [address('10.0.0.254')] })],
    ...ARRIVING,
    inInterface: 'tap1',
    packet: HTTP_IN,
    out: 'to-workload@:allow:not-governed',
  },
  // 3.4
  {
    name: '3.4: the end of a tier denies, per direction',
    in: [
      { ...ETH0, profiles: ALL.profiles },
      hosts('in', { ...IN, ingress: [rule('allow', to(81))] }),
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:deny:end-of-tier',
  },
  {
    name: '3.4: and leaves the other one to the profiles',
    in: [
      { ...ETH0, profiles: ALL.profiles },
      hosts('in', { ...IN, ingress: [rule('allow', to(81))] }),
    ],
    ...LEAVING,
    packet: HTTP_OUT,
    out: 'output@eth0:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '3.4: a normal policy allows',
    in: [ETH0, hosts('in', { ...IN, ingress: [rule('allow', to(80))] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:allow:gnp/in[0]',
  },
  {
    name: '3.4: Pass after the last tier reaches the profiles',
    in: [{ ...ETH0, profiles: ALL.profiles }, hosts('in', { ...IN, ingress: [rule('pass')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '3.4: applyOnForward policies are normal policies too',
    in: [ETH0, forward('in', { ...IN, ingress: [rule('allow')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:allow:gnp/in[0]',
  },
  {
    name: '3.4: pre-DNAT policies are not',
    in: [ETH0, preDnat('in', { ingress: [rule('allow', to(81))] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'pre-dnat@eth0:allow:undecided input@eth0:deny:no-profile',
  },
  {
    name: '3.4: untracked ones neither; their tiers pass at the end',
    in: [
      { ...ETH0, profiles: ALL.profiles },
      untracked('in', { ingress: [rule('allow', to(81))] }),
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'untracked-in@eth0:allow:undecided input@eth0:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '3.4: a tier that denies at its end passes in pre-DNAT',
    in: [
      { ...ETH0, profiles: ALL.profiles },
      tier('first', 1, 'deny'),
      preDnat('in', { tier: 'first', ingress: [rule('allow', to(81))] }),
      preDnat('later', { ingress: [rule('deny', to(80))] }),
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'pre-dnat@eth0:deny:gnp/later[0]',
  },
  {
    name: '3.4: Pass leaves the pre-DNAT tier',
    in: [
      { ...ETH0, profiles: ALL.profiles },
      preDnat('a', { ingress: [rule('pass')] }),
      preDnat('b', { ingress: [rule('deny')] }),
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'pre-dnat@eth0:allow:undecided input@eth0:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '3.4: staged policies never count',
    in: [
      { ...ETH0, profiles: ALL.profiles },
      hosts('s', {
        policyKind: 'StagedGlobalNetworkPolicy',
        staged: true,
        ingress: [rule('deny')],
      }),
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:allow:pro/projectcalico-default-allow[0]',
  },
  // 3.6
  {
    name: '3.6: untracked Deny drops',
    in: [ETH0, untracked('in', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'untracked-in@eth0:deny:gnp/in[0]',
  },
  {
    name: '3.6: untracked Allow accepts the later ingress stages, pre-DNAT and normal',
    in: [
      ETH0,
      untracked('in', { ingress: [rule('allow')] }),
      preDnat('pre', { ingress: [rule('deny')] }),
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'untracked-in@eth0:allow:gnp/in[0] pre-dnat@eth0:allow:accepted-earlier input@eth0:allow:accepted-earlier',
  },
  {
    name: '3.6: and forward ingress, but not the outgoing interface',
    in: [
      ETH0,
      ETH1,
      untracked('in', { ...IN, ingress: [rule('allow')] }),
      forward('fwd', { ingress: [rule('deny')], egress: [rule('deny')] }),
    ],
    ...THROUGH,
    packet: HTTP_THROUGH,
    out: 'untracked-in@eth0:allow:gnp/in[0] forward-in@eth0:allow:accepted-earlier forward-out@eth1:deny:gnp/fwd[0]',
  },
  {
    name: '3.6: untracked Allow does not bypass workload policy',
    in: [
      ETH0,
      untracked('in', { ...IN, ingress: [rule('allow')] }),
      policy('web', { namespace: 'shop', types: ['ingress'] }),
    ],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    out: 'untracked-in@eth0:allow:gnp/in[0] forward-in@eth0:allow:accepted-earlier to-workload@shop/web:deny:end-of-tier',
  },
  {
    name: '3.6: untracked sees forwarded packets',
    in: [ETH0, untracked('in', { ingress: [rule('deny')] })],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    out: 'untracked-in@eth0:deny:gnp/in[0]',
  },
  {
    name: '3.6: raw OUTPUT sees what the host sends',
    in: [ETH0, untracked('out', { egress: [rule('deny')] })],
    ...LEAVING,
    packet: HTTP_OUT,
    out: 'untracked-out@eth0:deny:gnp/out[0]',
  },
  {
    name: '3.6: and not what is forwarded out of the interface',
    in: [ETH1, untracked('out', { egress: [rule('deny')] })],
    ...THROUGH,
    packet: HTTP_THROUGH,
    out: 'forward-out@eth1:allow:no-forward-policy',
  },
  {
    name: '6.2.6: untracked Allow of egress accepts normal egress',
    in: [ETH0, untracked('out', { egress: [rule('allow')] })],
    ...LEAVING,
    packet: HTTP_OUT,
    out: 'untracked-out@eth0:allow:gnp/out[0] output@eth0:allow:accepted-earlier',
  },
  {
    name: '3.6: a wildcard has no untracked policy',
    in: [ALL, untracked('in', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@all:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '3.6: untracked judges before conntrack: established or not',
    in: [ETH0, untracked('in', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    state: 'established',
    out: 'untracked-in@eth0:deny:gnp/in[0]',
  },
  {
    name: '3.6: pre-DNAT sees the original destination',
    in: [ALL, preDnat('pre', { ingress: [rule('deny', to(30_080))] })],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    before: { packet: NODE_PORT },
    out: 'pre-dnat@all:deny:gnp/pre[0]',
  },
  {
    name: '3.6: and not the new one',
    in: [ALL, preDnat('pre', { ingress: [rule('deny', to(80))] })],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    before: { packet: NODE_PORT },
    out: 'pre-dnat@all:allow:undecided forward-in@all:allow:no-forward-policy to-workload@shop/web:allow:pro/kns.shop[0] forward-out@all:allow:no-forward-policy',
  },
  {
    name: '3.6: forward, workload and input see the new one',
    in: [ALL, forward('fwd', { ...IN, ingress: [rule('deny', to(80))] })],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    before: { packet: NODE_PORT },
    out: 'forward-in@all:deny:gnp/fwd[0]',
  },
  {
    name: '3.6: pre-DNAT Allow accepts the later ingress stages',
    in: [ETH0, preDnat('pre', { ingress: [rule('allow')] }), hosts('deny', {})],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'pre-dnat@eth0:allow:gnp/pre[0] input@eth0:allow:accepted-earlier',
  },
  {
    name: '3.6: but not workload policy',
    in: [
      ETH0,
      preDnat('pre', { ingress: [rule('allow')] }),
      forward('fwd', { ...IN, ingress: [rule('deny')] }),
      policy('web', { namespace: 'shop', types: ['ingress'] }),
    ],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    out: 'pre-dnat@eth0:allow:gnp/pre[0] forward-in@eth0:allow:accepted-earlier to-workload@shop/web:deny:end-of-tier',
  },
  {
    name: '3.6: established packets bypass pre-DNAT policy',
    in: [ETH0, preDnat('pre', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: HTTP_IN,
    state: 'established',
    out: 'pre-dnat@eth0:allow:established input@eth0:allow:established',
  },
  {
    name: '3.6: pre-DNAT of a wildcard judges what local workloads send',
    in: [ALL, preDnat('pre', { ingress: [rule('deny')] })],
    ...FROM_WEB,
    packet: HTTP_FROM_WEB,
    out: 'pre-dnat@all:deny:gnp/pre[0]',
  },
  {
    name: '3.6: even to the host, which host ingress does not',
    in: [ALL, preDnat('pre', { ingress: [rule('deny')] })],
    from: AT_WEB,
    to: HOST,
    packet: WEB_TO_HOST,
    out: 'pre-dnat@all:deny:gnp/pre[0]',
  },
  {
    name: '3.6: pre-DNAT of a wildcard not where a named one is',
    in: [
      ALL,
      { ...ETH0, labels: {}, profiles: ALL.profiles },
      preDnat('pre', { ingress: [rule('deny')] }),
    ],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '3.6: pre-DNAT Allow of a wildcard does not allow a workload’s egress',
    in: [
      ALL,
      preDnat('pre', { ingress: [rule('allow')] }),
      policy('web', { namespace: 'shop', types: ['egress'] }),
    ],
    from: AT_WEB,
    to: HOST,
    packet: WEB_TO_HOST,
    out: 'pre-dnat@all:allow:gnp/pre[0] from-workload@shop/web:deny:end-of-tier',
  },
  // 3.7
  {
    name: '3.7: established is accepted, however forward policy is',
    in: [ETH0, forward('fwd', {})],
    ...THROUGH,
    packet: HTTP_THROUGH,
    state: 'established',
    out: 'forward-in@eth0:allow:established',
  },
  {
    name: '3.7: invalid is dropped, even without forward policy',
    in: [ETH0],
    ...THROUGH,
    packet: HTTP_THROUGH,
    state: 'invalid',
    out: 'forward-in@eth0:deny:invalid',
  },
  {
    name: '6.2.1: unless that is switched off',
    in: [ETH0],
    config: { denyInvalid: false },
    ...THROUGH,
    packet: HTTP_THROUGH,
    state: 'invalid',
    out: 'forward-in@eth0:allow:no-forward-policy',
  },
  {
    name: '3.7: no failsafes here',
    in: [ETH0, forward('fwd', IN)],
    ...THROUGH,
    packet: { ...HTTP_THROUGH, dport: 22 },
    out: 'forward-in@eth0:deny:end-of-tier',
  },
  {
    name: '3.7: no profiles here',
    in: [{ ...ETH0, profiles: ['gone'] }, forward('fwd', { ...IN, ingress: [rule('pass')] })],
    ...THROUGH,
    packet: HTTP_THROUGH,
    out: 'forward-in@eth0:allow:undecided',
  },
  {
    name: '3.7: forward tiers without policy for the direction decide nothing',
    in: [ETH0, forward('fwd', OUT)],
    ...THROUGH,
    packet: HTTP_THROUGH,
    out: 'forward-in@eth0:allow:undecided',
  },
  {
    name: '3.7: the end of a forward tier drops',
    in: [ETH1, forward('fwd', { ...OUT, egress: [rule('allow', to(81))] })],
    ...THROUGH,
    packet: HTTP_THROUGH,
    out: 'forward-out@eth1:deny:end-of-tier',
  },
  {
    name: '3.7: a tier that passes at its end does not',
    in: [ETH1, tier('t', 1, 'pass'), forward('fwd', { ...OUT, tier: 't' })],
    ...THROUGH,
    packet: HTTP_THROUGH,
    out: 'forward-out@eth1:allow:undecided',
  },
  {
    name: '3.7: order: in, from workload, to workload, out',
    in: [ALL, forward('fwd', { ingress: [rule('allow')], egress: [rule('allow')] })],
    from: AT_WEB,
    to: AT_DB,
    packet: packet('10.0.0.1', '10.0.0.2', 80),
    out: 'forward-in@all:allow:gnp/fwd[0] from-workload@shop/web:allow:pro/kns.shop[0] to-workload@shop/db:allow:pro/kns.shop[0] forward-out@all:allow:gnp/fwd[0]',
  },
  {
    name: '3.7: a pod’s packets that leave meet the outgoing endpoint',
    in: [ETH0, forward('fwd', { egress: [rule('deny')] })],
    ...FROM_WEB,
    packet: HTTP_FROM_WEB,
    out: 'from-workload@shop/web:allow:pro/kns.shop[0] forward-out@eth0:deny:gnp/fwd[0]',
  },
  {
    name: '3.6: normal policy does not see what is forwarded',
    in: [ETH0, ETH1, hosts('deny', { ingress: [rule('deny')], egress: [rule('deny')] })],
    ...THROUGH,
    packet: HTTP_THROUGH,
    out: 'forward-in@eth0:allow:no-forward-policy forward-out@eth1:allow:no-forward-policy',
  },
  // 3.8
  {
    name: '3.8: the wildcard is skipped for what the host sends to workloads',
    in: [BARE_ALL, hosts('deny', { egress: [rule('deny')] })],
    from: HOST,
    to: AT_WEB,
    packet: packet('192.0.2.1', '10.0.0.1', 80),
    out: 'to-workload@shop/web:allow:host-to-workload',
  },
  {
    name: '3.8: after DNAT too',
    in: [BARE_ALL, hosts('deny', { egress: [rule('deny')] })],
    from: HOST,
    to: AT_WEB,
    packet: packet('192.0.2.1', '10.0.0.1', 80),
    before: { packet: packet('192.0.2.1', '10.96.0.1', 80), outInterface: 'eth0' },
    out: 'to-workload@shop/web:allow:host-to-workload',
  },
  {
    name: '3.8: packets from workload interfaces never reach host ingress',
    in: [BARE_ALL, hosts('deny', { ingress: [rule('deny')] })],
    from: AT_WEB,
    to: HOST,
    packet: WEB_TO_HOST,
    out: 'from-workload@shop/web:allow:pro/kns.shop[0] input@:allow:endpoint-to-host',
  },
  {
    name: '3.8: nor from unknown ones; those are closed anyway',
    in: [ALL],
    from: UNKNOWN,
    to: HOST,
    packet: WEB_TO_HOST,
    out: 'from-workload@:deny:unknown-interface',
  },
  // 3.9
  {
    name: '3.9: Drop, whatever host policy allows',
    in: [ALL, hosts('allow', { ingress: [rule('allow')] })],
    config: { defaultEndpointToHostAction: 'Drop' },
    from: AT_WEB,
    to: HOST,
    packet: WEB_TO_HOST,
    out: 'from-workload@shop/web:allow:pro/kns.shop[0] input@:deny:endpoint-to-host',
  },
  {
    name: '6.2.1: a pod that its host has contacted answers, even with Drop',
    in: [policy('web', { namespace: 'shop', types: ['egress'] })],
    config: { defaultEndpointToHostAction: 'Drop' },
    from: AT_WEB,
    to: HOST,
    packet: WEB_TO_HOST,
    state: 'established',
    out: 'from-workload@shop/web:allow:established',
  },
  {
    name: '6.2.1: established comes before the ban on tunnels',
    in: [],
    ...FROM_WEB,
    packet: portless('10.0.0.1', '203.0.113.9', 4),
    state: 'established',
    out: 'from-workload@shop/web:allow:established',
  },
  {
    name: '6.2.1: invalid is denied at workloads',
    in: [],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    state: 'invalid',
    out: 'to-workload@shop/web:deny:invalid',
  },
  {
    name: '6.2.6: what the host sends is judged after DNAT, by the new interface',
    in: [ETH1, hosts('out', { ...OUT, egress: [rule('deny', to(8080))] })],
    ...LEAVING,
    outInterface: 'eth1',
    packet: packet('192.0.2.1', '198.51.100.7', 8080),
    before: { packet: packet('192.0.2.1', '10.96.0.1', 80), outInterface: 'eth0' },
    out: 'post-dnat@eth1:deny:gnp/out[0]',
  },
  {
    name: '6.2.6: and not by the stale one',
    in: [ETH0],
    ...LEAVING,
    outInterface: 'eth1',
    packet: packet('192.0.2.1', '198.51.100.7', 8080),
    before: { packet: packet('192.0.2.1', '10.96.0.1', 80), outInterface: 'eth0' },
    out: 'post-dnat@:allow:no-host-endpoint',
  },
  {
    name: '3.6: untracked egress sees the stale one and the old destination',
    in: [ETH0, untracked('out', { egress: [rule('deny', to(80))] })],
    ...LEAVING,
    outInterface: 'eth1',
    packet: packet('192.0.2.1', '198.51.100.7', 8080),
    before: { packet: packet('192.0.2.1', '10.96.0.1', 80), outInterface: 'eth0' },
    out: 'untracked-out@eth0:deny:gnp/out[0]',
  },
  // 6.1
  {
    name: '6.1: failsafes come before normal policy',
    in: [ETH0, hosts('deny', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: { ...HTTP_IN, dport: 22 },
    out: 'input@eth0:allow:failsafe',
  },
  {
    name: '6.1: of the protocol',
    in: [ETH0],
    ...ARRIVING,
    packet: { ...HTTP_IN, dport: 22, protocol: 17 },
    out: 'input@eth0:deny:no-profile',
  },
  {
    name: '6.1: by destination port, not by source port',
    in: [ETH0],
    ...ARRIVING,
    packet: { ...HTTP_IN, sport: 53, protocol: 17 },
    out: 'input@eth0:deny:no-profile',
  },
  {
    name: '6.1: outbound has its own list',
    in: [ETH0],
    ...LEAVING,
    packet: { ...HTTP_OUT, dport: 22 },
    out: 'output@eth0:deny:no-profile',
  },
  {
    name: '6.1: outbound DNS',
    in: [ETH0],
    ...LEAVING,
    packet: { ...HTTP_OUT, dport: 53, protocol: 17 },
    out: 'output@eth0:allow:failsafe',
  },
  {
    name: '6.1: inbound net is the source',
    in: [ETH0],
    config: {
      failsafes: { ingress: [{ protocol: 6, port: 80, net: cidr('203.0.113.0/24') }], egress: [] },
    },
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:allow:failsafe',
  },
  {
    name: '6.1: nobody else’s',
    in: [ETH0],
    config: {
      failsafes: { ingress: [{ protocol: 6, port: 80, net: cidr('192.0.2.0/24') }], egress: [] },
    },
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:deny:no-profile',
  },
  {
    name: '6.1: outbound net is the destination',
    in: [ETH0],
    config: {
      failsafes: { ingress: [], egress: [{ protocol: 6, port: 80, net: cidr('203.0.113.9/32') }] },
    },
    ...LEAVING,
    packet: HTTP_OUT,
    out: 'output@eth0:allow:failsafe',
  },
  {
    name: '6.1: a net of the other family is left out',
    in: [ETH0],
    config: { failsafes: { ingress: [{ protocol: 6, port: 80, net: cidr('::/0') }], egress: [] } },
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@eth0:deny:no-profile',
  },
  {
    name: '6.1: not without a host endpoint, not at workloads',
    in: [policy('web', { namespace: 'shop', types: ['ingress'] })],
    ...TO_WEB,
    packet: { ...HTTP_TO_WEB, dport: 22 },
    out: 'to-workload@shop/web:deny:end-of-tier',
  },
  {
    name: '6.1: a failsafe protects forwarded packets from pre-DNAT denies, and from those only',
    in: [ETH0, preDnat('pre', { ingress: [rule('deny')] }), forward('fwd', IN)],
    ...THROUGH,
    packet: { ...HTTP_THROUGH, dport: 22 },
    out: 'pre-dnat@eth0:allow:failsafe forward-in@eth0:deny:end-of-tier',
  },
  {
    name: '6.1: pre-DNAT looks for the original port',
    in: [{ ...ETH0, profiles: ALL.profiles }, preDnat('pre', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: { ...HTTP_IN, dport: 2222 },
    before: { packet: { ...HTTP_IN, dport: 22 } },
    out: 'pre-dnat@eth0:allow:failsafe input@eth0:allow:pro/projectcalico-default-allow[0]',
  },
  {
    name: '6.1: and input for the new one: a failsafe of an earlier stage allows nothing there',
    in: [ETH0, preDnat('pre', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: { ...HTTP_IN, dport: 2222 },
    before: { packet: { ...HTTP_IN, dport: 22 } },
    out: 'pre-dnat@eth0:allow:failsafe input@eth0:deny:no-profile',
  },
  {
    name: '6.1: failsafes come before untracked denies, and raw ends with them',
    in: [ETH0, untracked('in', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: { ...HTTP_IN, dport: 22 },
    out: 'untracked-in@eth0:allow:failsafe input@eth0:allow:failsafe',
  },
  {
    name: '6.1: in raw, answers to outbound failsafes pass',
    in: [ETH0, untracked('in', { ingress: [rule('deny')] })],
    ...ARRIVING,
    packet: { ...HTTP_IN, protocol: 17, sport: 53, dport: 40_000 },
    state: 'established',
    out: 'untracked-in@eth0:allow:failsafe input@eth0:allow:established',
  },
  {
    name: '6.1: in raw, answers from inbound failsafe ports pass',
    in: [ETH0, untracked('out', { egress: [rule('deny')] })],
    ...LEAVING,
    packet: { ...HTTP_OUT, sport: 22, dport: 40_000 },
    state: 'established',
    out: 'untracked-out@eth0:allow:failsafe output@eth0:allow:established',
  },
  {
    name: '6.1: an accept in raw still needs a connection or a failsafe in filter',
    in: [ETH0, untracked('out', { egress: [rule('deny')] })],
    ...LEAVING,
    packet: { ...HTTP_OUT, sport: 22, dport: 40_000 },
    out: 'untracked-out@eth0:allow:failsafe output@eth0:deny:no-profile',
  },
  {
    name: '6.1: the net of a reversed entry is the other end',
    in: [ETH0, untracked('out', { egress: [rule('deny')] })],
    config: {
      failsafes: { ingress: [{ protocol: 6, port: 22, net: cidr('192.0.2.0/24') }], egress: [] },
    },
    ...LEAVING,
    packet: { ...HTTP_OUT, sport: 22, dport: 40_000 },
    out: 'untracked-out@eth0:deny:gnp/out[0]',
  },
  {
    name: '6.1: the wildcard has failsafes too',
    in: [BARE_ALL],
    ...ARRIVING,
    packet: { ...HTTP_IN, dport: 22 },
    out: 'input@all:allow:failsafe',
  },
  // 6.2.4, 6.2.6
  {
    name: '6.2.4: IPIP from a peer is allowed before policy',
    in: [ETH0],
    config: { ipip: true, externalNodes: [cidr('203.0.113.0/24')] },
    ...ARRIVING,
    packet: portless('203.0.113.9', '192.0.2.1', 4),
    out: 'input@:allow:tunnel',
  },
  {
    name: '6.2.4: the addresses of Nodes are peers',
    in: [ETH0, { kind: 'Node', name: 'node-b', labels: {}, addresses: [address('203.0.113.9')] }],
    config: { ipip: true },
    ...ARRIVING,
    packet: portless('203.0.113.9', '192.0.2.1', 4),
    out: 'input@:allow:tunnel',
  },
  {
    name: '6.2.4: IPIP from anybody else is denied, without host endpoints too',
    in: [],
    config: { ipip: true, externalNodes: [cidr('192.0.2.0/24')] },
    ...ARRIVING,
    packet: portless('203.0.113.9', '192.0.2.1', 4),
    out: 'input@:deny:tunnel-stranger',
  },
  {
    name: '6.2.4: where IPIP is not in use, policy decides',
    in: [ETH0],
    ...ARRIVING,
    packet: portless('203.0.113.9', '192.0.2.1', 4),
    out: 'input@eth0:deny:no-profile',
  },
  {
    name: '6.2.4: VXLAN from a peer',
    in: [ETH0],
    config: { vxlan: true, externalNodes: [cidr('203.0.113.9/32')] },
    ...ARRIVING,
    packet: { ...HTTP_IN, protocol: 17, dport: 4789 },
    out: 'input@:allow:tunnel',
  },
  {
    name: '6.2.4: VXLAN from elsewhere',
    in: [ALL],
    config: { vxlan: true },
    ...ARRIVING,
    packet: { ...HTTP_IN, protocol: 17, dport: 4789 },
    out: 'input@:deny:tunnel-stranger',
  },
  {
    name: '6.2.4: WireGuard from anybody, per family',
    in: [ETH0],
    config: { wireguardPorts: { 4: 51_820 } },
    ...ARRIVING,
    packet: { ...HTTP_IN, protocol: 17, dport: 51_820 },
    out: 'input@:allow:tunnel',
  },
  {
    name: '6.2.4: not of the other family',
    in: [ETH0],
    config: { wireguardPorts: { 4: 51_820 } },
    ...ARRIVING,
    packet: packet('2001:db8::9', '2001:db8::1', 51_820, { protocol: 17 }),
    out: 'input@eth0:deny:no-profile',
  },
  {
    name: '6.2.4: tunnels are for packets to the host, not for forwarded ones',
    in: [ETH0, forward('fwd', IN)],
    config: { ipip: true, externalNodes: [cidr('203.0.113.0/24')] },
    ...THROUGH,
    packet: portless('203.0.113.9', '198.51.100.7', 4),
    out: 'forward-in@eth0:deny:end-of-tier',
  },
  {
    name: '6.2.6: IPIP and VXLAN to peers leave before policy',
    in: [ETH0],
    config: { ipip: true, externalNodes: [cidr('203.0.113.0/24')] },
    ...LEAVING,
    packet: portless('192.0.2.1', '203.0.113.9', 4),
    out: 'output@:allow:tunnel',
  },
  {
    name: '6.2.6: to others, policy decides',
    in: [ETH0],
    config: { ipip: true },
    ...LEAVING,
    packet: portless('192.0.2.1', '203.0.113.9', 4),
    out: 'output@eth0:deny:no-profile',
  },
  // A.5
  {
    name: 'A.5: ssh to a named endpoint without policy',
    in: [ETH0],
    ...ARRIVING,
    packet: { ...HTTP_IN, dport: 22 },
    out: 'input@eth0:allow:failsafe',
  },
  {
    name: 'A.5: forwarded to a pod',
    in: [ETH0],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    out: 'forward-in@eth0:allow:no-forward-policy to-workload@shop/web:allow:pro/kns.shop[0]',
  },
  {
    name: 'A.5: normal deny of tcp/80 does not reach a node port',
    in: [ALL, hosts('deny', { ...IN, ingress: [rule('deny', to(80))] })],
    ...TO_WEB,
    packet: HTTP_TO_WEB,
    before: { packet: NODE_PORT },
    out: 'forward-in@all:allow:no-forward-policy to-workload@shop/web:allow:pro/kns.shop[0] forward-out@all:allow:no-forward-policy',
  },
  {
    name: 'A.5: but a host process',
    in: [ALL, hosts('deny', { ...IN, ingress: [rule('deny', to(80))] })],
    ...ARRIVING,
    packet: HTTP_IN,
    out: 'input@all:deny:gnp/deny[0]',
  },
  {
    name: 'A.5: applyOnForward deny of a wildcard stops pod to pod',
    in: [ALL, forward('fwd', { ...IN, ingress: [rule('deny')] })],
    from: AT_WEB,
    to: AT_DB,
    packet: packet('10.0.0.1', '10.0.0.2', 80),
    out: 'forward-in@all:deny:gnp/fwd[0]',
  },
  {
    name: 'A.5: the answer to an untracked request is a new connection of the host',
    in: [ETH0, untracked('dns', { ...IN, ingress: [rule('allow', to(53, UDP))] })],
    ...LEAVING,
    packet: packet('192.0.2.1', '203.0.113.9', 40_000, { protocol: 17, sport: 53 }),
    out: 'untracked-out@eth0:allow:undecided output@eth0:deny:no-profile',
  },
  {
    name: 'the interface is not known: host endpoints are not judged',
    in: [ETH0],
    from: OUTSIDE,
    to: HOST,
    packet: HTTP_IN,
    out: 'to-workload@:allow:not-governed',
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const resources = [namespace('shop'), WEB, DB, ...row.in];
    const decision = evaluateFlow(world(resources, row.config, INTERFACES), row);
    t.is(printStages(decision), row.out);
    t.is(decision.verdict, row.out.includes(':deny:') ? 'deny' : 'allow');
  });
}

/** Labels, not profiles, choose policies; a host endpoint is in no namespace. */
const SELECTIONS: readonly {
  readonly name: string;
  readonly in: Partial<Policy>;
  readonly out: boolean;
}[] = [
  { name: 'no selector', in: { selector: undefined }, out: true },
  { name: 'all()', in: { selector: { kind: 'all' } }, out: true },
  { name: 'a label', in: { selector: equals('role', 'host') }, out: true },
  { name: 'another label', in: { selector: equals('role', 'x') }, out: false },
  {
    name: '2.6: a label that is missing',
    in: { selector: { kind: 'not-equals', label: 'env', value: 'prod' } },
    out: true,
  },
  { name: '2.6: namespaceSelector all()', in: { namespaceSelector: { kind: 'all' } }, out: false },
  {
    name: '2.6: a negative namespaceSelector',
    in: { namespaceSelector: { kind: 'not-equals', label: 'env', value: 'prod' } },
    out: true,
  },
  {
    name: '2.6: serviceAccountSelector all()',
    in: { serviceAccountSelector: { kind: 'all' } },
    out: false,
  },
  { name: 'a namespaced policy', in: { namespace: 'shop', selector: undefined }, out: false },
];

for (const row of SELECTIONS) {
  test(`whom a policy governs: ${row.name}`, (t) => {
    const endpoint: HostEndpoint = { ...ETH0, profiles: ALL.profiles };
    const judged = world([endpoint, hosts('deny', row.in)], {}, INTERFACES);
    const { verdict } = evaluateFlow(judged, { ...ARRIVING, packet: HTTP_IN });
    t.is(verdict, row.out ? 'deny' : 'allow');
  });
}

function printStages(flow: FlowDecision): string {
  return flow.stages
    .map(({ stage, endpoint = '', decision: { verdict, decisive } }) => {
      const why =
        decisive.kind === 'rule'
          ? `${decisive.rule.policy}[${decisive.rule.index}]`
          : decisive.reason;
      return `${stage}@${endpoint}:${verdict}:${why}`;
    })
    .join(' ');
}
