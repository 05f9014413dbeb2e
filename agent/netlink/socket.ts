/**
 * A netlink socket with an owner. In: datagrams to send, groups to listen to. Out: the bytes of answers and events, or an
 * `AgentError` that says what was being done. Refuses to know: messages, sequence numbers and acknowledgements.
 */
import { AgentError, describeErrno, errnoName, syscallError } from '../errors.ts';
import type { Native } from '../native/native.ts';

export interface SocketOptions {
  /** NETLINK_ROUTE 0, NETLINK_NETFILTER 12. */
  readonly protocol: number;
  /** File of a network namespace, like `/run/netns/NAME` or `/proc/PID/ns/net`; '' = our own. */
  readonly netnsPath: string;
  /** Wanted send buffer; it grows with the batches. Default 1 MiB. */
  readonly sndbufBytes?: number;
  /** Wanted receive buffer: one per-message ack takes about 1 KiB of it. Default 16 MiB. */
  readonly rcvbufBytes?: number;
}

const DEFAULT_SNDBUF_BYTES = 1 << 20;
const DEFAULT_RCVBUF_BYTES = 16 << 20;

/** What the kernel keeps free of a send buffer: `len > sk->sk_sndbuf - 32` in netlink_sendmsg, net/netlink/af_netlink.c (v6.12). */
const SNDBUF_RESERVE_BYTES = 32;

export class NetlinkSocket {
  /** As the kernel stamps it on what our requests cause; unsigned. */
  readonly portId: number;
  readonly #native: Native;
  readonly #handle: number;
  /** Settles when the exchange asked for last has ended: a socket answers one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(native: Native, handle: number) {
    this.#native = native;
    this.#handle = handle;
    this.portId = native.portId(handle);
  }

  /** Opens a socket; the caller closes it. Throws ERR_NETNS, ERR_NO_PERMISSION, ERR_NETLINK_UNSUPPORTED or ERR_NETLINK_IO. */
  static open(native: Native, options: SocketOptions): NetlinkSocket {
    const { protocol, netnsPath } = options;
    const handle = native.open(
      protocol,
      netnsPath,
      options.sndbufBytes ?? DEFAULT_SNDBUF_BYTES,
      options.rcvbufBytes ?? DEFAULT_RCVBUF_BYTES,
    );
    if (handle < 0) throw openError(options, -handle);
    return new NetlinkSocket(native, handle);
  }

  /**
   * Sends one datagram and resolves with the whole answer: datagrams one after the other, each padded to 4 bytes. What completes
   * an answer is told in `Native.exchange`. Exchanges of one socket run one after the other, in the order asked for. Rejects with
   * ERR_NETLINK_OVERRUN, ERR_NETLINK_TIMEOUT (after either, read the kernel's state again), ERR_NETLINK_TOO_BIG,
   * ERR_NETLINK_CLOSED, ERR_NO_PERMISSION or ERR_NETLINK_IO. What the kernel refuses is in the answer, not an error here.
   */
  exchange(
    bytes: Uint8Array,
    expect: 'acks' | 'dump',
    lastSeq: number,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const answer = this.#last.then(() => this.#exchangeNow(bytes, expect, lastSeq, timeoutMs));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /**
   * Joins the multicast groups and reports events from then on, except those our own `ignorePortId` caused (0 = all). `onBytes`
   * gets whole datagrams one after the other; `lost` > 0 = events are missing before or among them: read the kernel's state again.
   * A socket that reads can make no exchange.
   */
  read(
    groups: readonly number[],
    onBytes: (bytes: Uint8Array, lost: number) => void,
    ignorePortId = 0,
  ): void {
    for (const group of groups) {
      check(`join netlink group ${group}`, this.#native.join(this.#handle, group));
    }
    check(
      'start reading netlink events',
      this.#native.startReader(this.#handle, ignorePortId, onBytes),
    );
  }

  /** Ends reading; exchanges under way reject with ERR_NETLINK_CLOSED. Safe to call twice. */
  close(): void {
    this.#native.close(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #exchangeNow(
    bytes: Uint8Array,
    expect: 'acks' | 'dump',
    lastSeq: number,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const doing = `netlink exchange of ${bytes.length} bytes`;
    this.#makeRoom(doing, bytes.length);
    const answer = await this.#native.exchange(this.#handle, bytes, expect, lastSeq, timeoutMs);
    if (answer.errno !== 0) throw syscallError(doing, answer.errno);
    return answer.bytes;
  }

  /** The kernel takes a datagram whole or not at all, so the send buffer has to be larger. */
  #makeRoom(doing: string, lengthBytes: number): void {
    const need = lengthBytes + SNDBUF_RESERVE_BYTES;
    const has = check(doing, this.#native.sndbufBytes(this.#handle));
    if (need <= has) return;
    const got = check(doing, this.#native.setSndbuf(this.#handle, need));
    if (need <= got) return;
    throw new AgentError(
      'ERR_NETLINK_TOO_BIG',
      `${doing}: the send buffer has ${got} bytes; without CAP_NET_ADMIN in the initial user namespace raise net.core.wmem_max`,
      { lengthBytes, sndbufBytes: got },
    );
  }
}

/** Passes results on, throws for -errno. */
function check(doing: string, result: number): number {
  if (result < 0) throw syscallError(doing, -result);
  return result;
}

function openError({ protocol, netnsPath }: SocketOptions, errno: number): AgentError {
  const doing = `open netlink socket (protocol ${protocol})`;
  if (netnsPath === '') return syscallError(doing, errno);
  const where = `${doing} in network namespace ${netnsPath}`;
  const detail = { errno, netnsPath };
  switch (errnoName(errno)) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENAMETOOLONG':
      return new AgentError(
        'ERR_NETNS',
        `${where}: there is no such file; "ip netns list" names those below /run/netns, without --netns it is our own`,
        detail,
      );
    case 'EINVAL':
    case 'ENXIO':
      return new AgentError('ERR_NETNS', `${where}: the file is not a network namespace`, detail);
    case 'EPERM':
      return new AgentError(
        'ERR_NO_PERMISSION',
        `${where}: ${describeErrno(errno)}; entering a namespace needs CAP_SYS_ADMIN`,
        detail,
      );
    case 'EACCES':
      return new AgentError(
        'ERR_NO_PERMISSION',
        `${where}: ${describeErrno(errno)}; a path below /proc of another user's process needs CAP_SYS_PTRACE`,
        detail,
      );
    default:
      return syscallError(where, errno);
  }
}
