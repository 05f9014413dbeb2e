/**
 * The newest records, and readers that follow. A reader has a bounded queue of its own: one that does not keep up loses the oldest of its
 * records and is told how many; nobody else notices. Refuses to know sockets.
 */
import type { FlowRecord } from './record.ts';

/** What a reader gets: records in order, and before them how many of its own it lost. */
export interface ReadBatch {
  readonly lost: number;
  readonly records: readonly FlowRecord[];
}

export class FlowReader {
  readonly #capacity: number;
  readonly #wake: () => void;
  #queue: FlowRecord[] = [];
  #lost = 0;

  /** `wake` is called when the queue is no longer empty. */
  constructor(capacity: number, wake: () => void) {
    this.#capacity = capacity;
    this.#wake = wake;
  }

  push(record: FlowRecord): void {
    const wasEmpty = this.#queue.length === 0;
    this.#queue.push(record);
    // Halves, so that a reader which never reads costs no shift per record.
    if (this.#queue.length >= 2 * this.#capacity) {
      this.#lost += this.#queue.length - this.#capacity;
      this.#queue = this.#queue.slice(-this.#capacity);
    }
    if (wasEmpty) this.#wake();
  }

  take(): ReadBatch {
    const over = Math.max(0, this.#queue.length - this.#capacity);
    const batch = { lost: this.#lost + over, records: this.#queue.slice(over) };
    this.#queue = [];
    this.#lost = 0;
    return batch;
  }
}

export class FlowRing {
  readonly #capacity: number;
  readonly #readers = new Set<FlowReader>();
  #records: FlowRecord[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get readers(): number {
    return this.#readers.size;
  }

  add(record: FlowRecord): void {
    this.#records.push(record);
    if (this.#records.length >= 2 * this.#capacity) {
      this.#records = this.#records.slice(-this.#capacity);
    }
    for (const reader of this.#readers) reader.push(record);
  }

  /** The records kept, oldest first. */
  newest(): FlowRecord[] {
    return this.#records.slice(-this.#capacity);
  }

  /** `capacity` records at most wait for the reader. End it with `leave`. */
  follow(capacity: number, wake: () => void): FlowReader {
    const reader = new FlowReader(capacity, wake);
    this.#readers.add(reader);
    return reader;
  }

  leave(reader: FlowReader): void {
    this.#readers.delete(reader);
  }
}
