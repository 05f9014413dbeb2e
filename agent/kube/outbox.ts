/**
 * Events of all reflectors on their way to the calculation, the newest per object. Comes in: events; goes out: batches, urgent events first,
 * otherwise in the order in which objects changed last. When it is full, whoever adds has to wait, and with that the API server.
 */
import type { RawEvent } from '../watch/event.ts';

export class Outbox {
  readonly #capacity: number;
  readonly #now: () => number;
  readonly #isUrgent: (event: RawEvent) => boolean;
  /** An object is in one of the two. */
  readonly #urgent = new Map<string, RawEvent>();
  readonly #others = new Map<string, RawEvent>();
  #sinceMs: number | undefined;
  #isTouched = false;
  #failure: { readonly error: unknown } | undefined;
  #isClosed = false;
  #wake: (() => void) | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  /** Holds about `capacity` events; `now` gives milliseconds since the epoch. */
  constructor(capacity: number, now: () => number, isUrgent: (event: RawEvent) => boolean) {
    this.#capacity = capacity;
    this.#now = now;
    this.#isUrgent = isUrgent;
  }

  /** When the oldest of the waiting events came, milliseconds since the epoch; `undefined` = none waits. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  get size(): number {
    return this.#urgent.size + this.#others.size;
  }

  /** Resolves when there is room for more. */
  async add(event: RawEvent): Promise<void> {
    this.#sinceMs ??= this.#now();
    this.#urgent.delete(event.key);
    this.#others.delete(event.key);
    (this.#isUrgent(event) ? this.#urgent : this.#others).set(event.key, event);
    this.#notify();
    if (this.#isClosed || this.size < this.#capacity) return;
    this.#drained ??= Promise.withResolvers();
    await this.#drained.promise;
  }

  /** Something besides events has changed: a batch is due. */
  touch(): void {
    this.#isTouched = true;
    this.#notify();
  }

  /** The next `wait` throws this: one of our own errors. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#notify();
  }

  /** Resolves when there is something to take, or on abort. One waiter at a time. */
  async wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = (): void => resolve();
    const isReady = this.#isTouched || this.size > 0 || this.#failure !== undefined;
    if (!isReady && !signal.aborted) {
      this.#wake = resolve;
      signal.addEventListener('abort', onAbort, { once: true });
      await promise;
      signal.removeEventListener('abort', onAbort);
      this.#wake = undefined;
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** At most `count`: the urgent ones, then the others, the longest waiting first. What stays counts as if it came now. */
  take(count: number): RawEvent[] {
    this.#isTouched = false;
    const taken: RawEvent[] = [];
    for (const events of [this.#urgent, this.#others]) {
      for (const [key, event] of events) {
        if (taken.length === count) break;
        taken.push(event);
        events.delete(key);
      }
    }
    this.#sinceMs = this.size > 0 ? this.#now() : undefined;
    if (this.size < this.#capacity / 2) this.#drain();
    return taken;
  }

  /** Nobody takes any more: nobody waits for room, now and later. */
  close(): void {
    this.#isClosed = true;
    this.#drain();
  }

  #drain(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  #notify(): void {
    this.#wake?.();
  }
}
