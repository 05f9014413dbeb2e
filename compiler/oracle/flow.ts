/**
 * The verdict on a new connection between two places, as this node sees it: built-in rules, then egress at the sender, then
 * ingress at the receiver, each only where the workload is local (specification sections 3.9, 6.2.1, 6.2.4, 6.2.8).
 * Refuses to know host endpoints' policies: what neither end's workload governs is allowed as `not-governed`.
 */
import type { WorkloadEndpoint } from '../model/cluster.ts';
import { cidrContains, toCidr } from '../model/ip.ts';
import type { Address } from '../model/ip.ts';
import type { Packet } from '../model/packet.ts';
import type { Direction } from '../model/policy.ts';
import { decideImplicitly } from './decision.ts';
import type { Decision, Verdict } from './decision.ts';
import { evaluate } from './evaluate.ts';
import { isSameAddress, ownerOf, resourcesOf } from './world.ts';
import type { World } from './world.ts';

/** Where a packet comes from or goes to. A workload of another node is judged there, not here. */
export type FlowEnd =
  | { readonly kind: 'workload'; readonly endpoint: WorkloadEndpoint }
  /** A process of this node, host-networked pods included. */
  | { readonly kind: 'host' }
  | { readonly kind: 'external' }
  /** An interface with the workload prefix that no endpoint claims. */
  | { readonly kind: 'unknown-interface' };

/** `packet` as it is after DNAT. */
export interface Flow {
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  readonly packet: Packet;
}

/** One judgement: `endpoint` is the workload's id, `undefined` where none is involved. */
export interface FlowStage {
  readonly endpoint: string | undefined;
  readonly direction: Direction;
  readonly decision: Decision;
}

/** Denied by the first stage that denies, which is then the last; allowed when all allow. At least one stage. */
export interface FlowDecision {
  readonly verdict: Verdict;
  readonly stages: readonly FlowStage[];
}

/** MLD queries, reports and done, router and neighbour solicitation and advertisement but 134 (section 6.2.4). */
const NEIGHBOUR_DISCOVERY_TYPES: readonly number[] = [130, 131, 132, 133, 135, 136];

const ICMPV6 = 58;
const UDP = 17;
const IPV4_IN_IP = 4;

/** On the link of every interface, so the reverse path of such a source is always the interface itself. */
const LINK_LOCAL_V6 = toCidr('fe80::/10');

export function evaluateFlow(world: World, flow: Flow): FlowDecision {
  const stages: FlowStage[] = [];
  for (const judge of [judgeSender, judgeReceiver]) {
    const stage = judge(world, flow);
    if (stage === undefined) continue;
    stages.push(stage);
    if (stage.decision.verdict === 'deny') return { verdict: 'deny', stages };
  }
  if (stages.length === 0)
    stages.push(unjudged('ingress', decideImplicitly('allow', 'not-governed')));
  return { verdict: 'allow', stages };
}

/** Who has the address: the workload that owns it, this node, or somebody else. */
export function findEnd(world: World, address: Address): FlowEnd {
  const endpoint = ownerOf(world, address);
  if (endpoint !== undefined) return { kind: 'workload', endpoint };
  const hasAddress = (own: Address): boolean => isSameAddress(own, address);
  const isHost =
    resourcesOf(world, 'Node').some((n) => n.name === world.node && n.addresses.some(hasAddress)) ||
    resourcesOf(world, 'HostEndpoint').some(
      (host) => host.node === world.node && host.expectedIPs.some(hasAddress),
    );
  return { kind: isHost ? 'host' : 'external' };
}

function judgeSender(world: World, { from, to, packet }: Flow): FlowStage | undefined {
  if (from.kind === 'unknown-interface') {
    return unjudged('egress', decideImplicitly('deny', 'unknown-interface'));
  }
  if (from.kind !== 'workload' || from.endpoint.node !== world.node) return undefined;
  const { endpoint } = from;
  const decision =
    decideBeforeEgress(world, endpoint, to, packet) ?? evaluate(world, endpoint, 'egress', packet);
  return { endpoint: endpoint.id, direction: 'egress', decision };
}

/** What is decided before the tiers of a sending workload are looked at. */
function decideBeforeEgress(
  world: World,
  endpoint: WorkloadEndpoint,
  to: FlowEnd,
  packet: Packet,
): Decision | undefined {
  const { config } = world;
  if (!endpoint.active) return decideImplicitly('deny', 'inactive-endpoint');
  if (!maySendFrom(world, endpoint, packet.saddr))
    return decideImplicitly('deny', 'spoofed-source');
  if (to.kind === 'host' && isNeighbourDiscovery(packet)) {
    return decideImplicitly('allow', 'neighbour-discovery');
  }
  const isVxlan = packet.protocol === UDP && packet.dport === config.vxlanPort;
  const isIpip = packet.protocol === IPV4_IN_IP;
  if ((isVxlan && !config.allowVxlanFromWorkloads) || (isIpip && !config.allowIpipFromWorkloads)) {
    return decideImplicitly('deny', 'encapsulation');
  }
  return undefined;
}

function judgeReceiver(world: World, { from, to, packet }: Flow): FlowStage | undefined {
  const isFromLocal = from.kind === 'workload' && from.endpoint.node === world.node;
  switch (to.kind) {
    case 'unknown-interface':
      return unjudged('ingress', decideImplicitly('deny', 'unknown-interface'));
    case 'external':
      return undefined;
    case 'host': {
      if (!isFromLocal || isNeighbourDiscovery(packet)) return undefined;
      const verdict = world.config.defaultEndpointToHostAction === 'Drop' ? 'deny' : 'allow';
      return unjudged('ingress', decideImplicitly(verdict, 'endpoint-to-host'));
    }
    case 'workload': {
      const { endpoint } = to;
      if (endpoint.node !== world.node) return undefined;
      const decision =
        from.kind === 'host' && endpoint.active
          ? decideImplicitly('allow', 'host-to-workload')
          : evaluate(world, endpoint, 'ingress', packet);
      return { endpoint: endpoint.id, direction: 'ingress', decision };
    }
  }
}

function maySendFrom(world: World, endpoint: WorkloadEndpoint, source: Address): boolean {
  if (ownerOf(world, source)?.id === endpoint.id) return true;
  if (LINK_LOCAL_V6 !== undefined && cidrContains(LINK_LOCAL_V6, source)) return true;
  return (
    world.config.allowSourceSpoofing &&
    endpoint.allowedSourcePrefixes.some((prefix) => cidrContains(prefix, source))
  );
}

function isNeighbourDiscovery(packet: Packet): boolean {
  return (
    packet.family === 6 &&
    packet.protocol === ICMPV6 &&
    packet.icmpType !== undefined &&
    NEIGHBOUR_DISCOVERY_TYPES.includes(packet.icmpType)
  );
}

function unjudged(direction: Direction, decision: Decision): FlowStage {
  return { endpoint: undefined, direction, decision };
}
