/**
 * A few netlink messages written by hand, for tests of the layers below the codecs. In: names and sequence numbers. Out: bytes,
 * and what answers say. Shares nothing with agent/netlink on purpose.
 */

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const NFNLGRP_NFTABLES = 7;
export const RTNLGRP_LINK = 1;

const NLM_F_REQUEST = 0x001;
const NLM_F_ACK = 0x004;
const NLM_F_DUMP = 0x300;
const NLM_F_CREATE = 0x400;
const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const RTM_GETLINK = 18;
const IFLA_IFNAME = 3;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWTABLE = NFNL_SUBSYS_NFTABLES << 8;
const NFT_MSG_NEWCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 3;
const NFPROTO_INET = 1;

/** One message of an answer; `bytes` with its header. */
export interface Seen {
  readonly type: number;
  readonly seq: number;
  readonly portId: number;
  readonly bytes: Buffer;
}

function message(type: number, flags: number, seq: number, body: Buffer): Buffer {
  const padded = Buffer.alloc((16 + body.length + 3) & ~3);
  padded.writeUInt32LE(16 + body.length, 0);
  padded.writeUInt16LE(type, 4);
  padded.writeUInt16LE(flags, 6);
  padded.writeUInt32LE(seq, 8);
  body.copy(padded, 16);
  return padded;
}

function textAttr(type: number, text: string): Buffer {
  const padded = Buffer.alloc((4 + text.length + 1 + 3) & ~3);
  padded.writeUInt16LE(4 + text.length + 1, 0);
  padded.writeUInt16LE(type, 2);
  padded.write(text, 4, 'latin1');
  return padded;
}

function nfgenmsg(family: number, resource: number): Buffer {
  return Buffer.from([family, 0, resource >> 8, resource & 0xff]);
}

/** Asks for every interface. */
export function dumpLinks(seq: number): Buffer {
  return message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, seq, Buffer.alloc(16));
}

/** A request the kernel never answers. */
export function silence(seq: number): Buffer {
  return message(NLMSG_NOOP, NLM_F_REQUEST, seq, Buffer.alloc(0));
}

/** A no-operation, acknowledged, with `paddingBytes` of nothing after its header. */
export function noop(seq: number, paddingBytes = 0): Buffer {
  return message(NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, seq, Buffer.alloc(paddingBytes));
}

/** An nf_tables batch around `parts`; sequence numbers `seq` (begin) and `lastSeq` + 1 (end) are not acknowledged. */
export function batch(seq: number, parts: readonly Buffer[]): Buffer {
  const header = nfgenmsg(0, NFNL_SUBSYS_NFTABLES);
  return Buffer.concat([
    message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, seq, header),
    ...parts,
    message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, seq + parts.length + 1, header),
  ]);
}

export function newTable(seq: number, name: string): Buffer {
  const body = Buffer.concat([nfgenmsg(NFPROTO_INET, 0), textAttr(1, name)]);
  return message(NFT_MSG_NEWTABLE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, seq, body);
}

/** ENOENT when the table is not there. */
export function newChain(seq: number, table: string, name: string): Buffer {
  const body = Buffer.concat([nfgenmsg(NFPROTO_INET, 0), textAttr(1, table), textAttr(3, name)]);
  return message(NFT_MSG_NEWCHAIN, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, seq, body);
}

/** Every message of concatenated datagrams; throws when a length does not fit. */
export function messages(bytes: Uint8Array): readonly Seen[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seen: Seen[] = [];
  for (let at = 0; at < all.length;) {
    const length = all.readUInt32LE(at);
    if (length < 16 || at + length > all.length) throw new Error(`length ${length} at ${at}`);
    seen.push({
      type: all.readUInt16LE(at + 4),
      seq: all.readUInt32LE(at + 8),
      portId: all.readUInt32LE(at + 12),
      bytes: all.subarray(at, at + length),
    });
    at += (length + 3) & ~3;
  }
  return seen;
}

/** `[seq, code]` of every acknowledgement; code 0 or negative errno. */
export function acks(bytes: Uint8Array): readonly (readonly [number, number])[] {
  return messages(bytes)
    .filter(({ type }) => type === NLMSG_ERROR)
    .map((message) => [message.seq, message.bytes.readInt32LE(16)] as const);
}

/** Interface names of an answer to `dumpLinks`. */
export function linkNames(bytes: Uint8Array): readonly string[] {
  return messages(bytes).flatMap((message) => {
    for (let at = 32; at + 4 <= message.bytes.length;) {
      const length = message.bytes.readUInt16LE(at);
      if (message.bytes.readUInt16LE(at + 2) === IFLA_IFNAME) {
        return [message.bytes.toString('latin1', at + 4, at + length - 1)];
      }
      at += (Math.max(length, 4) + 3) & ~3;
    }
    return [];
  });
}
