/**
 * What nft keeps beside kernel objects: comments and byte orders, as u8 type, u8 length, value. The kernel stores the bytes and
 * never looks inside. Source: libnftnl 1.2.4 include/libnftnl/udata.h; nftables 1.0.6 src/netlink.c.
 */
import { fitComment } from '../../compiler/nft/comment.ts';
import { cstr, Slice, Writer } from './codec.ts';

/** NFTNL_UDATA_RULE_COMMENT, NFTNL_UDATA_OBJ_COMMENT */
export const RULE_COMMENT = 0;
export const OBJECT_COMMENT = 0;
/** NFTNL_UDATA_SET_KEYBYTEORDER, NFTNL_UDATA_SET_COMMENT */
export const SET_KEY_BYTE_ORDER = 0;
export const SET_COMMENT = 7;
/** NFTNL_UDATA_SET_ELEM_FLAGS and its one flag: the last range of the set has no upper end. */
export const ELEMENT_FLAGS = 1;
export const ELEMENT_INTERVAL_OPEN = 1;

/** One entry holding a comment; `undefined` without one. */
export function commentUserdata(type: number, comment: string | undefined): Uint8Array | undefined {
  if (comment === undefined) return undefined;
  const writer = new Writer(160);
  putComment(writer, type, comment);
  return writer.finish();
}

export function putComment(writer: Writer, type: number, comment: string): void {
  writer.u8(type);
  const lengthAt = writer.length;
  writer.u8(0);
  cstr.write(writer, fitComment(comment));
  writer.bytes[lengthAt] = writer.length - lengthAt - 1;
}

/** Host order, as nft has it. */
export function putNumber(writer: Writer, type: number, value: number): void {
  writer.u8(type);
  writer.u8(4);
  writer.u32host(value);
}

/** The text of the entry of `type`; `undefined` without one. */
export function readComment(userdata: Uint8Array | undefined, type: number): string | undefined {
  if (userdata === undefined) return undefined;
  for (let at = 0; at + 2 <= userdata.length;) {
    const value = userdata.subarray(at + 2, at + 2 + (userdata[at + 1] ?? 0));
    if (userdata[at] === type) return cstr.read(new Slice(value));
    at += 2 + (userdata[at + 1] ?? 0);
  }
  return undefined;
}
