/** How often something may be done: `size` times at once, and `perMinute` times in the long run. Knows no clock: the time comes in. */
export class TokenBucket {
  readonly #size: number;
  readonly #perMinute: number;
  #tokens: number;
  #atMs: number;

  constructor(size: number, perMinute: number, nowMs: number) {
    this.#size = size;
    this.#perMinute = perMinute;
    this.#tokens = size;
    this.#atMs = nowMs;
  }

  /** True when it may be done now; then it counts as done. A clock that goes back gives nothing. */
  take(nowMs: number): boolean {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#tokens = Math.min(this.#size, this.#tokens + (passedMs / 60_000) * this.#perMinute);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
