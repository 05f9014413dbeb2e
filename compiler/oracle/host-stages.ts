/**
 * What is judged at the host's own interfaces: one function per hook, each in the order of its rules (specification sections 3.6 to 3.8, 6.1 and
 * 6.2). Refuses to know workloads' policies.
 */
import type { HostEndpoint } from '../model/cluster.ts';
import type { Packet } from '../model/packet.ts';
import type { Direction } from '../model/policy.ts';
import { decideImplicitly } from './decision.ts';
import type { Decision } from './decision.ts';
import { evaluate } from './evaluate.ts';
import { isFailsafe, isFailsafeReply } from './failsafe.ts';
import { anyHostEndpoint, namedHostEndpoint } from './host-endpoint.ts';
import { decideByState, linkIn, linkNamed, linkOut, stageOf } from './stage.ts';
import type { FlowStage, Link, StageName, Way } from './stage.ts';
import { policiesOf } from './tiers.ts';
import { isPeerNode } from './world.ts';
import type { World } from './world.ts';

const UDP = 17;
const IPV4_IN_IP = 4;

/** raw PREROUTING, step 7. */
export function judgeUntrackedIn(way: Way): FlowStage | undefined {
  return judgeUntracked(way, 'untracked-in', 'ingress', linkIn(way));
}

/** raw OUTPUT, where the packet still goes to where it was sent to. */
export function judgeUntrackedOut(way: Way): FlowStage | undefined {
  const { world, flow } = way;
  const link =
    flow.before === undefined ? linkOut(way) : linkNamed(world, flow.before.outInterface);
  return judgeUntracked(way, 'untracked-out', 'egress', link);
}

/** Not on wildcards (section 3.6). Without connection tracking, so answers need rules of their own. */
function judgeUntracked(
  { world, flow }: Way,
  stage: StageName,
  direction: Direction,
  link: Link | undefined,
): FlowStage | undefined {
  const endpoint = link && namedHostEndpoint(world, link);
  if (endpoint === undefined || policiesOf(world, endpoint, 'untracked').length === 0) {
    return undefined;
  }
  const packet = flow.before?.packet ?? flow.packet;
  const { failsafes } = world.config;
  const isSafe =
    isFailsafe(failsafes, direction, packet) || isFailsafeReply(failsafes, direction, packet);
  const decision = isSafe
    ? decideImplicitly('allow', 'failsafe')
    : evaluate(world, endpoint, direction, packet, 'untracked');
  return stageOf(stage, endpoint, decision);
}

/** mangle PREROUTING: on what workloads send too, where a wildcard governs the interface. */
export function judgePreDnat(way: Way): FlowStage | undefined {
  const { world, flow, isAcceptedEarlier } = way;
  const link = linkIn(way);
  const endpoint = link && anyHostEndpoint(world, link);
  if (endpoint === undefined || policiesOf(world, endpoint, 'pre-dnat').length === 0) {
    return undefined;
  }
  const packet = flow.before?.packet ?? flow.packet;
  const decision = isAcceptedEarlier
    ? decideImplicitly('allow', 'accepted-earlier')
    : (decideByState(way) ??
      decideByFailsafe(world, 'ingress', packet) ??
      evaluate(world, endpoint, 'ingress', packet, 'pre-dnat'));
  return stageOf('pre-dnat', endpoint, decision);
}

/** filter INPUT, steps 1 to 3: whoever has sent it, and whatever governs the interface. */
export function judgeTunnel({ world, flow }: Way): FlowStage | undefined {
  const { packet } = flow;
  if (isIpip(world, packet) || isVxlan(world, packet)) {
    const decision = isPeerNode(world, packet.saddr)
      ? decideImplicitly('allow', 'tunnel')
      : decideImplicitly('deny', 'tunnel-stranger');
    return stageOf('input', undefined, decision);
  }
  if (!isWireguard(world, packet)) return undefined;
  return stageOf('input', undefined, decideImplicitly('allow', 'tunnel'));
}

/** filter INPUT, steps 5 and 6. What workloads send does not come here (step 4). */
export function judgeInput(way: Way): FlowStage | undefined {
  const { world, flow, isAcceptedEarlier } = way;
  const link = linkIn(way);
  if (link?.kind !== 'host') return undefined;
  const endpoint = anyHostEndpoint(world, link);
  if (endpoint === undefined) {
    return stageOf('input', undefined, decideImplicitly('allow', 'no-host-endpoint'));
  }
  const decision = isAcceptedEarlier
    ? decideImplicitly('allow', 'accepted-earlier')
    : decideNormal(way, endpoint, 'ingress', flow.packet);
  return stageOf('input', endpoint, decision);
}

