/** A flag that a loop waits for: any number of sets before the wait count once. */
export class Wakeup {
  #isSet = false;
  #resolve: (() => void) | undefined;

  set(): void {
    this.#isSet = true;
    this.#resolve?.();
  }

  /** Resolves when the flag is set, and clears it. One waiter at a time. */
  async wait(): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
      this.#resolve = undefined;
    }
    this.#isSet = false;
  }
}
