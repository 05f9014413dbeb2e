/**
 * What the world may refuse us, as one table of codes and one class hierarchy. In: what we were doing and what came back. Out:
 * errors whose `code` decides what the engine does next. Refuses to know: bad input (that is an `Issue`, never thrown) and our
 * own bugs.
 */
import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';

/**
 * What the engine does after a fault: `resync` reads the kernel's state again and applies the difference, `relist` asks the API
 * server for everything again, `backoff` tries the same later, `never` gives up and says so.
 */
export type Retry = 'resync' | 'relist' | 'backoff' | 'never';

/** Every code an `AgentError` can have. The README's list is made from it. */
const FAULTS = {
  /** Answers or events were lost because a buffer was full; whether a batch was applied is unknown. */
  ERR_NETLINK_OVERRUN: { retry: 'resync' },
  /** No complete answer in time; whether a batch was applied is unknown. */
  ERR_NETLINK_TIMEOUT: { retry: 'resync' },
  /** A batch is larger than the send buffer may become without CAP_NET_ADMIN in the initial user namespace. */
  ERR_NETLINK_TOO_BIG: { retry: 'never' },
  /** The socket was closed before or while it was used. */
  ERR_NETLINK_CLOSED: { retry: 'never' },
  /** Any other failure of a system call on a netlink socket. */
  ERR_NETLINK_IO: { retry: 'backoff' },
  /** The kernel has no such netlink protocol: a module is missing. */
  ERR_NETLINK_UNSUPPORTED: { retry: 'never' },
  /** A capability or file permission is missing. */
  ERR_NO_PERMISSION: { retry: 'never' },
  /** The path given as network namespace is none. */
  ERR_NETNS: { retry: 'never' },
  /** The native addon is not built, or built for another machine. */
  ERR_ADDON: { retry: 'never' },
  /** The API server forgot the version our watch continues from (410 Gone). */
  ERR_WATCH_GONE: { retry: 'relist' },
  /** The API server or the way to it failed. */
  ERR_API: { retry: 'backoff' },
  /** The kubeconfig, or the service account of the pod, cannot be used. */
  ERR_KUBECONFIG: { retry: 'never' },
} as const satisfies Record<string, { readonly retry: Retry }>;

export type FaultCode = keyof typeof FAULTS;

/** A fault whose meaning is its `code`; `detail` has the facts for logs and metrics, `cause` the error below if there is one. */
export class AgentError<D = unknown> extends Error {
  readonly code: FaultCode;
  readonly detail: D;

  /** `message` = what we were doing + what came back. */
  constructor(code: FaultCode, message: string, detail: D, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.detail = detail;
  }

  get retry(): Retry {
    return FAULTS[this.code].retry;
  }
}

/** A system call on a netlink socket failed. */
export interface SyscallDetail {
  /** Positive errno. */
  readonly errno: number;
}

const CODE_OF_ERRNO: { readonly [name: string]: FaultCode } = {
  EPERM: 'ERR_NO_PERMISSION',
  EACCES: 'ERR_NO_PERMISSION',
  ENOBUFS: 'ERR_NETLINK_OVERRUN',
  ETIMEDOUT: 'ERR_NETLINK_TIMEOUT',
  EMSGSIZE: 'ERR_NETLINK_TOO_BIG',
  ECANCELED: 'ERR_NETLINK_CLOSED',
  EBADF: 'ERR_NETLINK_CLOSED',
  EPROTONOSUPPORT: 'ERR_NETLINK_UNSUPPORTED',
};

/** The kernel or the addon answered `errno` (positive) to what `doing` names. */
export function syscallError(doing: string, errno: number): AgentError<SyscallDetail> {
  const code = CODE_OF_ERRNO[errnoName(errno)] ?? 'ERR_NETLINK_IO';
  const hint = errnoName(errno) === 'EPERM' ? `; ${NEEDED_CAPABILITY}` : '';
  return new AgentError(code, `${doing}: ${describeErrno(errno)}${hint}`, { errno });
}

/** What EPERM to a netlink message means: nfnetlink_rcv in net/netfilter/nfnetlink.c and rtnetlink_rcv_msg (v6.12). */
export const NEEDED_CAPABILITY =
  'it takes the capability CAP_NET_ADMIN in the network namespace: run as root, or give it to the service';

/** Names as the kernel's headers have them; where two names share a number, the one netlink uses. */
const ERRNO_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, errno]) => [errno, name] as const),
  [11, 'EAGAIN'],
  // The generation a batch was made for is over (NFNL_BATCH_GENID); from include/linux/errno.h, not in libc's list.
  [85, 'ERESTART'],
  [95, 'EOPNOTSUPP'],
]);

/** `ENOENT` for 2; `errno 4000` for a number that has no name. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
}

/** `ENOENT (no such file or directory)`; the name alone where the system has no text for it. */
export function describeErrno(errno: number): string {
  const text = getSystemErrorMessage(-errno);
  return text.startsWith('Unknown') ? errnoName(errno) : `${errnoName(errno)} (${text})`;
}
