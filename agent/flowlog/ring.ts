/** The newest records, numbered, and those who follow. Refuses to know sockets; a slow listener needs a bounded queue of its own. */
import type { FlowRecord } from './record.ts';

/** Must be quick and must not throw. */
export type FlowListener = (record: FlowRecord) => void;

export class FlowRing {
  /** 0 = none is kept, but for those who follow. */
  #capacity: number;
  readonly #listeners = new Set<FlowListener>();
  #records: FlowRecord[] = [];
  /** Number that the next record gets. */
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The newest records stay, as many as there is room for now. */
  resize(capacity: number): void {
    this.#capacity = capacity;
    this.#records = capacity === 0 ? [] : this.#records.slice(-capacity);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Number that the next record gets, from 0 on. */
  get next(): number {
    return this.#next;
  }

  add(record: FlowRecord): void {
    this.#next++;
    if (this.#capacity > 0) this.#keep(record);
    for (const listener of this.#listeners) listener(record);
  }

  #keep(record: FlowRecord): void {
    this.#records.push(record);
    // By halves, so that a record costs no shift of all others.
    if (this.#records.length >= 2 * this.#capacity) {
      this.#records = this.#records.slice(-this.#capacity);
    }
  }

  /** The records kept from number `from` on, oldest first. */
  newest(from = 0): FlowRecord[] {
    const kept = this.#records.slice(-this.#capacity);
    return kept.slice(Math.max(0, from - (this.#next - kept.length)));
  }

  /** Calls back with every record from now on; returns what ends that. */
  follow(listener: FlowListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
