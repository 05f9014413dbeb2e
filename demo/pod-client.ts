/** The handle on a workload's program (pod.ts): attempts in, whether they succeeded out. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { projectPath } from '../test/support/tools.ts';
import type { Netns } from '../test/support/netns.ts';
import type { Attempt, Outcome } from './pod.ts';

export class PodClient {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reached: boolean) => void>();
  #nextId = 1;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts the workload's program inside its namespace; resolves when it serves `port`. */
  static async start(netns: Netns, port: number): Promise<PodClient> {
    const child = netns.start(process.execPath, [projectPath('demo/pod.ts'), String(port)]);
    const client = new PodClient(child);
    await client.#listen();
    return client;
  }

  /** One attempt from this workload. */
  attempt(question: Omit<Attempt, 'id'>): Promise<boolean> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin?.write(`${JSON.stringify({ ...question, id })}\n`);
    });
  }

  /** Ends the program. */
  close(): void {
    this.#child.stdin?.end();
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      let said = '';
      this.#child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
      this.#child.once('exit', () => reject(new Error(`a workload's program ended: ${said}`)));
      this.#child.once('error', reject);
      if (this.#child.stdout === null) return;
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        if (line === 'ready') resolve();
        else this.#settle(JSON.parse(line) as Outcome);
      });
    });
  }

  #settle(outcome: Outcome): void {
    this.#waiting.get(outcome.id)?.(outcome.reached);
    this.#waiting.delete(outcome.id);
  }
}