/** filter OUTPUT. Whose destination was replaced comes later: here the interface is still the one of before. */
export function judgeOutput(way: Way): FlowStage | undefined {
  const { world, flow } = way;
  if (flow.before !== undefined || linkOut(way)?.kind !== 'host') return undefined;
  return isTunnelOut(world, flow.packet)
    ? stageOf('output', undefined, decideImplicitly('allow', 'tunnel'))
    : judgeLeaving(way, 'output');
}

/** mangle POSTROUTING, step 3. */
export function judgePostDnat(way: Way): FlowStage | undefined {
  return way.flow.before === undefined ? undefined : judgeLeaving(way, 'post-dnat');
}

/** Never at a workload's interface (sections 3.8 and 3.9). */
function judgeLeaving(way: Way, stage: StageName): FlowStage | undefined {
  const link = linkOut(way);
  if (link?.kind !== 'host') return undefined;
  const endpoint = anyHostEndpoint(way.world, link);
  if (endpoint === undefined) {
    return stageOf(stage, undefined, decideImplicitly('allow', 'no-host-endpoint'));
  }
  const decision = way.isAcceptedEarlier
    ? decideImplicitly('allow', 'accepted-earlier')
    : decideNormal(way, endpoint, 'egress', way.flow.packet);
  return stageOf(stage, endpoint, decision);
}

/** filter FORWARD, step 3. */
export function judgeForwardIn(way: Way): FlowStage | undefined {
  return judgeForward(way, 'forward-in', 'ingress', linkIn(way));
}

/** filter FORWARD, step 5: what an earlier stage has allowed at the other interface counts for nothing here (section 3.6). */
export function judgeForwardOut(way: Way): FlowStage | undefined {
  const atOut = { ...way, isAcceptedEarlier: false };
  return judgeForward(atOut, 'forward-out', 'egress', linkOut(way));
}

/** Section 3.7. A wildcard governs workloads' interfaces too (section 3.8). */
function judgeForward(
  way: Way,
  stage: StageName,
  direction: Direction,
  link: Link | undefined,
): FlowStage | undefined {
  const { world, flow, isAcceptedEarlier } = way;
  const endpoint = link && anyHostEndpoint(world, link);
  if (endpoint === undefined) return undefined;
  if (isAcceptedEarlier) {
    return stageOf(stage, endpoint, decideImplicitly('allow', 'accepted-earlier'));
  }
  const hasPolicies = policiesOf(world, endpoint, 'forward').length > 0;
  const decision =
    decideByState(way) ??
    (hasPolicies
      ? evaluate(world, endpoint, direction, flow.packet, 'forward')
      : decideImplicitly('allow', 'no-forward-policy'));
  return stageOf(stage, endpoint, decision);
}

/** The chain of section 6.2.1, failsafes, tiers, profiles. */
function decideNormal(
  way: Way,
  endpoint: HostEndpoint,
  direction: Direction,
  packet: Packet,
): Decision {
  return (
    decideByState(way) ??
    decideByFailsafe(way.world, direction, packet) ??
    evaluate(way.world, endpoint, direction, packet)
  );
}

function decideByFailsafe(
  { config }: World,
  direction: Direction,
  packet: Packet,
): Decision | undefined {
  const isSafe = isFailsafe(config.failsafes, direction, packet);
  return isSafe ? decideImplicitly('allow', 'failsafe') : undefined;
}

function isTunnelOut(world: World, packet: Packet): boolean {
  const isTunnel = isIpip(world, packet) || isVxlan(world, packet);
  return (isTunnel && isPeerNode(world, packet.daddr)) || isWireguard(world, packet);
}

function isIpip({ config }: World, { family, protocol }: Packet): boolean {
  return config.ipip && family === 4 && protocol === IPV4_IN_IP;
}

function isVxlan({ config }: World, { protocol, dport }: Packet): boolean {
  return config.vxlan && protocol === UDP && dport === config.vxlanPort;
}

function isWireguard({ config }: World, { family, protocol, dport }: Packet): boolean {
  return protocol === UDP && dport !== undefined && dport === config.wireguardPorts[family];
}
