/** A receiver of unix datagrams, as systemd and journald are ones: a path comes in, senders and texts go out, in order. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { buildTool } from './c-tool.ts';

export interface Datagram {
  /** Of the sender, as the kernel says. */
  readonly pid: number;
  readonly bytes: Uint8Array;
  /** `bytes` as UTF-8. */
  readonly text: string;
}

export interface DatagramReceiver {
  readonly pid: number;
  /** Everything that has come, oldest first; grows. */
  readonly received: readonly Datagram[];
  close(): Promise<void>;
}

/** Receives at `path`, which must not exist; `@` first = an abstract name. */
export async function receiveDatagrams(path: string): Promise<DatagramReceiver> {
  const child = spawn(await buildTool('datagrams'), [path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const received: Datagram[] = [];
  const lines = createInterface({ input: child.stdout });
  const ready = once(lines, 'line');
  lines.on('line', (line) => {
    const [pid = '', hex = ''] = line.split(' ');
    if (pid === 'ready') return;
    const bytes = Buffer.from(hex, 'hex');
    received.push({ pid: Number(pid), bytes, text: bytes.toString() });
  });
  await Promise.race([
    ready,
    once(child, 'exit').then(() => {
      throw new Error(`no datagram can be received at ${path}`);
    }),
  ]);
  return {
    pid: child.pid ?? 0,
    received,
    close: async () => {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}
