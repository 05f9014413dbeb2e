/**
 * Typed face of the addon and its only loader. Every call returns >= 0 or -errno; nothing here throws for what the kernel says.
 * Ownership: a descriptor belongs to whoever opened it until `close`; a closed descriptor is never used again.
 */
import { createRequire } from 'node:module';

export interface Native {
  /**
   * Opens a netlink socket of `protocol` (NETLINK_ROUTE 0, NETLINK_NETFILTER 12), non-blocking, close-on-exec, with
   * NETLINK_EXT_ACK and NETLINK_CAP_ACK, inside the network namespace at `netnsPath` ('' = the caller's own).
   * The calling thread's namespace is unchanged afterwards. Forces send and receive buffers to the given sizes (falls back to
   * the unforced option where CAP_NET_ADMIN in the initial namespace is missing). Returns a handle or -errno.
   */
  open(protocol: number, netnsPath: string, sndbufBytes: number, rcvbufBytes: number): number;
  /** Port id the kernel assigned; unsigned. */
  portId(handle: number): number;
  /** Bytes the send buffer really has (doubled by the kernel, socket(7)). */
  sndbufBytes(handle: number): number;
  /** Joins a multicast group; 0 or -errno. */
  join(handle: number, group: number): number;
  /**
   * Sends one datagram and then receives until `done`: off the event loop. The kernel executes a whole nf_tables batch inside
   * the send. Resolves with all datagrams received, concatenated in order. `expect`:
   *  - 'acks': until an NLMSG_ERROR (ack or error) for `lastSeq` arrived, or an error for any `seq` in a batch that the kernel
   *    aborted (it then sends no further acks): reads until the socket would block after the first error;
   *  - 'dump': until NLMSG_DONE or NLMSG_ERROR for `lastSeq`.
   * `timeoutMs` bounds the whole exchange. Result: {errno: 0 | positive errno, bytes}. ENOBUFS and EAGAIN are values.
   */
  exchange(
    handle: number,
    bytes: Uint8Array,
    expect: 'acks' | 'dump',
    lastSeq: number,
    timeoutMs: number,
  ): Promise<{ readonly errno: number; readonly bytes: Uint8Array }>;
  /**
   * Starts a thread that reads datagrams as fast as they come and hands them over in bounded batches. Datagrams whose
   * nlmsg_pid of the first message equals `ignorePortId` are dropped in C (0 = none). `callback(bytes, lost)`: whole datagrams
   * concatenated; `lost` = how often the kernel or the bounded queue overran since the last call (then resync).
   */
  startReader(
    handle: number,
    ignorePortId: number,
    callback: (bytes: Uint8Array, lost: number) => void,
  ): number;
  /** Stops the reader if any, cancels waiting exchanges (they resolve with ECANCELED) and closes. Safe to call twice. */
  close(handle: number): void;
}

/** Loads `build/picket.node` beside the project root. */
export function loadNative(): Native {
  const require = createRequire(import.meta.url);
  return require('../../build/picket.node') as Native;
}
