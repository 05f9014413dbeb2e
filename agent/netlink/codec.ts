/**
 * Netlink attributes: a value described by a table of attributes in, bytes out, and back. The only file that knows alignment,
 * attribute headers and byte order. Refuses to know: what any attribute means.
 *
 * Attribute: u16 length (header included), u16 type and flags, payload, zero padding to 4 bytes; both header fields are host
 * order. Decoding treats the bytes as hostile: every length is checked before it is used, and nothing is read outside the
 * bytes given. Source: linux include/uapi/linux/netlink.h, struct nlattr (v6.12).
 */
import { NLA_F_NESTED, NLA_TYPE_MASK, NFTA_LIST_ELEM } from './uapi.generated.ts';

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

export const ATTR_HEADER_BYTES = 4;

/** The length field is a u16. */
export const MAX_ATTR_BYTES = 0xffff;

/** Nested attributes deeper than this are refused; the deepest of ours has 8 levels. */
const MAX_DEPTH = 16;

/** Bytes from the kernel that contradict the format. */
export class NetlinkDecodeError extends Error {
  readonly code = 'ERR_NETLINK_DECODE';
  override readonly name = 'NetlinkDecodeError';
}

/** A value of ours that the format cannot carry: a bug of the caller. */
export class NetlinkEncodeError extends Error {
  readonly code = 'ERR_NETLINK_ENCODE';
  override readonly name = 'NetlinkEncodeError';
}

const encoder = new TextEncoder();

/** Growing buffer. Offsets stay valid while it grows; `finish` hands out a copy-free view. */
export class Writer {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;
  #view: DataView;

  constructor(capacityBytes = 4096) {
    this.bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Everything written so far. The writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.bytes[at] = value;
  }

  u16be(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, false);
  }

  u16host(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, HOST_IS_LITTLE_ENDIAN);
  }

  u32be(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, false);
  }

  u32host(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, HOST_IS_LITTLE_ENDIAN);
  }

  u64be(value: bigint): void {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, value, false);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** UTF-8 with a NUL behind. Names are ASCII, so they are written without an encoder. */
  cstr(text: string): void {
    const { length } = text;
    const at = this.#reserve(length + 1);
    const { bytes } = this;
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit > 0x7f) {
        this.truncate(at);
        this.raw(encoder.encode(text));
        this.u8(0);
        return;
      }
      bytes[at + index] = unit;
    }
    bytes[at + length] = 0;
  }

  zeros(count: number): void {
    const at = this.#reserve(count);
    this.bytes.fill(0, at, at + count);
  }

  /** Pads with zeros to a multiple of 4 from the start of the buffer. */
  align(): void {
    this.zeros(-this.length & 3);
  }

  /** Overwrites a u32 written before, for lengths known later. */
  patchU32host(at: number, value: number): void {
    this.#view.setUint32(at, value, HOST_IS_LITTLE_ENDIAN);
  }

  /** Sets bits in a u16 written before. */
  orU16host(at: number, bits: number): void {
    const value = this.#view.getUint16(at, HOST_IS_LITTLE_ENDIAN) | bits;
    this.#view.setUint16(at, value, HOST_IS_LITTLE_ENDIAN);
  }

  /** Forgets what was written from `at` on. */
  truncate(at: number): void {
    this.length = at;
  }

  /** Starts an attribute; returns the mark `endAttr` wants. */
  beginAttr(type: number): number {
    const at = this.length;
    this.u16host(0);
    this.u16host(type);
    return at;
  }

  /** Sets the length and pads. Throws NetlinkEncodeError when the attribute exceeds 64 KiB. */
  endAttr(at: number): void {
    const lenBytes = this.length - at;
    if (lenBytes > MAX_ATTR_BYTES) throw new NetlinkEncodeError(`attribute of ${lenBytes} bytes`);
    this.#view.setUint16(at, lenBytes, HOST_IS_LITTLE_ENDIAN);
    this.align();
  }

  #reserve(count: number): number {
    const at = this.length;
    if (at + count > this.bytes.length) this.#grow(at + count);
    this.length = at + count;
    return at;
  }

  #grow(atLeast: number): void {
    // Moved, not copied: the smaller buffer is free at once, not when its garbage is collected.
    const buffer = this.bytes.buffer.transfer(Math.max(atLeast, this.bytes.length * 2));
    this.bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }
}

