/**
 * Where records go, as the rest sees it: something that takes records at once and never fails, blocks or grows without bound; what it could
 * not deliver it counts. And the queue that most of them have in common. Refuses to know what is at the other end.
 */
import type { FlowRecord } from './record.ts';

export interface OutputCounts {
  written: number;
  lost: number;
}

export interface FlowOutput {
  readonly name: string;
  readonly counts: Readonly<OutputCounts>;
  write(records: readonly FlowRecord[]): void;
  /** Delivers what waits, for a short time, and lets go. */
  close(): Promise<void>;
}

/** Told when deliveries begin to fail and when they work again, not for each record. */
export type OutputTrouble = (message: string) => void;

export interface BatchQueueOptions<T> {
  /** What waits at most; more is lost. */
  readonly maxItems: number;
  readonly maxBatch: number;
  /** Delivers one batch; resolves with how many of it were. A rejection is a bug. */
  readonly deliver: (batch: readonly T[]) => Promise<number>;
}

/** Items in order, one batch under way at a time. */
export class BatchQueue<T> {
  readonly counts: OutputCounts = { written: 0, lost: 0 };
  readonly #options: BatchQueueOptions<T>;
  #waiting: T[] = [];
  #running: Promise<void> | undefined;

  constructor(options: BatchQueueOptions<T>) {
    this.#options = options;
  }

  push(items: readonly T[]): void {
    const room = Math.max(0, this.#options.maxItems - this.#waiting.length);
    this.#waiting.push(...items.slice(0, room));
    this.counts.lost += Math.max(0, items.length - room);
    if (this.#waiting.length > 0) this.#running ??= this.#run();
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Whatever waits is lost. */
  drop(): void {
    this.counts.lost += this.#waiting.length;
    this.#waiting = [];
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#options.maxBatch);
      const delivered = await this.#options.deliver(batch);
      this.counts.written += delivered;
      this.counts.lost += batch.length - delivered;
    }
    this.#running = undefined;
  }
}

/** Says that something does not work, once, and that it works again. */
export class TroubleTeller {
  readonly #tell: OutputTrouble;
  readonly #name: string;
  #isFailing = false;

  constructor(name: string, tell: OutputTrouble) {
    this.#name = name;
    this.#tell = tell;
  }

  fail(reason: string): void {
    if (!this.#isFailing) this.#tell(`flow log ${this.#name}: ${reason}; records are lost`);
    this.#isFailing = true;
  }

  succeed(): void {
    if (this.#isFailing) this.#tell(`flow log ${this.#name}: works again`);
    this.#isFailing = false;
  }
}
