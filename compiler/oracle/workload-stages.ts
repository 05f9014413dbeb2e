/**
 * What is judged at local workloads: built-in rules, then egress of the sender, ingress of the receiver (specification sections 3.9, 6.2.1, 6.2.2,
 * 6.2.4 and 6.2.8).
 */
import type { WorkloadEndpoint } from '../model/cluster.ts';
import { cidrContains, toCidr } from '../model/ip.ts';
import type { Address } from '../model/ip.ts';
import type { Packet } from '../model/packet.ts';
import { decideImplicitly } from './decision.ts';
import type { Decision } from './decision.ts';
import { evaluate } from './evaluate.ts';
import { decideByState, localWorkload, stageOf } from './stage.ts';
import type { FlowStage, Way } from './stage.ts';
import { ownerOf } from './world.ts';
import type { World } from './world.ts';

/** MLD queries, reports and done, router and neighbour solicitation and advertisement but 134 (section 6.2.4). */
const NEIGHBOUR_DISCOVERY_TYPES: readonly number[] = [130, 131, 132, 133, 135, 136];

const ICMPV6 = 58;
const UDP = 17;
const IPV4_IN_IP = 4;

/** On the link of every interface, so the reverse path of such a source is always the interface itself. */
const LINK_LOCAL_V6 = toCidr('fe80::/10');

/** Only where it denies. */
export function judgeSource({ world, flow }: Way): FlowStage | undefined {
  const endpoint = localWorkload(world, flow.from);
  if (endpoint === undefined) return undefined;
  const reason = !endpoint.active
    ? 'inactive-endpoint'
    : maySendFrom(world, endpoint, flow.packet.saddr)
      ? undefined
      : 'spoofed-source';
  if (reason === undefined) return undefined;
  return stageOf('from-workload', endpoint, decideImplicitly('deny', reason));
}

export function judgeFromWorkload(way: Way): FlowStage | undefined {
  const { world, flow } = way;
  const { from, to, packet } = flow;
  if (from.kind === 'unknown-interface') {
    return stageOf('from-workload', undefined, decideImplicitly('deny', 'unknown-interface'));
  }
  const endpoint = localWorkload(world, from);
  if (endpoint === undefined) return undefined;
  const decision =
    to.kind === 'host' && isNeighbourDiscovery(packet)
      ? decideImplicitly('allow', 'neighbour-discovery')
      : (decideByState(way) ??
        (isBannedTunnel(world, packet)
          ? decideImplicitly('deny', 'encapsulation')
          : evaluate(world, endpoint, 'egress', packet)));
  return stageOf('from-workload', endpoint, decision);
}

/** After its egress policy; answers pass without (section 6.2.1). */
export function judgeEndpointToHost(way: Way): FlowStage | undefined {
  const { world, flow } = way;
  if (localWorkload(world, flow.from) === undefined) return undefined;
  if (decideByState(way)?.verdict === 'allow') return undefined;
  const verdict = world.config.defaultEndpointToHostAction === 'Drop' ? 'deny' : 'allow';
  return stageOf('input', undefined, decideImplicitly(verdict, 'endpoint-to-host'));
}

/** What the host sends by a workload's interface, known or not, nobody judges (section 6.2.6). */
export function judgeToWorkload(way: Way): FlowStage | undefined {
  const { world, flow } = way;
  const { from, to, packet } = flow;
  const endpoint = localWorkload(world, to);
  if (endpoint === undefined && to.kind !== 'unknown-interface') return undefined;
  const decide = (): Decision => {
    if (from.kind === 'host') return decideImplicitly('allow', 'host-to-workload');
    if (endpoint === undefined) return decideImplicitly('deny', 'unknown-interface');
    return decideByState(way) ?? evaluate(world, endpoint, 'ingress', packet);
  };
  return stageOf('to-workload', endpoint, decide());
}

function isBannedTunnel({ config }: World, { protocol, dport }: Packet): boolean {
  const isVxlan = protocol === UDP && dport === config.vxlanPort;
  const isIpip = protocol === IPV4_IN_IP;
  return (isVxlan && !config.allowVxlanFromWorkloads) || (isIpip && !config.allowIpipFromWorkloads);
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
