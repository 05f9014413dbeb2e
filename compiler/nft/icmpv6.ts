/** ICMPv6 that holds a link together and that no policy closes: IPv6 needs it as IPv4 needs ARP. Goes out: constant sets, and matches on them. */
import { ICMP_PROTOCOL } from '../model/packet.ts';
import { fieldLoads, l4proto, lookupLoads, metaNfproto } from './exprs.ts';
import type { ConstantSet } from './lower-tests.ts';
import type { Expr } from './program.ts';
import { fixedSet } from './rules.ts';

/** What a workload may always send to its host: MLD, and discovery but for router advertisements (specification section 6.2.4). */
export const WORKLOAD_ESSENTIAL = types('icmpv6-essential', [130, 131, 132, 133, 135, 136]);

/**
 * Routers and neighbours (RFC 4861), and the groups that switches deliver them by (RFC 2710, 3810): without it nobody reaches a host by IPv6,
 * not even by a failsafe port. Routers do not forward it.
 */
export const LINK_ESSENTIAL = types('link-essential', [130, 131, 132, 133, 134, 135, 136, 143]);

/** Packets of one of the types. */
export function isOfTypes({ set }: ConstantSet): Expr[] {
  const type = fieldLoads(['icmp'], 6).slice(0, 1);
  return [...metaNfproto(6), ...l4proto(ICMP_PROTOCOL[6]), ...lookupLoads(type, set.name)];
}

function types(name: string, values: readonly number[]): ConstantSet {
  const elements = values.map((value) => {
    return { key: [BigInt(value)], keyEnd: undefined, verdict: undefined };
  });
  return { set: fixedSet(name, ['icmpv6_type']), elements };
}
