/**
 * The one reader of our NFLOG group. Comes in: a network namespace. Goes out: a call for each logged packet, and how many were lost, told
 * exactly by gaps of the kernel's sequence numbers. A thread empties the socket, so a burst survives a busy event loop.
 */
import type { Native } from '../native/native.ts';
import { NetlinkDecodeError } from '../netlink/codec.ts';
import { bindNflog, scanNflog } from '../netlink/nflog.ts';
import type { NflogView } from '../netlink/nflog.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NETLINK_NETFILTER } from '../netlink/uapi.generated.ts';

export interface ReaderCounts {
  /** Packets handed on. */
  received: number;
  /** Packets that the kernel logged and nobody saw, by gaps of sequence numbers: told by the packet after the gap. */
  lost: number;
  /** How often a buffer overran, the kernel's or ours, or a datagram was malformed; each shows up in `lost` too. */
  overruns: number;
}

export interface ReaderOptions {
  readonly netnsPath: string;
  readonly group: number;
  readonly copyRangeBytes: number;
  /** The view is valid until this returns. */
  readonly onPacket: (view: NflogView) => void;
}

/** Half a second of 200,000 packets a second, as the kernel accounts for them. */
const RCVBUF_BYTES = 32 << 20;

export class NflogReader {
  readonly counts: ReaderCounts = { received: 0, lost: 0, overruns: 0 };
  readonly #socket: NetlinkSocket;
  readonly #onPacket: (view: NflogView) => void;
  #nextSeq = 0;

  private constructor(socket: NetlinkSocket, onPacket: (view: NflogView) => void) {
    this.#socket = socket;
    this.#onPacket = onPacket;
  }

  /** Begins to read; the caller closes. Throws AgentError, also when another process reads the group. */
  static async open(native: Native, options: ReaderOptions): Promise<NflogReader> {
    const { netnsPath, onPacket } = options;
    const socket = NetlinkSocket.open(native, {
      protocol: NETLINK_NETFILTER,
      netnsPath,
      rcvbufBytes: RCVBUF_BYTES,
    });
    try {
      const reader = new NflogReader(socket, onPacket);
      reader.take(await bindNflog(socket, options), 0);
      socket.read([], (datagrams, lost) => reader.take(datagrams, lost));
      return reader;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** What the reader thread hands over; for tests too. */
  take(datagrams: Uint8Array, lost: number): void {
    this.counts.overruns += lost;
    try {
      scanNflog(datagrams, (view) => {
        this.#note(view.seq);
        this.#onPacket(view);
      });
    } catch (error) {
      if (!(error instanceof NetlinkDecodeError)) throw error;
      this.counts.overruns++;
    }
  }

  close(): void {
    this.#socket.close();
  }

  #note(seq: number): void {
    this.counts.received++;
    if (seq < 0) return;
    // 32 bits that wrap; what seems to be more than half of them ago is a reordering, which does not happen.
    const gap = (seq - this.#nextSeq) >>> 0;
    if (gap < 0x8000_0000) this.counts.lost += gap;
    this.#nextSeq = (seq + 1) >>> 0;
  }
}
