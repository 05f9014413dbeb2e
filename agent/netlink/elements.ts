/**
 * Elements of sets as attributes, and back to ranges. The one hot path of encoding: elements are written without intermediate
 * objects. Refuses to know: messages.
 *
 * A set with one key part and ranges is a tree of boundaries in the kernel: a range is its first value and, flagged INTERVAL_END,
 * the value after its last; a range up to the highest value has no second boundary. A concatenation with ranges has first and last
 * value in one element. Source: linux net/netfilter/nft_set_rbtree.c, nft_set_pipapo.c (v6.12).
 */
import { DATA_TYPES, partBytes } from '../../compiler/nft/datatypes.ts';
import type { DataType, KeyPart, NftElement, NftSet } from '../../compiler/nft/program.ts';
import {
  NetlinkDecodeError,
  NetlinkEncodeError,
  Slice,
  writeAttr,
  type ValueOf,
  type Writer,
} from './codec.ts';
import { verdictFromAttrs, verdictToAttrs } from './expr.ts';
import { type setElem, verdict as verdictAttrs } from './schema/nftables.ts';
import * as k from './uapi.generated.ts';
import { ELEMENT_FLAGS, ELEMENT_INTERVAL_OPEN, putNumber } from './userdata.ts';

const NESTED = k.NLA_F_NESTED;
const MASK64 = (1n << 64n) - 1n;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface PartCodec {
  write(writer: Writer, value: KeyPart): void;
  read(slice: Slice, at: number): KeyPart;
}

const byte: PartCodec = {
  write: (writer, value) => writer.u8(Number(value)),
  read: (slice, at) => slice.u8(at),
};

const PARTS: Readonly<Record<DataType, PartCodec>> = {
  ipv4_addr: {
    write: (writer, value) => writer.u32be(Number(value)),
    read: (slice, at) => BigInt(slice.u32be(at)),
  },
  ipv6_addr: {
    write: (writer, value) => {
      const address = BigInt(value);
      writer.u64be(address >> 64n);
      writer.u64be(address & MASK64);
    },
    read: (slice, at) => (slice.u64be(at) << 64n) | slice.u64be(at + 8),
  },
  inet_service: {
    write: (writer, value) => writer.u16be(Number(value)),
    read: (slice, at) => slice.u16be(at),
  },
  inet_proto: byte,
  icmp_type: byte,
  icmp_code: byte,
  icmpv6_type: byte,
  icmpv6_code: byte,
  ifname: {
    write: (writer, value) => {
      const name = encoder.encode(String(value));
      if (name.length >= DATA_TYPES.ifname.lenBytes) {
        throw new NetlinkEncodeError(`interface name ${String(value)} is longer than 15 bytes`);
      }
      writer.raw(name);
      writer.zeros(DATA_TYPES.ifname.lenBytes - name.length);
    },
    read: (slice, at) => {
      const name = slice.sub(at, DATA_TYPES.ifname.lenBytes).bytes;
      const nul = name.indexOf(0);
      return decoder.decode(nul < 0 ? name : name.subarray(0, nul));
    },
  },
};

/** Whether ranges of the set are two boundary elements. */
export function hasBoundaries(set: NftSet): boolean {
  return set.interval && set.key.length === 1;
}

/** Writes one element, or the two boundaries of a range, as NFTA_LIST_ELEM attributes. Data is left out for deletion. */
export function writeElement(
  writer: Writer,
  set: NftSet,
  element: NftElement,
  withData: boolean,
): void {
  const [type] = set.key;
  const boundaries = hasBoundaries(set) && type !== undefined;
  const at = writer.beginAttr(k.NFTA_LIST_ELEM | NESTED);
  writeKey(writer, k.NFTA_SET_ELEM_KEY, set.key, element.key);
  if (set.interval && !boundaries) {
    writeKey(writer, k.NFTA_SET_ELEM_KEY_END, set.key, element.keyEnd ?? element.key);
  }
  const after = boundaries ? valueAfter(type, element.keyEnd ?? element.key) : undefined;
  if (boundaries && after === undefined) writeOpenFlag(writer);
  if (set.verdictMap && withData) writeVerdict(writer, element);
  writer.endAttr(at);
  if (after === undefined) return;
  const endAt = writer.beginAttr(k.NFTA_LIST_ELEM | NESTED);
  const flagsAt = writer.beginAttr(k.NFTA_SET_ELEM_FLAGS);
  writer.u32be(k.NFT_SET_ELEM_INTERVAL_END);
  writer.endAttr(flagsAt);
  writeKey(writer, k.NFTA_SET_ELEM_KEY, set.key, [after]);
  writer.endAttr(endAt);
}

