/**
 * Events of all reflectors on their way to the calculation, the newest per object. Comes in: events; goes out: batches, in the order in which
 * objects changed last. When it is full, whoever adds has to wait, and with that the API server.
 */
import type { RawEvent } from '../watch/event.ts';

export class Outbox {
  readonly #capacity: number;
  readonly #now: () => number;
  readonly #events = new Map<string, RawEvent>();
  #sinceMs: number | undefined;
  #isTouched = false;
  #failure: { readonly error: unknown } | undefined;
  #isClosed = false;
  #wake: (() => void) | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  /** Holds about `capacity` events; `now` gives milliseconds since the epoch. */
  constructor(capacity: number, now: () => number) {
    this.#capacity = capacity;
    this.#now = now;
  }

  /** When the oldest of the waiting events came, milliseconds since the epoch; `undefined` = none waits. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  get size(): number {
    return this.#events.size;
  }

  /** Resolves when there is room for more. */
  async add(event: RawEvent): Promise<void> {
    this.#sinceMs ??= this.#now();
    this.#events.delete(event.key);
    this.#events.set(event.key, event);
    this.#notify();
    if (this.#isClosed || this.#events.size < this.#capacity) return;
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
    const isReady = this.#isTouched || this.#events.size > 0 || this.#failure !== undefined;
    if (!isReady && !signal.aborted) {
      this.#wake = resolve;
      signal.addEventListener('abort', onAbort, { once: true });
      await promise;
      signal.removeEventListener('abort', onAbort);
      this.#wake = undefined;
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** At most `count`, the longest waiting first. What stays counts as if it came now. */
  take(count: number): RawEvent[] {
    this.#isTouched = false;
    const taken: RawEvent[] = [];
    for (const [key, event] of this.#events) {
      if (taken.length === count) break;
      taken.push(event);
      this.#events.delete(key);
    }
    this.#sinceMs = this.#events.size > 0 ? this.#now() : undefined;
    if (this.#events.size < this.#capacity / 2) this.#drain();
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
