/**
 * The running netprobe: builds test/tools/netprobe.c once, starts it, turns its lines into values. Ports and bytes in, ports
 * and bytes out. Refuses to know: packets, workloads, policies.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { buildTool } from './c-tool.ts';

/** Bytes and the port they leave by or came in at. */
export interface PortBytes {
  readonly port: number;
  readonly bytes: Uint8Array;
}

/** Between two syncs no more is sent than any receive buffer holds. */
const PACKETS_PER_SYNC = 128;

/** One netprobe process. Calls are queued: one exchange at a time. */
export class Prober {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Starts netprobe in the caller's namespaces; it enters others by path. */
  static async start(): Promise<Prober> {
    const binary = await buildTool('netprobe');
    return new Prober(spawn(binary, [], { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  /** Sends one set-up command line (see netprobe.c); throws with its words when it fails. */
  command(line: string): Promise<void> {
    return this.#enqueue(async () => {
      this.#child.stdin.write(`${line}\n`);
      const answer = await this.#nextLine();
      if (answer !== 'ok') throw new Error(`netprobe: ${line}: ${answer}`);
    });
  }

  /** Sends all in order, and returns what had arrived anywhere when the kernel had handled the last. */
  exchange(packets: readonly PortBytes[]): Promise<PortBytes[]> {
    return this.#enqueue(async () => {
      const arrived: PortBytes[] = [];
      for (let start = 0; start < packets.length; start += PACKETS_PER_SYNC) {
        const sends = packets.slice(start, start + PACKETS_PER_SYNC).map(printSend);
        this.#child.stdin.write(`${sends.join('')}sync ${start}\n`);
        arrived.push(...(await this.#untilSynced(String(start))));
      }
      return arrived;
    });
  }

  /** Ends the process. */
  async close(): Promise<void> {
    await this.#queue.catch(() => undefined);
    this.#child.stdin.end();
    if (this.#child.exitCode === null) {
      await new Promise((resolve) => this.#child.once('exit', resolve));
    }
  }

  async #untilSynced(token: string): Promise<PortBytes[]> {
    const arrived: PortBytes[] = [];
    const errors: string[] = [];
    for (;;) {
      const [word, first = '', second = ''] = (await this.#nextLine()).split(' ', 3);
      if (word === 'recv') arrived.push({ port: Number(first), bytes: Buffer.from(second, 'hex') });
      else if (word === 'error') errors.push(`${first} ${second}`);
      if (
        errors.some((text) => text.startsWith('sync')) ||
        (word === 'synced' && first === token)
      ) {
        if (errors.length > 0) throw new Error(`netprobe: ${errors.join(', ')}`);
        return arrived;
      }
    }
  }

  async #nextLine(): Promise<string> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('netprobe ended by itself');
    return line.value;
  }

  #enqueue<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(job);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function printSend(packet: PortBytes): string {
  return `send ${packet.port} ${Buffer.from(packet.bytes).toString('hex')}\n`;
}
