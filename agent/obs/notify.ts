/**
 * Tells systemd how the service is: sd_notify(3), the protocol alone. Comes in: the environment of the process and what to say. Goes
 * out: one datagram per message. Without NOTIFY_SOCKET nothing is said. Refuses to know: what the agent is, and when which word is due.
 */

/** One message; each field is a line `KEY=value`. */
export type NotifyFields = Readonly<Record<string, string | number>>;

/** Sends bytes to the unix datagram socket at a path, `@` first = an abstract name; 0 or -errno. */
export type SendDatagram = (path: string, bytes: Uint8Array) => number;

export interface Notifier {
  /** How often WATCHDOG=1 has to come at least, milliseconds; `undefined` = nobody waits for it. */
  readonly watchdogMs: number | undefined;
  /** False when the message was not taken: it has to be sent again where it matters. */
  send(fields: NotifyFields): boolean;
}

/** The longest value that is sent; a status is one line for people. */
const MAX_VALUE = 400;

const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const;

/**
 * Takes the variables out of `env`, so that no child talks in our name. `undefined` where nobody listens. What a variable says that
 * makes no sense counts as not said.
 */
export function takeNotifier(
  env: Record<string, string | undefined>,
  pid: number,
  send: SendDatagram,
): Notifier | undefined {
  const [path, watchdogUsec, watchdogPid] = VARIABLES.map((name) => env[name]);
  for (const name of VARIABLES) delete env[name];
  if (path === undefined || !/^[/@]./.test(path)) return undefined;
  const isForUs = watchdogPid === undefined || watchdogPid === String(pid);
  const usec = isForUs && /^\d{1,15}$/.test(watchdogUsec ?? '') ? Number(watchdogUsec) : 0;
  return {
    watchdogMs: usec > 0 ? usec / 1000 : undefined,
    send: (fields) => send(path, Buffer.from(printFields(fields))) === 0,
  };
}

/** What systemd needs to know that a reload has begun; the time is of CLOCK_MONOTONIC, nanoseconds. */
export function reloading(monotonicNs: bigint): NotifyFields {
  return { RELOADING: 1, MONOTONIC_USEC: String(monotonicNs / 1000n) };
}

function printFields(fields: NotifyFields): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key}=${oneLine(String(value))}\n`)
    .join('');
}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_VALUE ? `${line.slice(0, MAX_VALUE - 1)}…` : line;
}
