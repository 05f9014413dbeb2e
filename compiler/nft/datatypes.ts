/**
 * Set key types: width, nft's number and byte order per data type, and a key's layout. Numbers matter only to `nft list`.
 * Source: nftables 1.0.6 include/datatype.h (TYPE_*), src/datatype.c (byteorder), src/set.c (concatenation).
 */
import type { DataType } from './program.ts';

export interface DataTypeSpec {
  readonly lenBytes: number;
  /** TYPE_* of nft. */
  readonly id: number;
  /** nft's enum byteorder, as it writes it into set userdata: 0 none, 1 host, 2 network. */
  readonly byteOrder: 0 | 1 | 2;
}

export const DATA_TYPES: Readonly<Record<DataType, DataTypeSpec>> = {
  ipv4_addr: { lenBytes: 4, id: 7, byteOrder: 2 },
  ipv6_addr: { lenBytes: 16, id: 8, byteOrder: 2 },
  inet_proto: { lenBytes: 1, id: 12, byteOrder: 0 },
  inet_service: { lenBytes: 2, id: 13, byteOrder: 2 },
  icmp_type: { lenBytes: 1, id: 14, byteOrder: 2 },
  icmp_code: { lenBytes: 1, id: 32, byteOrder: 2 },
  icmpv6_type: { lenBytes: 1, id: 29, byteOrder: 2 },
  icmpv6_code: { lenBytes: 1, id: 33, byteOrder: 2 },
  ifname: { lenBytes: 16, id: 41, byteOrder: 1 },
};

/** TYPE_BITS: how far a concatenation shifts one type number per part. */
const TYPE_BITS = 6;

/** Bytes a part takes in a key: its width alone, padded to a register in a concatenation. */
export function partBytes(type: DataType, parts: number): number {
  const { lenBytes } = DATA_TYPES[type];
  return parts === 1 ? lenBytes : Math.ceil(lenBytes / 4) * 4;
}

export function keyBytes(key: readonly DataType[]): number {
  return key.reduce((sum, type) => sum + partBytes(type, key.length), 0);
}

/** nft's number for a key, parts shifted together. At most five parts fit. */
export function keyTypeId(key: readonly DataType[]): number {
  return key.reduce((id, type) => (id << TYPE_BITS) | DATA_TYPES[type].id, 0);
}

const BY_ID = new Map(
  (Object.keys(DATA_TYPES) as DataType[]).map((type) => [DATA_TYPES[type].id, type]),
);

/** The parts behind a key's number; `undefined` when one of them is not ours. */
export function keyOfTypeId(id: number): readonly DataType[] | undefined {
  const key: DataType[] = [];
  for (let rest = id; rest !== 0; rest >>>= TYPE_BITS) {
    const type = BY_ID.get(rest & ((1 << TYPE_BITS) - 1));
    if (type === undefined) return undefined;
    key.unshift(type);
  }
  return key.length === 0 ? undefined : key;
}

/** What a key's byte order is to nft: a concatenation has none. */
export function keyByteOrder(key: readonly DataType[]): number {
  const [only] = key;
  return key.length === 1 && only !== undefined ? DATA_TYPES[only].byteOrder : 0;
}