function writeKey(
  writer: Writer,
  attr: number,
  key: readonly DataType[],
  parts: readonly KeyPart[],
): void {
  if (parts.length !== key.length) {
    throw new NetlinkEncodeError(`${parts.length} key parts for a set of ${key.length}`);
  }
  const at = writer.beginAttr(attr | NESTED);
  const valueAt = writer.beginAttr(k.NFTA_DATA_VALUE);
  for (let i = 0; i < key.length; i++) {
    const type = key[i];
    const part = parts[i];
    if (type === undefined || part === undefined) continue;
    PARTS[type].write(writer, part);
    const padding = partBytes(type, key.length) - DATA_TYPES[type].lenBytes;
    if (padding > 0) writer.zeros(padding);
  }
  writer.endAttr(valueAt);
  writer.endAttr(at);
}

/** The value after the range's last; `undefined` when that is the highest of the type. */
function valueAfter(type: DataType, last: readonly KeyPart[]): bigint | undefined {
  const next = BigInt(last[0] ?? 0) + 1n;
  return next >> BigInt(DATA_TYPES[type].lenBytes * 8) === 0n ? next : undefined;
}

/** Tells nft that the missing end is meant. */
function writeOpenFlag(writer: Writer): void {
  const at = writer.beginAttr(k.NFTA_SET_ELEM_USERDATA);
  putNumber(writer, ELEMENT_FLAGS, ELEMENT_INTERVAL_OPEN);
  writer.endAttr(at);
}

function writeVerdict(writer: Writer, element: NftElement): void {
  if (element.verdict === undefined) throw new NetlinkEncodeError('map element without verdict');
  const at = writer.beginAttr(k.NFTA_SET_ELEM_DATA | NESTED);
  writeAttr(writer, k.NFTA_DATA_VERDICT, verdictAttrs, verdictToAttrs(element.verdict));
  writer.endAttr(at);
}

type ElementAttrs = ValueOf<typeof setElem>;

/** Elements of a dump as values and ranges; the order of a set with boundaries is ascending, else the dump's. */
export function readElements(set: NftSet, dumped: readonly ElementAttrs[]): NftElement[] {
  if (hasBoundaries(set)) return joinBoundaries(set, dumped);
  return dumped.map((attrs) => ({
    key: readKey(set.key, attrs.key?.value),
    keyEnd: set.interval ? readKey(set.key, attrs.keyEnd?.value ?? attrs.key?.value) : undefined,
    verdict: readVerdict(attrs),
  }));
}

function readKey(key: readonly DataType[], value: Uint8Array | undefined): KeyPart[] {
  const slice = new Slice(value ?? new Uint8Array());
  let at = 0;
  const parts = key.map((type) => {
    slice.need(at, DATA_TYPES[type].lenBytes);
    const part = PARTS[type].read(slice, at);
    at += partBytes(type, key.length);
    return part;
  });
  if (at !== slice.bytes.length) throw new NetlinkDecodeError(`key of ${slice.bytes.length} bytes`);
  return parts;
}

function readVerdict(attrs: ElementAttrs): NftElement['verdict'] {
  return attrs.data?.verdict === undefined ? undefined : verdictFromAttrs(attrs.data.verdict);
}

interface Boundary {
  readonly value: bigint;
  readonly isEnd: boolean;
  readonly verdict: NftElement['verdict'];
}

/** Ends sort before starts, so that adjacent ranges stay apart; an end without a start is nft's own mark and skipped. */
function joinBoundaries(set: NftSet, dumped: readonly ElementAttrs[]): NftElement[] {
  const [type] = set.key;
  if (type === undefined) return [];
  const boundaries = dumped.map((attrs): Boundary => {
    const [value = 0] = readKey(set.key, attrs.key?.value);
    const isEnd = ((attrs.flags ?? 0) & k.NFT_SET_ELEM_INTERVAL_END) !== 0;
    return { value: BigInt(value), isEnd, verdict: readVerdict(attrs) };
  });
  boundaries.sort((a, b) =>
    a.value === b.value ? Number(b.isEnd) - Number(a.isEnd) : a.value < b.value ? -1 : 1,
  );
  const highest = (1n << BigInt(DATA_TYPES[type].lenBytes * 8)) - 1n;
  const part = (value: bigint): KeyPart => (type.endsWith('_addr') ? value : Number(value));
  const ranges: NftElement[] = [];
  for (const [index, start] of boundaries.entries()) {
    if (start.isEnd) continue;
    const next = boundaries[index + 1];
    const last = next === undefined ? highest : next.value - 1n;
    ranges.push({ key: [part(start.value)], keyEnd: [part(last)], verdict: start.verdict });
  }
  return ranges;
}