/** A stretch of received bytes. */
export class Slice {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly depth: number;

  constructor(bytes: Uint8Array, depth = 0) {
    if (depth > MAX_DEPTH) throw new NetlinkDecodeError(`attributes nested over ${MAX_DEPTH} deep`);
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.depth = depth;
  }

  /** Throws unless at least `count` bytes follow `at`. */
  need(at: number, count: number): void {
    if (at < 0 || count < 0 || at + count > this.bytes.length) {
      throw new NetlinkDecodeError(`${count} bytes at ${at} of ${this.bytes.length}`);
    }
  }

  u8(at: number): number {
    this.need(at, 1);
    return this.#view.getUint8(at);
  }

  u16be(at: number): number {
    this.need(at, 2);
    return this.#view.getUint16(at, false);
  }

  u16host(at: number): number {
    this.need(at, 2);
    return this.#view.getUint16(at, HOST_IS_LITTLE_ENDIAN);
  }

  u32be(at: number): number {
    this.need(at, 4);
    return this.#view.getUint32(at, false);
  }

  u32host(at: number): number {
    this.need(at, 4);
    return this.#view.getUint32(at, HOST_IS_LITTLE_ENDIAN);
  }

  u64be(at: number): bigint {
    this.need(at, 8);
    return this.#view.getBigUint64(at, false);
  }

  /** Shares memory with this slice. */
  sub(at: number, count: number): Slice {
    this.need(at, count);
    return new Slice(this.bytes.subarray(at, at + count), this.depth + 1);
  }
}

/** How a payload is written and read. `nested` sets NLA_F_NESTED on the attribute that carries it. */
export interface Codec<T> {
  readonly nested: boolean;
  write(writer: Writer, value: T): void;
  read(slice: Slice): T;
}

/** The decoded type of a codec. */
export type ValueOf<C> = C extends Codec<infer T> ? T : never;

function scalar<T>(
  lenBytes: number,
  write: (writer: Writer, value: T) => void,
  read: (slice: Slice) => T,
): Codec<T> {
  return {
    nested: false,
    write,
    read: (slice) => {
      if (slice.bytes.length !== lenBytes) {
        throw new NetlinkDecodeError(`${slice.bytes.length} bytes where ${lenBytes} belong`);
      }
      return read(slice);
    },
  };
}

export const u8: Codec<number> = scalar(
  1,
  (writer, value) => writer.u8(value),
  (slice) => slice.u8(0),
);
export const u16be: Codec<number> = scalar(
  2,
  (writer, value) => writer.u16be(value),
  (slice) => slice.u16be(0),
);
export const u32be: Codec<number> = scalar(
  4,
  (writer, value) => writer.u32be(value),
  (slice) => slice.u32be(0),
);
/** Two's complement. */
export const i32be: Codec<number> = scalar(
  4,
  (writer, value) => writer.u32be(value),
  (slice) => slice.u32be(0) | 0,
);
export const u32host: Codec<number> = scalar(
  4,
  (writer, value) => writer.u32host(value),
  (slice) => slice.u32host(0),
);
export const u64be: Codec<bigint> = scalar(
  8,
  (writer, value) => writer.u64be(value),
  (slice) => slice.u64be(0),
);

/** Bytes as they are; decoding shares the datagram's memory. */
export const bytes: Codec<Uint8Array> = {
  nested: false,
  write: (writer, value) => writer.raw(value),
  read: (slice) => slice.bytes,
};

const decoder = new TextDecoder();

