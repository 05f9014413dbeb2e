/** Datagrams as the kernel sends them to an NFLOG reader, and packets to put inside. */
import { Writer } from '../../agent/netlink/codec.ts';
import { beginMessage, endMessage, writeNfgenmsg } from '../../agent/netlink/message.ts';
import * as schema from '../../agent/netlink/schema/nflog.ts';
import * as k from '../../agent/netlink/uapi.generated.ts';

export interface LoggedPacket {
  readonly prefix: string;
  readonly payload: Uint8Array;
  readonly seq?: number;
  readonly hook?: number;
  readonly timestampMs?: number;
  readonly inputIndex?: number;
  readonly outputIndex?: number;
}

/** One message for each packet. */
export function nflogBytes(packets: readonly LoggedPacket[]): Uint8Array {
  const writer = new Writer();
  for (const packet of packets) {
    const { prefix, payload, seq, hook = 2, timestampMs, inputIndex, outputIndex } = packet;
    const type = (k.NFNL_SUBSYS_ULOG << 8) | k.NFULNL_MSG_PACKET;
    const at = beginMessage(writer, { type, flags: 0, seq: 0 });
    writeNfgenmsg(writer, k.NFPROTO_IPV4, 5);
    schema.packet.write(writer, {
      header: Uint8Array.of(8, 0, hook, 0),
      timestamp: timestampMs === undefined ? undefined : timestampBytes(timestampMs),
      inputIndex,
      outputIndex,
      payload,
      prefix,
      seq,
    });
    endMessage(writer, at);
  }
  return writer.finish();
}

function timestampBytes(ms: number): Uint8Array {
  const writer = new Writer(16);
  writer.u64be(BigInt(Math.floor(ms / 1_000)));
  writer.u64be(BigInt((ms % 1_000) * 1_000));
  return writer.finish();
}

export interface Ipv4Options {
  readonly source?: readonly number[];
  readonly destination?: readonly number[];
  readonly protocol?: number;
  /** What follows the header, as source and destination port by default. */
  readonly rest?: readonly number[];
  /** Flags and offset. */
  readonly fragment?: number;
}

/** 10.0.0.1:40000 -> 10.0.0.2:80 TCP unless told otherwise. */
export function ipv4(options: Ipv4Options = {}): Uint8Array {
  const { source = [10, 0, 0, 1], destination = [10, 0, 0, 2], protocol = 6 } = options;
  const { rest = [0x9c, 0x40, 0, 80], fragment = 0 } = options;
  const header = [0x45, 0, 0, 40, 0, 0, fragment >> 8, fragment & 255, 64, protocol, 0, 0];
  return Uint8Array.from([...header, ...source, ...destination, ...rest]);
}

/** fd00::1 -> fd00::2; `next` is the first next header, `rest` what follows the fixed header. */
export function ipv6(next: number, rest: readonly number[]): Uint8Array {
  const fixed = [0x60, 0, 0, 0, 0, 0, next, 64];
  return Uint8Array.from([...fixed, ...uniqueLocal(1), ...uniqueLocal(2), ...rest]);
}

function uniqueLocal(last: number): number[] {
  return [0xfd, ...Array<number>(14).fill(0), last];
}
