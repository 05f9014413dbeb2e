/**
 * Netlink messages: headers written and read, messages of received datagrams one by one, acknowledgements with their extended
 * text. Refuses to know: what is inside a message.
 *
 * nlmsghdr, host order: u32 length, u16 type, u16 flags, u32 sequence, u32 port. nfgenmsg: u8 family, u8 version, u16be resource.
 * Source: linux include/uapi/linux/netlink.h, include/uapi/linux/netfilter/nfnetlink.h (v6.12).
 */
import { NetlinkDecodeError, Slice, attrs, cstr, u32host, type Writer } from './codec.ts';
import {
  NFNETLINK_V0,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
  NLMSG_ERROR,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
} from './uapi.generated.ts';

export const HEADER_BYTES = 16;
export const NFGENMSG_BYTES = 4;

/** Without the length. */
export interface Header {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
}

export interface Message extends Header {
  readonly portId: number;
  /** What follows the header. */
  readonly body: Slice;
}

/** Starts a message; returns the mark `endMessage` wants. The port id stays 0: the kernel fills it in. */
export function beginMessage(writer: Writer, header: Header): number {
  const at = writer.length;
  writer.u32host(0);
  writer.u16host(header.type);
  writer.u16host(header.flags);
  writer.u32host(header.seq);
  writer.u32host(0);
  return at;
}

export function endMessage(writer: Writer, at: number): void {
  writer.patchU32host(at, writer.length - at);
  writer.align();
}

export function writeNfgenmsg(writer: Writer, family: number, resource: number): void {
  writer.u8(family);
  writer.u8(NFNETLINK_V0);
  writer.u16be(resource);
}

/** nfgenmsg of a body, and the attributes after it. */
export function readNfgenmsg(body: Slice): { family: number; resource: number; attrs: Slice } {
  const family = body.u8(0);
  const resource = body.u16be(2);
  return { family, resource, attrs: body.sub(NFGENMSG_BYTES, body.bytes.length - NFGENMSG_BYTES) };
}

/** The messages of one or several concatenated datagrams, in order. Throws NetlinkDecodeError where a length lies. */
export function* messages(datagrams: Uint8Array): Generator<Message, void, undefined> {
  const all = new Slice(datagrams);
  let at = 0;
  while (at < datagrams.length) {
    const lenBytes = all.u32host(at);
    if (lenBytes < HEADER_BYTES) throw new NetlinkDecodeError(`message of ${lenBytes} bytes`);
    all.need(at, lenBytes);
    yield {
      type: all.u16host(at + 4),
      flags: all.u16host(at + 6),
      seq: all.u32host(at + 8),
      portId: all.u32host(at + 12),
      body: all.sub(at + HEADER_BYTES, lenBytes - HEADER_BYTES),
    };
    at += Math.ceil(lenBytes / 4) * 4;
  }
}

/** An acknowledgement (`errno` 0) or a refusal. */
export interface Ack {
  /** Of the message it answers. */
  readonly seq: number;
  /** Positive errno. */
  readonly errno: number;
  /** The kernel's own words, where it has some. */
  readonly extAck: string | undefined;
  /** Byte offset, in the message refused, of the attribute that is to blame. */
  readonly offset: number | undefined;
}

const extendedAck = attrs({
  message: [NLMSGERR_ATTR_MSG, cstr],
  offset: [NLMSGERR_ATTR_OFFS, u32host],
});

/** Reads an NLMSG_ERROR; `undefined` for other messages. */
export function readAck(message: Message): Ack | undefined {
  if (message.type !== NLMSG_ERROR) return undefined;
  const { body } = message;
  const errno = 0 - (body.u32host(0) | 0);
  const refusedBytes = body.u32host(4);
  const { seq } = message;
  if ((message.flags & NLM_F_ACK_TLVS) === 0)
    return { seq, errno, extAck: undefined, offset: undefined };
  const quotedBytes = (message.flags & NLM_F_CAPPED) === 0 ? refusedBytes : HEADER_BYTES;
  const at = 4 + Math.ceil(quotedBytes / 4) * 4;
  const { message: extAck, offset } = extendedAck.read(body.sub(at, body.bytes.length - at));
  return { seq, errno, extAck, offset };
}