/** UTF-8, NUL-terminated; read up to the first NUL or the end. */
export const cstr: Codec<string> = {
  nested: false,
  write: (writer, value) => writer.cstr(value),
  read: (slice) => {
    const nul = slice.bytes.indexOf(0);
    return decoder.decode(nul < 0 ? slice.bytes : slice.bytes.subarray(0, nul));
  },
};

/** Calls `visit` for every attribute between `at` and the end, type without flags. */
export function eachAttr(slice: Slice, visit: (type: number, payload: Slice) => void): void {
  const end = slice.bytes.length;
  let at = 0;
  while (at < end) {
    const lenBytes = slice.u16host(at);
    const type = slice.u16host(at + 2) & NLA_TYPE_MASK;
    if (lenBytes < ATTR_HEADER_BYTES)
      throw new NetlinkDecodeError(`attribute of ${lenBytes} bytes`);
    visit(type, slice.sub(at + ATTR_HEADER_BYTES, lenBytes - ATTR_HEADER_BYTES));
    at += (lenBytes + 3) & ~3;
  }
}

/** Writes one attribute. */
export function writeAttr<T>(writer: Writer, type: number, codec: Codec<T>, value: T): void {
  const at = writer.beginAttr(codec.nested ? type | NLA_F_NESTED : type);
  codec.write(writer, value);
  writer.endAttr(at);
}

/** A codec of whatever type: what tables are made of. */
interface AnyCodec {
  readonly nested: boolean;
  write(writer: Writer, value: never): void;
  read(slice: Slice): unknown;
}

type Row = readonly [type: number, codec: AnyCodec];
type RowValue<R> = R extends readonly [number, Codec<infer T>] ? T : never;

/** What a table describes: every attribute may be absent. `unknown` holds what the table does not name, by type. */
export type AttrsOf<Rows> = { readonly [Name in keyof Rows]?: RowValue<Rows[Name]> | undefined } & {
  readonly unknown?: ReadonlyMap<number, Uint8Array> | undefined;
};

/**
 * A set of attributes as one value: `attrs({ table: [NFTA_CHAIN_TABLE, cstr], hook: [NFTA_CHAIN_HOOK, hook] })`. Rows are
 * written in the table's order, then the unknown ones; absent values are left out. A repeated attribute: the last one counts.
 */
export function attrs<const Rows extends Readonly<Record<string, Row>>>(
  rows: Rows,
): Codec<AttrsOf<Rows>> {
  const list: readonly (readonly [string, Row])[] = Object.entries(rows);
  const byType = new Map(list.map(([name, [type, codec]]) => [type, { name, codec }]));
  return {
    nested: true,
    write: (writer, value) => {
      const values = value as Readonly<Record<string, never>>;
      for (const [name, [type, codec]] of list) {
        const field = values[name];
        if (field === undefined) continue;
        const at = writer.beginAttr(codec.nested ? type | NLA_F_NESTED : type);
        codec.write(writer, field);
        writer.endAttr(at);
      }
      for (const [type, payload] of value.unknown ?? []) writeAttr(writer, type, bytes, payload);
    },
    read: (slice) => {
      const out: Record<string, unknown> = {};
      let unknown: Map<number, Uint8Array> | undefined;
      eachAttr(slice, (type, payload) => {
        const row = byType.get(type);
        if (row === undefined) (unknown ??= new Map()).set(type, payload.bytes);
        else out[row.name] = row.codec.read(payload);
      });
      if (unknown !== undefined) out['unknown'] = unknown;
      return out as AttrsOf<Rows>;
    },
  };
}

/** An array of attributes of one type, NFTA_LIST_ELEM unless said otherwise; others are skipped. */
export function listOf<T>(
  codec: Codec<T>,
  elementType: number = NFTA_LIST_ELEM,
): Codec<readonly T[]> {
  return {
    nested: true,
    write: (writer, values) => {
      for (const value of values) writeAttr(writer, elementType, codec, value);
    },
    read: (slice) => {
      const out: T[] = [];
      eachAttr(slice, (type, payload) => {
        if (type === elementType) out.push(codec.read(payload));
      });
      return out;
    },
  };
}
