/**
 * Bytes of packets: a model Packet goes in, a valid Ethernet frame (or bare IP packet) comes out, and the way back. Lengths
 * and checksums are right, so that conntrack takes them. Every packet ends in a tag by which a test recognises it.
 * Refuses to know: where frames are sent, and what anybody decides about them.
 * Source: RFC 791, 8200 (IP), 9293 (TCP), 768 (UDP), 3828 (UDP-Lite), 9260 (SCTP), 792 and 4443 (ICMP).
 */
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { crc32c, internetChecksum } from './checksum.ts';

/** How to dress a packet beyond what policy sees. */
export interface Dress {
  /** 0..2^32-1, unique among the packets in flight. */
  readonly tag: number;
  /** Default `syn`. */
  readonly tcpFlags?: keyof typeof TCP_FLAGS;
  /** IPv6 extension headers before the transport header, in this order. */
  readonly extensions?: readonly (keyof typeof EXTENSIONS)[];
  /** Only this half of it, which the other half of the same id completes; neither is recognised where it arrives. */
  readonly fragment?: { readonly id: number; readonly half: 'first' | 'last' };
}

/** Without IP headers: the kernel takes no smaller ones for honest, but for the last of IPv6 (RFC 8200 section 4.5). */
const FIRST_HALF_BYTES = 1_232;

const FRAGMENT_HEADER = 44;

/** Ethernet addresses of a wire's two ends, as 12 hex digits. */
export interface Macs {
  readonly source: string;
  readonly destination: string;
}

/** What was found in a frame. */
export interface Received {
  readonly packet: Packet;
  /** `undefined` = none of our packets. */
  readonly tag: number | undefined;
}

const TCP_FLAGS = { syn: 0x02, 'syn-ack': 0x12, ack: 0x10, 'fin-ack': 0x11, rst: 0x04 } as const;

/** Extension header numbers; each is written as eight bytes of padding options (PadN of six). */
const EXTENSIONS = { 'hop-by-hop': 0, destination: 60 } as const;

const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;
const [ICMP, TCP, UDP, SCTP, UDPLITE, ICMPV6] = [1, 6, 17, 132, 136, 58] as const;

/** Four zero bytes (a GRE header of version 0, should the protocol be 47), then letters no other sender uses. */
const TAG_MARK = Buffer.from('00000000506b54746167', 'hex');
const TAG_LENGTH = TAG_MARK.length + 6;

/** Ethernet frame around the packet. */
export function buildFrame(packet: Packet, macs: Macs, dress: Dress): Uint8Array {
  const header = Buffer.alloc(14);
  header.write(macs.destination, 0, 'hex');
  header.write(macs.source, 6, 'hex');
  header.writeUInt16BE(ETHERTYPE[packet.family], 12);
  return Buffer.concat([header, buildIp(packet, dress)]);
}

/** The packet from its IP header on. */
export function buildIp(packet: Packet, dress: Dress): Uint8Array {
  const { fragment } = dress;
  const whole = buildTransport(
    packet,
    fragment === undefined ? dress : { ...dress, tag: fragment.id },
  );
  const payload =
    fragment === undefined
      ? whole
      : fragment.half === 'first'
        ? whole.subarray(0, FIRST_HALF_BYTES)
        : whole.subarray(FIRST_HALF_BYTES);
  return packet.family === 4
    ? buildIpv4(packet, payload, dress)
    : buildIpv6(packet, payload, dress);
}

/** Reads a frame back; `undefined` for anything but IP (ARP and the like) and for truncated headers. */
export function parseFrame(frame: Uint8Array): Received | undefined {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.length < 14) return undefined;
  const type = bytes.readUInt16BE(12);
  if (type !== ETHERTYPE[4] && type !== ETHERTYPE[6]) return undefined;
  return parseIp(bytes.subarray(14));
}

/** Reads a packet from its IP header on. */
export function parseIp(ip: Buffer): Received | undefined {
  const version = ip.length < 20 ? 0 : ip.readUInt8(0) >> 4;
  if (version === 4) {
    const end = ip.subarray(0, ip.readUInt16BE(2));
    const payload = end.subarray((ip.readUInt8(0) & 15) * 4);
    return received(4, ip.subarray(12, 16), ip.subarray(16, 20), ip.readUInt8(9), payload);
  }
  if (version !== 6 || ip.length < 40) return undefined;
  let payload = ip.subarray(40, 40 + ip.readUInt16BE(4));
  let next = ip.readUInt8(6);
  while (Object.values<number>(EXTENSIONS).includes(next) && payload.length >= 8) {
    next = payload.readUInt8(0);
    payload = payload.subarray((payload.readUInt8(1) + 1) * 8);
  }
  return received(6, ip.subarray(8, 24), ip.subarray(24, 40), next, payload);
}

