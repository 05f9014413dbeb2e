/**
 * Network namespaces for tests and the demo. Each is held open by a small child process that waits at the end of a pipe
 * from us: when this process ends, however it ends, the pipe closes, the holder exits and the kernel removes the namespace
 * with all its interfaces. So nothing is left behind after a crash or kill -9, and no name can clash. Works as root and
 * inside `unshare -rn`. Refuses to know: what the namespaces are for.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { execa } from 'execa';
import { requireSystemTool } from './tools.ts';

export interface Netns {
  /** Process id of the holder, as `ip link set ... netns PID` takes it. */
  readonly pid: number;
  /** `/proc/PID/ns/net`, as nsenter and `picket --netns` take it; valid until `close`. */
  readonly path: string;
  /** Runs a command inside and returns its output; throws with the command's own words when it fails. */
  run(command: string, args: readonly string[], input?: string): Promise<string>;
  /** Starts a long-running command inside; the caller ends it. All three streams are pipes. */
  start(command: string, args: readonly string[]): ChildProcess;
  /** Ends the holder; interfaces go with the namespace unless someone else still uses it. Safe to call twice. */
  close(): Promise<void>;
}

/** Said when the kernel refuses. */
const NEEDS = 'it takes root, or a kernel that lets users make user namespaces';

/** Makes an empty namespace, in which only a `lo` that is down exists. */
export async function openNetns(): Promise<Netns> {
  const holder = spawn(
    requireSystemTool('unshare'),
    ['--net', 'sh', '-c', 'echo ready; exec cat >/dev/null'],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  const { pid } = holder;
  await ready(holder);
  if (pid === undefined) throw new Error('a started process has no id');
  letExit(holder);
  const path = `/proc/${pid}/ns/net`;
  const entered = [`--net=${path}`, '--'];
  const nsenter = requireSystemTool('nsenter');
  return {
    pid,
    path,
    run: async (command, args, input = '') =>
      (await execa(nsenter, [...entered, command, ...args], { input })).stdout,
    start: (command, args) =>
      spawn(nsenter, [...entered, command, ...args], { stdio: ['pipe', 'pipe', 'pipe'] }),
    close: async () => {
      if (holder.exitCode !== null || holder.signalCode !== null) return;
      const ended = once(holder, 'exit');
      holder.ref();
      holder.stdin.end();
      await ended;
    },
  };
}

/** Runs `ip -batch` with these lines (without the leading `ip`), all in one process. */
export async function runIp(netns: Netns, lines: readonly string[]): Promise<void> {
  await netns.run(requireSystemTool('ip'), ['-batch', '-'], `${lines.join('\n')}\n`);
}

/** Writes settings below /proc/sys/net of the namespace: `{'ipv4/ip_forward': '1'}`. */
export async function writeSysctls(
  netns: Netns,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const script = Object.entries(settings)
    .map(([key, value]) => `echo '${value}' > '/proc/sys/net/${key}'`)
    .join('\n');
  await netns.run('sh', ['-e'], `${script}\n`);
}

/** Resolves once the holder has its namespace. */
async function ready(holder: ChildProcess): Promise<void> {
  let said = '';
  holder.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const failed = new Promise<never>((_, reject) => {
    holder.once('error', reject);
    holder.once('exit', () =>
      reject(new Error(`making a network namespace: ${said.trim()} (${NEEDS})`)),
    );
  });
  await Promise.race([once(holder.stdout ?? holder, 'data'), failed]);
  holder.removeAllListeners('exit');
}

/** The holder must not keep this process alive. */
function letExit(holder: ChildProcess): void {
  holder.unref();
  for (const stream of [holder.stdin, holder.stdout, holder.stderr]) {
    // Child pipes are net.Sockets; their declared type does not say so.
    (stream as { unref?: () => void } | null)?.unref?.();
  }
}
