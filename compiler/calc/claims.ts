/**
 * Who claims what, many claims of one claimant each: a map of maps whose inner maps exist only where there is more than one claimant.
 * Does not decide who wins.
 */
export class Claims<T> {
  readonly #sole = new Map<string, readonly [claimant: string, claim: T]>();
  readonly #rivals = new Map<string, Map<string, T>>();

  set(thing: string, claimant: string, claim: T): void {
    const rivals = this.#rivals.get(thing);
    const sole = this.#sole.get(thing);
    if (rivals !== undefined) rivals.set(claimant, claim);
    else if (sole === undefined || sole[0] === claimant) this.#sole.set(thing, [claimant, claim]);
    else {
      this.#sole.delete(thing);
      this.#rivals.set(thing, new Map([sole, [claimant, claim]]));
    }
  }

  delete(thing: string, claimant: string): void {
    if (this.#sole.get(thing)?.[0] === claimant) this.#sole.delete(thing);
    const rivals = this.#rivals.get(thing);
    rivals?.delete(claimant);
    if (rivals?.size !== 1) return;
    this.#rivals.delete(thing);
    for (const sole of rivals) this.#sole.set(thing, sole);
  }

  /** In the order in which they came. */
  of(thing: string): readonly (readonly [claimant: string, claim: T])[] {
    const sole = this.#sole.get(thing);
    return sole === undefined ? [...(this.#rivals.get(thing) ?? [])] : [sole];
  }
}