/** The tag at the end of a payload. */
export function readTag(payload: Buffer): number | undefined {
  const tail = payload.subarray(-TAG_LENGTH);
  if (tail.length < TAG_LENGTH || !tail.subarray(0, TAG_MARK.length).equals(TAG_MARK)) {
    return undefined;
  }
  return tail.readUInt32BE(TAG_MARK.length);
}

function received(
  family: 4 | 6,
  saddr: Buffer,
  daddr: Buffer,
  protocol: number,
  payload: Buffer,
): Received | undefined {
  const hasPorts = [TCP, UDP, SCTP, UDPLITE].some((number) => number === protocol);
  const isIcmp = protocol === (family === 4 ? ICMP : ICMPV6);
  if (payload.length < 4 && (hasPorts || isIcmp)) return undefined;
  const packet = {
    family,
    saddr: { family, value: BigInt(`0x${saddr.toString('hex')}`) },
    daddr: { family, value: BigInt(`0x${daddr.toString('hex')}`) },
    protocol,
    sport: hasPorts ? payload.readUInt16BE(0) : undefined,
    dport: hasPorts ? payload.readUInt16BE(2) : undefined,
    icmpType: isIcmp ? payload.readUInt8(0) : undefined,
    icmpCode: isIcmp ? payload.readUInt8(1) : undefined,
  };
  return { packet, tag: readTag(payload) };
}

function buildIpv4(packet: Packet, payload: Buffer, dress: Dress): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE((dress.fragment?.id ?? dress.tag) & 0xffff, 4);
  header.writeUInt16BE(fragmentField(dress, 13), 6);
  header.writeUInt8(64, 8);
  header.writeUInt8(packet.protocol, 9);
  addressBytes(packet.saddr).copy(header, 12);
  addressBytes(packet.daddr).copy(header, 16);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** Where the half stands, in units of eight bytes, and whether more comes: IPv4 has that flag at bit 13, IPv6 at bit 0. */
function fragmentField({ fragment }: Dress, moreBit: 0 | 13): number {
  if (fragment === undefined) return 0;
  if (fragment.half === 'first') return 1 << moreBit;
  return (FIRST_HALF_BYTES / 8) << (moreBit === 13 ? 0 : 3);
}

function buildIpv6(packet: Packet, payload: Buffer, dress: Dress): Buffer {
  const { fragment } = dress;
  const before = (dress.extensions ?? []).map((name) => EXTENSIONS[name]);
  const chain = [...before, ...(fragment === undefined ? [] : [FRAGMENT_HEADER]), packet.protocol];
  const extensions = chain.slice(1).map((next, index) => {
    if (chain[index] !== FRAGMENT_HEADER) return Buffer.from([next, 0, 1, 4, 0, 0, 0, 0]);
    const header = Buffer.from([next, 0, 0, 0, 0, 0, 0, 0]);
    header.writeUInt16BE(fragmentField(dress, 0), 2);
    header.writeUInt32BE(fragment?.id ?? 0, 4);
    return header;
  });
  const header = Buffer.alloc(40);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(extensions.length * 8 + payload.length, 4);
  header.writeUInt8(chain[0] ?? packet.protocol, 6);
  header.writeUInt8(64, 7);
  addressBytes(packet.saddr).copy(header, 8);
  addressBytes(packet.daddr).copy(header, 24);
  return Buffer.concat([header, ...extensions, payload]);
}

