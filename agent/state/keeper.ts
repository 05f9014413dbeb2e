/**
 * Keeps the last good state while the agent runs: at most every few seconds, only when something changed, the latest one. Whatever becomes of it
 * changes nothing that is enforced. Comes in: that there is a new state, and how to get it. Refuses to know: what is in it.
 */
import { explainSystemError } from './files.ts';
import { keepLastGood } from './last-good.ts';
import type { Snapshot } from './snapshot.ts';

/** Between two writes, milliseconds. */
const MIN_PAUSE_MS = 5_000;

/** Making a state of a large table takes the processor's time: a fiftieth of it at most. */
const PAUSE_PER_MS = 50;

export interface KeptState {
  readonly snapshot: Snapshot;
  readonly hostDigest: string;
}

export interface KeeperParts {
  /** As `directoryOf` gives it. */
  readonly directory: string;
  /** What is in force when it is asked; `undefined` = not now: ask again at the next change. */
  readonly snapshot: () => Promise<KeptState | undefined>;
  /** Told once, until a write succeeds again. */
  readonly onFailure: (message: string) => void;
  readonly minPauseMs?: number;
}

export class StateKeeper {
  readonly #parts: KeeperParts;
  /** Writes that failed. */
  failures = 0;
  #isStale = false;
  #isFailing = false;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs: number;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#pauseMs = parts.minPauseMs ?? MIN_PAUSE_MS;
  }

  /** There is something new to keep. Returns at once. */
  changed(): void {
    this.#isStale = true;
    if (this.#writing !== undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#write(), this.#pauseMs);
    this.#timer.unref();
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    clearTimeout(this.#timer);
    if (this.#isStale) this.#write();
    await this.#writing;
    clearTimeout(this.#timer);
  }

  #write(): void {
    this.#timer = undefined;
    this.#isStale = false;
    this.#writing = this.#writeNow().finally(() => {
      this.#writing = undefined;
      if (this.#isStale) this.changed();
    });
  }

  async #writeNow(): Promise<void> {
    const { directory, snapshot, onFailure, minPauseMs = MIN_PAUSE_MS } = this.#parts;
    try {
      const startMs = performance.now();
      const made = await snapshot();
      this.#pauseMs = Math.max(minPauseMs, (performance.now() - startMs) * PAUSE_PER_MS);
      if (made === undefined) return;
      await keepLastGood(directory, made.snapshot, made.hostDigest);
      this.#isFailing = false;
    } catch (error) {
      this.failures++;
      if (!this.#isFailing) onFailure(`${directory}: ${explainSystemError(error)}`);
      this.#isFailing = true;
      // Tried again after the pause, whether or not something changes.
      this.#isStale = true;
    }
  }
}
