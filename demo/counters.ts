/**
 * What the kernel says about who decided: reads Picket's named counters over netlink and tells which moved. Counters are
 * named by what they count, so a moved name is a rule that saw the packet. Refuses to know: probes and expectations.
 */
import { dumpCounters } from '../agent/netlink/request.ts';
import type { NetlinkSocket } from '../agent/netlink/socket.ts';
import { NETLINK_NETFILTER } from '../agent/netlink/uapi.generated.ts';

/** Counter name to packets counted. */
export type Counts = ReadonlyMap<string, bigint>;

export const COUNTERS_PROTOCOL = NETLINK_NETFILTER;

/** All counters of `inet picket`; empty where there is no such table. */
export async function readCounts(socket: NetlinkSocket): Promise<Counts> {
  const values = await dumpCounters(socket);
  return new Map([...values].map(([name, { packets }]) => [name, packets]));
}

/** Names whose count grew, sorted. */
export function moved(before: Counts, after: Counts): string[] {
  return [...after]
    .filter(([name, packets]) => packets > (before.get(name) ?? 0n))
    .map(([name]) => name)
    .sort();
}