/** Transport header and tag. Protocols without a row in this switch carry the tag alone. */
function buildTransport(packet: Packet, dress: Dress): Buffer {
  const padding = Buffer.alloc(dress.fragment === undefined ? 0 : FIRST_HALF_BYTES);
  const tag = Buffer.concat([padding, tagBytes(dress.tag)]);
  switch (packet.protocol) {
    case TCP:
      return checksummed(packet, tcpHeader(packet, dress), tag, 16);
    case UDP:
      return checksummed(packet, udpHeader(packet, 8 + tag.length), tag, 6);
    case UDPLITE:
      // In place of the length stands the checksum's coverage, here everything (RFC 3828 section 3.1).
      return checksummed(packet, udpHeader(packet, 8 + tag.length), tag, 6);
    case SCTP:
      return sctpInit(packet, tag);
    case ICMP:
    case ICMPV6:
      if (packet.icmpType === undefined) return tag;
      return checksummed(packet, icmpHeader(packet, dress), tag, 2);
    default:
      return tag;
  }
}

/** Writes the Internet checksum at `offset` of the header, over the pseudo header where the protocol has one. */
function checksummed(packet: Packet, header: Buffer, payload: Buffer, offset: number): Buffer {
  const pseudo = packet.protocol === ICMP ? Buffer.alloc(0) : pseudoHeader(packet, header, payload);
  const sum = internetChecksum(pseudo, header, payload);
  // A UDP checksum that comes out as zero is sent as all ones (RFC 768).
  header.writeUInt16BE(sum === 0 && packet.protocol === UDP ? 0xffff : sum, offset);
  return Buffer.concat([header, payload]);
}

function pseudoHeader(packet: Packet, header: Buffer, payload: Buffer): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(header.length + payload.length, 0);
  // DEVIATION from RFC 3828: conntrack verifies UDP-Lite as if the protocol in the pseudo header were UDP (seen on 6.18:
  // right sums are `invalid`, these are `new`). Nobody else looks at our sums.
  tail.writeUInt32BE(packet.protocol === UDPLITE ? UDP : packet.protocol, 4);
  return Buffer.concat([addressBytes(packet.saddr), addressBytes(packet.daddr), tail]);
}

function ports(packet: Packet, header: Buffer): Buffer {
  header.writeUInt16BE(packet.sport ?? 0, 0);
  header.writeUInt16BE(packet.dport ?? 0, 2);
  return header;
}

function tcpHeader(packet: Packet, dress: Dress): Buffer {
  const header = ports(packet, Buffer.alloc(20));
  header.writeUInt32BE(1000, 4);
  header.writeUInt32BE(dress.tcpFlags === undefined || dress.tcpFlags === 'syn' ? 0 : 1001, 8);
  header.writeUInt8(5 << 4, 12);
  header.writeUInt8(TCP_FLAGS[dress.tcpFlags ?? 'syn'], 13);
  header.writeUInt16BE(64_240, 14);
  return header;
}

function udpHeader(packet: Packet, length: number): Buffer {
  const header = ports(packet, Buffer.alloc(8));
  header.writeUInt16BE(length, 4);
  return header;
}

function icmpHeader(packet: Packet, dress: Dress): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(packet.icmpType ?? 0, 0);
  header.writeUInt8(packet.icmpCode ?? 0, 1);
  header.writeUInt16BE(dress.tag & 0xffff, 4);
  return header;
}

/** INIT chunk whose only parameter, of a type that receivers skip, holds the tag. */
function sctpInit(packet: Packet, tag: Buffer): Buffer {
  const common = ports(packet, Buffer.alloc(12));
  const chunk = Buffer.alloc(20);
  chunk.writeUInt8(1, 0);
  chunk.writeUInt16BE(chunk.length + 4 + tag.length, 2);
  chunk.writeUInt32BE(1, 4);
  chunk.writeUInt32BE(65_536, 8);
  chunk.writeUInt16BE(1, 12);
  chunk.writeUInt16BE(1, 14);
  const parameter = Buffer.alloc(4);
  parameter.writeUInt16BE(0x8000, 0);
  parameter.writeUInt16BE(4 + tag.length, 2);
  const bytes = Buffer.concat([common, chunk, parameter, tag]);
  bytes.writeUInt32LE(crc32c(bytes), 8);
  return bytes;
}

function tagBytes(tag: number): Buffer {
  const bytes = Buffer.alloc(TAG_LENGTH);
  TAG_MARK.copy(bytes);
  bytes.writeUInt32BE(tag, TAG_MARK.length);
  return bytes;
}

function addressBytes(address: Address): Buffer {
  const digits = address.family === 4 ? 8 : 32;
  return Buffer.from(address.value.toString(16).padStart(digits, '0'), 'hex');
}
