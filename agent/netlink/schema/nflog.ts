/**
 * NFLOG attributes as tables. Packed structures travel as bytes here: their layout is nflog.ts's. Numbers are big-endian.
 * Source: linux include/uapi/linux/netfilter/nfnetlink_log.h, nfula_cfg_policy in net/netfilter/nfnetlink_log.c (v6.12).
 */
import { attrs, bytes, cstr, u16be, u32be, u8 } from '../codec.ts';
import type { Slice, Writer } from '../codec.ts';
import * as k from '../uapi.generated.ts';

/** struct nfulnl_msg_config_mode: u32 copy range, u8 copy mode, u8 padding. */
const mode = {
  nested: false,
  write(writer: Writer, value: CopyMode): void {
    writer.u32be(value.copyRangeBytes);
    writer.u8(value.mode);
    writer.u8(0);
  },
  read: (slice: Slice): CopyMode => ({ copyRangeBytes: slice.u32be(0), mode: slice.u8(4) }),
};

export interface CopyMode {
  readonly copyRangeBytes: number;
  /** NFULNL_COPY_*. */
  readonly mode: number;
}

/** nfulnl_attr_config: one message sets all of it. `timeout` counts hundredths of a second. */
export const config = attrs({
  command: [k.NFULA_CFG_CMD, u8],
  mode: [k.NFULA_CFG_MODE, mode],
  bufferBytes: [k.NFULA_CFG_NLBUFSIZ, u32be],
  timeout: [k.NFULA_CFG_TIMEOUT, u32be],
  threshold: [k.NFULA_CFG_QTHRESH, u32be],
  flags: [k.NFULA_CFG_FLAGS, u16be],
});

/** nfulnl_attr_type, as far as it is asked for. Only tests read it so: the reader scans offsets (see nflog.ts). */
export const packet = attrs({
  /** struct nfulnl_msg_packet_hdr: u16 hardware protocol, u8 hook, u8 padding. */
  header: [k.NFULA_PACKET_HDR, bytes],
  /** struct nfulnl_msg_packet_timestamp: u64 seconds, u64 microseconds. */
  timestamp: [k.NFULA_TIMESTAMP, bytes],
  inputIndex: [k.NFULA_IFINDEX_INDEV, u32be],
  outputIndex: [k.NFULA_IFINDEX_OUTDEV, u32be],
  payload: [k.NFULA_PAYLOAD, bytes],
  prefix: [k.NFULA_PREFIX, cstr],
  seq: [k.NFULA_SEQ, u32be],
});
