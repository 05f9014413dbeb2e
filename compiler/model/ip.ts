/**
 * Addresses and prefixes as values: text in, text out, prefix arithmetic. Byte order exists only in codecs.
 * Source: RFC 4291 section 2.2 (IPv6 text), RFC 5952 (canonical form), RFC 4632 (prefixes).
 */

export type Family = 4 | 6;

/** `value` is the address as an unsigned integer, 32 or 128 bits wide by `family`. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** `value` has zero host bits; `prefixLen` is 0..32 or 0..128. */
export interface Cidr extends Address {
  readonly prefixLen: number;
}

export const ADDRESS_BITS: Readonly<Record<Family, number>> = { 4: 32, 6: 128 };

/** Plain address without prefix; IPv4 octets without leading zeros; no IPv6 zone. */
export function toAddress(text: string): Address | undefined {
  if (text.includes(':')) {
    const value = parseIpv6(text);
    return value === undefined ? undefined : Object.freeze({ family: 6, value });
  }
  const value = parseIpv4(text);
  return value === undefined ? undefined : Object.freeze({ family: 4, value });
}

/** `address/len`; host bits are masked away. A bare address is its own /32 or /128. */
export function toCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = toAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = ADDRESS_BITS[address.family];
  if (slash < 0) return hostCidr(address);
  const lenText = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(lenText)) return undefined;
  const prefixLen = Number(lenText);
  return prefixLen > bits ? undefined : maskCidr(address, prefixLen);
}

/** The prefix of `prefixLen` bits that contains the address. */
export function maskCidr(address: Address, prefixLen: number): Cidr {
  const hostBits = BigInt(ADDRESS_BITS[address.family] - prefixLen);
  const value = (address.value >> hostBits) << hostBits;
  return Object.freeze({ family: address.family, value, prefixLen });
}

export function hostCidr(address: Address): Cidr {
  const prefixLen = ADDRESS_BITS[address.family];
  return Object.freeze({ family: address.family, value: address.value, prefixLen });
}

export function isHostCidr(cidr: Cidr): boolean {
  return cidr.prefixLen === ADDRESS_BITS[cidr.family];
}

/** Highest address of the prefix. */
export function lastAddress(cidr: Cidr): bigint {
  return cidr.value | ((1n << BigInt(ADDRESS_BITS[cidr.family] - cidr.prefixLen)) - 1n);
}

export function cidrContains(cidr: Cidr, address: Address): boolean {
  if (cidr.family !== address.family) return false;
  const hostBits = BigInt(ADDRESS_BITS[cidr.family] - cidr.prefixLen);
  return address.value >> hostBits === cidr.value >> hostBits;
}

/** Canonical text (RFC 5952 for IPv6). */
export function printAddress(address: Address): string {
  return address.family === 4 ? printIpv4(address.value) : printIpv6(address.value);
}

/** Canonical `address/len`; the map key of a prefix everywhere. */
export function printCidr(cidr: Cidr): string {
  return `${printAddress(cidr)}/${cidr.prefixLen}`;
}

function parseIpv4(text: string): bigint | undefined {
  const octets = text.split('.');
  if (octets.length !== 4) return undefined;
  let value = 0n;
  for (const octet of octets) {
    if (!/^(0|[1-9]\d{0,2})$/.test(octet) || Number(octet) > 255) return undefined;
    value = (value << 8n) | BigInt(octet);
  }
  return value;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0n), ...tail];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

/** Colon-separated groups; the last may be dotted IPv4 where `mayEndInIpv4`. */
function parseGroups(text: string, mayEndInIpv4: boolean): bigint[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: bigint[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes('.') && mayEndInIpv4 && index === parts.length - 1) {
      const value = parseIpv4(part);
      if (value === undefined) return undefined;
      groups.push(value >> 16n, value & 0xffffn);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(BigInt(`0x${part}`));
    }
  }
  return groups;
}

function printIpv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
}

function printIpv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    Number((value >> BigInt(112 - 16 * i)) & 0xffffn),
  );
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return printGroups(groups);
  const head = printGroups(groups.slice(0, best.start));
  return `${head}::${printGroups(groups.slice(best.start + best.length))}`;
}

function printGroups(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}
