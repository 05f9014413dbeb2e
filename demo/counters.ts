/**
 * What the kernel says about who decided: reads Picket's named counters over netlink and tells which moved. Counters are
 * named by what they count, so a moved name is a rule that saw the packet. Refuses to know: probes and expectations.
 */
import { Writer } from '../agent/netlink/codec.ts';
import {
  beginMessage,
  endMessage,
  messages,
  readNfgenmsg,
  writeNfgenmsg,
} from '../agent/netlink/message.ts';
import { counterObject } from '../agent/netlink/schema/nftables.ts';
import type { NetlinkSocket } from '../agent/netlink/socket.ts';
import {
  NETLINK_NETFILTER,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_INET,
  NFT_MSG_GETOBJ,
  NFT_MSG_NEWOBJ,
  NLM_F_DUMP,
  NLM_F_REQUEST,
} from '../agent/netlink/uapi.generated.ts';

/** Counter name to packets counted. */
export type Counts = ReadonlyMap<string, bigint>;

export const COUNTERS_PROTOCOL = NETLINK_NETFILTER;

const TABLE = 'picket';
const TIMEOUT_MS = 5000;

let seq = 1;

/** All counters of `inet picket`; empty where there is no such table. */
export async function readCounts(socket: NetlinkSocket): Promise<Counts> {
  seq += 1;
  const request = new Writer();
  const type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETOBJ;
  const start = beginMessage(request, { type, flags: NLM_F_REQUEST | NLM_F_DUMP, seq });
  writeNfgenmsg(request, NFPROTO_INET, 0);
  endMessage(request, start);
  const answer = await socket.exchange(request.finish(), 'dump', seq, TIMEOUT_MS);
  const counts = new Map<string, bigint>();
  for (const message of messages(answer)) {
    if (message.type !== ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWOBJ)) continue;
    const object = counterObject.read(readNfgenmsg(message.body).attrs);
    const packets = object.data?.packets;
    if (object.table === TABLE && object.name !== undefined && packets !== undefined) {
      counts.set(object.name, packets);
    }
  }
  return counts;
}

/** Names whose count grew, sorted. */
export function moved(before: Counts, after: Counts): string[] {
  return [...after]
    .filter(([name, packets]) => packets > (before.get(name) ?? 0n))
    .map(([name]) => name)
    .sort();
}
