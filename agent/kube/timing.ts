/** Clock and chance, handed in; and how long to wait for what. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Timing {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** 0 <= x < 1. */
  readonly random: () => number;
  /** Resolves early when `signal` aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Milliseconds, but for sizes. */
export interface KubeLimits {
  /** Until the head of an answer. */
  readonly answerMs: number;
  /** Without a byte in a watch; the server sends bookmarks about once a minute. A host that is gone is found sooner (access.ts). */
  readonly idleMs: number;
  /** Between looks at which resources are served. */
  readonly discoveryMs: number;
  /** First waiting time after a failure, and the longest. */
  readonly backOffMs: readonly [number, number];
  /** A connection that lived so long was good: the next failure waits shortly again. */
  readonly healthyMs: number;
  /** Objects per page of a list. */
  readonly pageSize: number;
  /** One watch event; the API server refuses objects beyond 3 MiB. */
  readonly maxLineBytes: number;
  /** One page of a list. */
  readonly maxPageBytes: number;
  /** Events that wait for the calculation; a reflector that has more to say waits, and with it the server. */
  readonly maxWaiting: number;
}

export const KUBE_LIMITS: KubeLimits = {
  answerMs: 30_000,
  idleMs: 100_000,
  discoveryMs: 30_000,
  backOffMs: [200, 30_000],
  healthyMs: 10_000,
  pageSize: 500,
  maxLineBytes: 16 * 1024 * 1024,
  maxPageBytes: 64 * 1024 * 1024,
  maxWaiting: 5_000,
};

/** The real ones. */
export const REAL_TIMING: Timing = {
  now: () => Date.now(),
  random: () => Math.random(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, { signal });
    } catch {
      // Aborted: the caller looks at the signal.
    }
  },
};

/** Doubles from the first time to the longest, and varies by half, so that a thousand nodes do not come back at once. */
export class BackOff {
  readonly #limits: KubeLimits;
  readonly #timing: Timing;
  #failures = 0;

  constructor(limits: KubeLimits, timing: Timing) {
    this.#limits = limits;
    this.#timing = timing;
  }

  get failures(): number {
    return this.#failures;
  }

  reset(): void {
    this.#failures = 0;
  }

  /** Milliseconds to wait after one more failure; at least `atLeastMs`. */
  next(atLeastMs = 0): number {
    const [first, longest] = this.#limits.backOffMs;
    const full = Math.min(longest, first * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.max(full, atLeastMs) * (1 + this.#timing.random() / 2);
  }
}
