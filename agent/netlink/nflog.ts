/**
 * Packets that rules log to an NFLOG group. In: a netlink socket, and the datagrams that its reader hands over. Out: one view per
 * logged packet, as offsets into those datagrams, so that a storm costs no garbage. Refuses to know: what a prefix means, what a
 * packet contains.
 * Source: nfulnl_recv_config and __build_packet_message in net/netfilter/nfnetlink_log.c (v6.12).
 */
import {
  AgentError,
  NEEDED_CAPABILITY,
  describeErrno,
  errnoName,
  syscallError,
} from '../errors.ts';
import { ATTR_HEADER_BYTES, NetlinkDecodeError, Slice, Writer } from './codec.ts';
import { HEADER_BYTES, NFGENMSG_BYTES } from './message.ts';
import { beginMessage, endMessage, messages, readAck, writeNfgenmsg } from './message.ts';
import type { Exchanger } from './request.ts';
import * as schema from './schema/nflog.ts';
import * as k from './uapi.generated.ts';

export interface NflogConfig {
  readonly group: number;
  /** Bytes of each packet that the kernel copies at most; what a rule's own snap length says is less or equal. */
  readonly copyRangeBytes: number;
}

/** The kernel gathers packets in a buffer of this size, until so many are in it or so much time has passed. */
const KERNEL_BUFFER_BYTES = 32 * 1024;
const KERNEL_THRESHOLD = 100;
const KERNEL_TIMEOUT_CENTISECONDS = 10;

/** So long the kernel keeps a packet to itself at most. */
export const KERNEL_GATHERS_MS = KERNEL_TIMEOUT_CENTISECONDS * 10;

const TIMEOUT_MS = 10_000;

const PACKET_TYPE = (k.NFNL_SUBSYS_ULOG << 8) | k.NFULNL_MSG_PACKET;

/**
 * Makes the socket the one reader of the group, with sequence numbers. Returns the datagrams that came with the answer: packets may be
 * among them. Throws AgentError: a group has one reader.
 */
export async function bindNflog(socket: Exchanger, config: NflogConfig): Promise<Uint8Array> {
  const writer = new Writer(128);
  const type = (k.NFNL_SUBSYS_ULOG << 8) | k.NFULNL_MSG_CONFIG;
  const at = beginMessage(writer, { type, flags: k.NLM_F_REQUEST | k.NLM_F_ACK, seq: 1 });
  writeNfgenmsg(writer, 0, config.group);
  schema.config.write(writer, {
    command: k.NFULNL_CFG_CMD_BIND,
    mode: { copyRangeBytes: config.copyRangeBytes, mode: k.NFULNL_COPY_PACKET },
    bufferBytes: KERNEL_BUFFER_BYTES,
    timeout: KERNEL_TIMEOUT_CENTISECONDS,
    threshold: KERNEL_THRESHOLD,
    flags: k.NFULNL_CFG_F_SEQ,
  });
  endMessage(writer, at);
  const answer = await socket.exchange(writer.finish(), 'acks', 1, TIMEOUT_MS);
  for (const message of messages(answer)) {
    const errno = readAck(message)?.errno ?? 0;
    if (errno !== 0) throw bindError(config.group, errno);
  }
  return answer;
}

/** Both a reader that is there already and a missing capability are EPERM. */
function bindError(group: number, errno: number): AgentError {
  const doing = `read log group ${group}`;
  if (errnoName(errno) !== 'EPERM') return syscallError(doing, errno);
  return new AgentError(
    'ERR_NO_PERMISSION',
    `${doing}: ${describeErrno(errno)}; another process reads this group, or ${NEEDED_CAPABILITY}`,
    { errno },
  );
}

