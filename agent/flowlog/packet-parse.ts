/**
 * The headers of a logged packet, which may be cut anywhere and may have been made to confuse. Bytes in, whatever of the flow can be
 * told out: never a throw, and never a port that is not there. Refuses to know: netlink, rules.
 * Source: RFC 791, RFC 8200, RFC 4302; which headers are skipped is what the kernel's rules see: ipv6_ext_hdr in
 * net/ipv6/exthdrs_core.c (v6.12).
 */
import type { Family } from '../../compiler/model/ip.ts';

export interface ParsedPacket {
  /** `undefined` = neither IPv4 nor IPv6, or not one byte of it: then nothing else is known. */
  readonly family: Family | undefined;
  /** Position of the source address, the destination address right behind it; -1 where the packet is cut before their end. */
  readonly addressesAt: number;
  /** For IPv6 the one after extension headers; -1 = not known. */
  readonly protocol: number;
  /** -1 where the protocol has none, or in a fragment that is not the first, or cut. */
  readonly sport: number;
  readonly dport: number;
  readonly icmpType: number;
  readonly icmpCode: number;
  /** A fragment, the first included. */
  readonly isFragment: boolean;
  /** Something that belongs to the above is missing or contradicts itself. */
  readonly isPartial: boolean;
}

const NOTHING: ParsedPacket = Object.freeze({
  family: undefined,
  addressesAt: -1,
  protocol: -1,
  sport: -1,
  dport: -1,
  icmpType: -1,
  icmpCode: -1,
  isFragment: false,
  isPartial: true,
});

/** Bytes of both addresses together. */
export const ADDRESSES_BYTES: Readonly<Record<Family, number>> = { 4: 8, 6: 32 };

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const IPV4_ADDRESSES_OFFSET = 12;
const IPV6_ADDRESSES_OFFSET = 8;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION_OPTIONS = 60;

/** A chain longer than this is nobody's honest packet. */
const MAX_EXTENSION_HEADERS = 16;

const ICMP = 1;
const ICMPV6 = 58;
/** TCP, UDP, DCCP, SCTP, UDP-Lite: ports in the first four bytes. */
const WITH_PORTS: readonly number[] = [6, 17, 33, 132, 136];

/** The packet in `bytes` from `start` to `end`. */
export function parsePacket(bytes: Uint8Array, start: number, end: number): ParsedPacket {
  if (start >= end || end > bytes.length) return NOTHING;
  switch (u8(bytes, start) >> 4) {
    case 4:
      return parseIpv4(bytes, start, end);
    case 6:
      return parseIpv6(bytes, start, end);
    default:
      return NOTHING;
  }
}

function parseIpv4(bytes: Uint8Array, start: number, end: number): ParsedPacket {
  const lenBytes = end - start;
  const addressesAt =
    lenBytes >= IPV4_ADDRESSES_OFFSET + ADDRESSES_BYTES[4] ? start + IPV4_ADDRESSES_OFFSET : -1;
  if (lenBytes < IPV4_HEADER_BYTES) {
    const protocol = lenBytes > 9 ? u8(bytes, start + 9) : -1;
    return { ...NOTHING, family: 4, addressesAt, protocol };
  }
  const headerBytes = (u8(bytes, start) & 0xf) * 4;
  const protocol = u8(bytes, start + 9);
  const fragmentField = u16(bytes, start + 6);
  const isFirst = (fragmentField & 0x1fff) === 0;
  const isFragment = (fragmentField & 0x3fff) !== 0;
  if (headerBytes < IPV4_HEADER_BYTES || !isFirst) {
    const isPartial = headerBytes < IPV4_HEADER_BYTES;
    return { ...NOTHING, family: 4, addressesAt, protocol, isFragment, isPartial };
  }
  return withTransport(bytes, start + headerBytes, end, 4, addressesAt, protocol, isFragment);
}

function parseIpv6(bytes: Uint8Array, start: number, end: number): ParsedPacket {
  const lenBytes = end - start;
  const addressesAt = lenBytes >= IPV6_HEADER_BYTES ? start + IPV6_ADDRESSES_OFFSET : -1;
  const cut = { ...NOTHING, family: 6, addressesAt } as const;
  if (lenBytes < IPV6_HEADER_BYTES) return cut;
  let protocol = u8(bytes, start + 6);
  let at = start + IPV6_HEADER_BYTES;
  let isFragment = false;
  for (let count = 0; isExtension(protocol); count++) {
    if (count >= MAX_EXTENSION_HEADERS || at + 8 > end) return { ...cut, isFragment };
    const next = u8(bytes, at);
    if (protocol === FRAGMENT) {
      isFragment = true;
      const isFirst = (u16(bytes, at + 2) & 0xfff8) === 0;
      // What follows is the middle of something, also where `next` is another extension header.
      if (!isFirst) {
        const known = isExtension(next) ? -1 : next;
        return { ...cut, protocol: known, isFragment, isPartial: known < 0 };
      }
    }
    at += extensionBytes(protocol, u8(bytes, at + 1));
    protocol = next;
  }
  return withTransport(bytes, at, end, 6, addressesAt, protocol, isFragment);
}

function isExtension(protocol: number): boolean {
  switch (protocol) {
    case HOP_BY_HOP:
    case ROUTING:
    case FRAGMENT:
    case AUTHENTICATION:
    case DESTINATION_OPTIONS:
      return true;
    default:
      return false;
  }
}

function extensionBytes(protocol: number, lenField: number): number {
  if (protocol === FRAGMENT) return 8;
  return protocol === AUTHENTICATION ? (lenField + 2) * 4 : (lenField + 1) * 8;
}

function withTransport(
  bytes: Uint8Array,
  at: number,
  end: number,
  family: Family,
  addressesAt: number,
  protocol: number,
  isFragment: boolean,
): ParsedPacket {
  const hasPorts = WITH_PORTS.includes(protocol);
  const isIcmp = protocol === (family === 4 ? ICMP : ICMPV6);
  const isPartial = (hasPorts && at + 4 > end) || (isIcmp && at + 2 > end);
  const readsPorts = hasPorts && !isPartial;
  const readsIcmp = isIcmp && !isPartial;
  // One literal: this is made for each packet, and a spread takes several times as long.
  return {
    family,
    addressesAt,
    protocol,
    sport: readsPorts ? u16(bytes, at) : -1,
    dport: readsPorts ? u16(bytes, at + 2) : -1,
    icmpType: readsIcmp ? u8(bytes, at) : -1,
    icmpCode: readsIcmp ? u8(bytes, at + 1) : -1,
    isFragment,
    isPartial,
  };
}

/** Callers have checked the position. */
function u8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function u16(bytes: Uint8Array, at: number): number {
  return (u8(bytes, at) << 8) | u8(bytes, at + 1);
}
