/** Paths that need another look, coalesced. Comes in: marks, as fast as they like; goes out: what is marked, once. Does no I/O. */

/** More paths than this at once mean "look at everything": cheaper, and the kernel's event queue may have overflowed unseen. */
export const MAX_PENDING_PATHS = 1000;

/** `everything` = a complete scan is due, so `paths` is empty. */
export interface PendingWork {
  readonly everything: boolean;
  readonly paths: ReadonlySet<string>;
}

export class Pending {
  #everything = false;
  #paths = new Set<string>();
  #marks = 0;
  #sinceMs: number | undefined;
  #wake: (() => void) | undefined;

  /** How many marks there have been; tells whether it is quiet. */
  get marks(): number {
    return this.#marks;
  }

  /** When the oldest of the present marks was made, milliseconds since the epoch; `undefined` = nothing is marked. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  markPath(path: string): void {
    if (!this.#everything) this.#paths.add(path);
    if (this.#paths.size > MAX_PENDING_PATHS) this.markEverything();
    else this.#notify();
  }

  markEverything(): void {
    this.#everything = true;
    this.#paths.clear();
    this.#notify();
  }

  take(): PendingWork {
    const work = { everything: this.#everything, paths: this.#paths };
    this.#everything = false;
    this.#paths = new Set();
    this.#sinceMs = undefined;
    return work;
  }

  /** Resolves when something is marked, or on abort. One waiter at a time. */
  async wait(signal: AbortSignal): Promise<void> {
    if (this.#everything || this.#paths.size > 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const onAbort = (): void => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    await promise;
    signal.removeEventListener('abort', onAbort);
    this.#wake = undefined;
  }

  #notify(): void {
    this.#marks += 1;
    this.#sinceMs ??= Date.now();
    this.#wake?.();
  }
}
