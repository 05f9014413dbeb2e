/**
 * What host policy can never close: ports (specification section 6.1), and the ICMPv6 without which IPv6 reaches none of them. Refuses to know where in the order of a hook they stand:
 * host-stages.ts.
 */
import { cidrContains } from '../model/ip.ts';
import type { Cidr } from '../model/ip.ts';
import type { Packet } from '../model/packet.ts';
import type { Direction } from '../model/policy.ts';

export interface Failsafe {
  /** 6 or 17. */
  readonly protocol: number;
  readonly port: number;
  /** The other end's; `undefined` = anybody of either family. */
  readonly net: Cidr | undefined;
}

export type Failsafes = Readonly<Record<Direction, readonly Failsafe[]>>;

const tcp = (port: number): Failsafe => ({ protocol: 6, port, net: undefined });
const udp = (port: number): Failsafe => ({ protocol: 17, port, net: undefined });
const CLUSTER = [179, 2379, 2380, 5473, 6443, 6666, 6667].map(tcp);

export const DEFAULT_FAILSAFES: Failsafes = {
  ingress: [tcp(22), udp(68), ...CLUSTER],
  egress: [udp(53), udp(67), ...CLUSTER],
};

/** Listener discovery (RFC 2710, 3810), router and neighbour solicitation and advertisement (RFC 4861). */
const LINK_TYPES: readonly (number | undefined)[] = [130, 131, 132, 143, 133, 134, 135, 136];

const ICMPV6 = 58;

/** By destination port; the net is that of the other end: the source of what comes in, the destination of what goes out. */
export function isFailsafe(failsafes: Failsafes, direction: Direction, packet: Packet): boolean {
  if (holdsLinkTogether(packet)) return true;
  return failsafes[direction].some(
    ({ protocol, port, net }) =>
      packet.protocol === protocol && packet.dport === port && isWith(net, direction, packet),
  );
}

/** An answer to what the other direction's list lets pass: by source port. Only untracked policy needs it, which has no memory. */
export function isFailsafeReply(
  failsafes: Failsafes,
  direction: Direction,
  packet: Packet,
): boolean {
  const asked = failsafes[direction === 'ingress' ? 'egress' : 'ingress'];
  return asked.some(
    ({ protocol, port, net }) =>
      packet.protocol === protocol && packet.sport === port && isWith(net, direction, packet),
  );
}

function isWith(net: Cidr | undefined, direction: Direction, packet: Packet): boolean {
  const other = direction === 'ingress' ? packet.saddr : packet.daddr;
  return net === undefined || cidrContains(net, other);
}

function holdsLinkTogether({ family, protocol, icmpType }: Packet): boolean {
  return family === 6 && protocol === ICMPV6 && LINK_TYPES.includes(icmpType);
}
