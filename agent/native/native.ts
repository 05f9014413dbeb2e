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
  /**
   * Asks for a send buffer of `bytes`, forced where allowed (else at most net.core.wmem_max). Returns what `sndbufBytes` then
   * says or -errno.
   */
  setSndbuf(handle: number, bytes: number): number;
  /** Joins a multicast group; 0 or -errno. */
  join(handle: number, group: number): number;
  /**
   * Sends one datagram and then receives until the answer is complete: on a thread of its own, off the event loop and outside
   * libuv's pool. The kernel executes a whole nf_tables batch inside the send. `bytes` are copied. Resolves with all datagrams
   * received, each well formed and padded to 4 bytes, concatenated in order; answers left over from an earlier exchange are
   * thrown away before the send. `expect`:
   *  - 'acks': until an NLMSG_ERROR (ack or error) for `lastSeq` arrived. After an error for any `seq` (say EPERM for the batch
   *    header, which gets no further acks) or an overrun: until nothing more is queued;
   *  - 'dump': until NLMSG_DONE or NLMSG_ERROR for `lastSeq`.
   * `timeoutMs` bounds the wait for answers. Result: {errno: 0 | positive errno, bytes}; never rejects. ECANCELED closed
   * meanwhile, ETIMEDOUT, ENOBUFS answers lost, EMSGSIZE larger than the send buffer, EBADMSG malformed answer, EBUSY another
   * exchange or a reader has the handle, EBADF closed handle.
   */
  exchange(
    handle: number,
    bytes: Uint8Array,
    expect: 'acks' | 'dump',
    lastSeq: number,
    timeoutMs: number,
  ): Promise<{ readonly errno: number; readonly bytes: Uint8Array }>;
  /**
   * Starts a thread that reads datagrams as fast as they come and hands them over in batches of at most 256 KiB. Datagrams whose
   * nlmsg_pid of the first message equals `ignorePortId` are dropped in C (0 = none). `callback(bytes, lost)`: whole datagrams,
   * each well formed and padded to 4 bytes, concatenated; `lost` = how often the kernel's buffer overran or a datagram was
   * malformed, since the last call (then resync). When 64 MiB wait to be handed over, the kernel's buffer takes what comes. A
   * callback that throws is an uncaught exception. A reader alone does not keep the event loop alive. Returns 0, -EBUSY, -EBADF or -EINVAL.
   */
  startReader(
    handle: number,
    ignorePortId: number,
    callback: (bytes: Uint8Array, lost: number) => void,
  ): number;
  /** Stops the reader if any, cancels waiting exchanges (they resolve with ECANCELED) and closes. Safe to call twice. */
  close(handle: number): void;
  /**
   * Sends one datagram to the unix socket at an absolute `path`, or to the abstract name when it starts with `@`. Never blocks:
   * EAGAIN = the receiver's queue is full. 0 or -errno: ECONNREFUSED or ENOENT nobody receives, EMSGSIZE larger than the send
   * buffer, EINVAL the path is neither, ENAMETOOLONG.
   */
  sendUnixDatagram(path: string, bytes: Uint8Array): number;
  /**
   * Bytes that were written to the pipe or socket `fd` and that nobody has read yet; 0 for files and terminals. A writer that
   * looks first never blocks, and leaves room for others. -errno where `fd` is none.
   */
  queuedBytes(fd: number): number;
  /**
   * Gives memory that was freed back to the system (malloc_trim(3)): some milliseconds. 1 = some was, 0 = there was none, -ENOSYS
   * where the C library has no such thing.
   */
  trimMemory(): number;
}

const DEFAULT_ADDON = '../../build/picket.node';

/**
 * Loads the addon; `file` is absolute or relative to this folder (tests load the sanitizer build). Node's own error, with
 * `code` MODULE_NOT_FOUND or ERR_DLOPEN_FAILED, tells that set-up has not been run or that the build is for another machine.
 */
export function loadNative(file = DEFAULT_ADDON): Native {
  const require = createRequire(import.meta.url);
  return require(file) as Native;
}