/** One logged packet. Positions are in `bytes`; an empty stretch = the kernel said nothing of it. Valid until `visit` returns. */
export interface NflogView {
  readonly bytes: Buffer;
  /** NF_INET_*; -1 where unknown. */
  hook: number;
  /** Counts the packets of the group, 32 bits; a gap = packets lost. -1 where unknown. */
  seq: number;
  /** Milliseconds since the epoch; 0 where the packet has no time stamp, as those of local processes. */
  timestampMs: number;
  /** Interface index; 0 = none. */
  inputIndex: number;
  outputIndex: number;
  prefixAt: number;
  prefixEnd: number;
  payloadAt: number;
  payloadEnd: number;
}

/** Calls `visit` for each logged packet of the datagrams, always with the same view. Throws NetlinkDecodeError where a length lies. */
export function scanNflog(datagrams: Uint8Array, visit: (view: NflogView) => void): void {
  const all = new Slice(datagrams);
  const { buffer, byteOffset, length } = datagrams;
  const view = emptyView(Buffer.from(buffer, byteOffset, length));
  let at = 0;
  while (at < length) {
    const lenBytes = all.u32host(at);
    if (lenBytes < HEADER_BYTES) throw new NetlinkDecodeError(`message of ${lenBytes} bytes`);
    all.need(at, lenBytes);
    if (all.u16host(at + 4) === PACKET_TYPE) {
      reset(view);
      scanAttrs(all, at + HEADER_BYTES + NFGENMSG_BYTES, at + lenBytes, view);
      visit(view);
    }
    at += (lenBytes + 3) & ~3;
  }
}

function emptyView(bytes: Buffer): NflogView {
  return {
    bytes,
    hook: -1,
    seq: -1,
    timestampMs: 0,
    inputIndex: 0,
    outputIndex: 0,
    prefixAt: 0,
    prefixEnd: 0,
    payloadAt: 0,
    payloadEnd: 0,
  };
}

function reset(view: NflogView): void {
  view.hook = -1;
  view.seq = -1;
  view.timestampMs = 0;
  view.inputIndex = 0;
  view.outputIndex = 0;
  view.prefixAt = 0;
  view.prefixEnd = 0;
  view.payloadAt = 0;
  view.payloadEnd = 0;
}

function scanAttrs(all: Slice, from: number, end: number, view: NflogView): void {
  let at = from;
  while (at + ATTR_HEADER_BYTES <= end) {
    const lenBytes = all.u16host(at);
    const next = at + lenBytes;
    if (lenBytes < ATTR_HEADER_BYTES || next > end) {
      throw new NetlinkDecodeError(`attribute of ${lenBytes} bytes`);
    }
    note(all, all.u16host(at + 2) & k.NLA_TYPE_MASK, at + ATTR_HEADER_BYTES, next, view);
    at = (next + 3) & ~3;
  }
}

/** One attribute, from `at` to `end`; those too short for their type are left out. */
function note(all: Slice, type: number, at: number, end: number, view: NflogView): void {
  switch (type) {
    case k.NFULA_PACKET_HDR:
      if (end - at >= 3) view.hook = all.u8(at + 2);
      return;
    case k.NFULA_TIMESTAMP:
      if (end - at >= 16) {
        const seconds = all.u32be(at) * 2 ** 32 + all.u32be(at + 4);
        view.timestampMs = seconds * 1_000 + Math.floor(all.u32be(at + 12) / 1_000);
      }
      return;
    case k.NFULA_IFINDEX_INDEV:
      if (end - at >= 4) view.inputIndex = all.u32be(at);
      return;
    case k.NFULA_IFINDEX_OUTDEV:
      if (end - at >= 4) view.outputIndex = all.u32be(at);
      return;
    case k.NFULA_PAYLOAD:
      view.payloadAt = at;
      view.payloadEnd = end;
      return;
    case k.NFULA_PREFIX:
      view.prefixAt = at;
      view.prefixEnd = nulIn(view.bytes, at, end);
      return;
    case k.NFULA_SEQ:
      if (end - at >= 4) view.seq = all.u32be(at);
      return;
    default:
  }
}

function nulIn(bytes: Uint8Array, at: number, end: number): number {
  let nul = at;
  while (nul < end && bytes[nul] !== 0) nul++;
  return nul;
}
