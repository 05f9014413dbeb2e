/** Things that live while something refers to them. */

/** Reference counts by name; `first` and `last` run at the edges. */
export class Refs<T> {
  readonly #counts = new Map<string, number>();
  readonly #first: (value: T) => void;
  readonly #last: (value: T) => void;

  constructor(first: (value: T) => void, last: (value: T) => void) {
    this.#first = first;
    this.#last = last;
  }

  acquire(name: string, value: T): void {
    const count = this.#counts.get(name) ?? 0;
    this.#counts.set(name, count + 1);
    if (count === 0) this.#first(value);
  }

  release(name: string, value: T): void {
    const count = this.#counts.get(name) ?? 0;
    if (count > 1) this.#counts.set(name, count - 1);
    else if (this.#counts.delete(name)) this.#last(value);
  }
}
