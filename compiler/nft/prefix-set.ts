/**
 * Prefixes of one family as an interval set can hold them: no overlaps. A prefix covered by a wider one is kept here and stays out of the
 * kernel until the wider one goes. Comes in: prefixes added and removed. Goes out: the visible prefixes that appeared and went.
 */
import { maskCidr, printCidr } from '../model/ip.ts';
import type { Cidr } from '../model/ip.ts';

export interface PrefixDelta {
  readonly added: Cidr[];
  readonly removed: Cidr[];
}

export class PrefixSet {
  /** Prefix length to the prefixes of that length, by value. */
  readonly #byLength = new Map<number, Map<bigint, Cidr>>();

  /** Adds one prefix that is not in yet. */
  add(cidr: Cidr): PrefixDelta {
    const hidden = this.#cover(cidr) !== undefined;
    const level = this.#byLength.get(cidr.prefixLen) ?? new Map<bigint, Cidr>();
    this.#byLength.set(cidr.prefixLen, level.set(cidr.value, cidr));
    return hidden ? { added: [], removed: [] } : { added: [cidr], removed: this.#topBelow(cidr) };
  }

  /** Removes one prefix that is in. */
  remove(cidr: Cidr): PrefixDelta {
    const level = this.#byLength.get(cidr.prefixLen);
    level?.delete(cidr.value);
    if (level?.size === 0) this.#byLength.delete(cidr.prefixLen);
    const hidden = this.#cover(cidr) !== undefined;
    return hidden ? { added: [], removed: [] } : { added: this.#topBelow(cidr), removed: [cidr] };
  }

  get isEmpty(): boolean {
    return this.#byLength.size === 0;
  }

  /** A prefix in the set that is wider than `cidr` and contains it. */
  #cover(cidr: Cidr): Cidr | undefined {
    for (const [length, level] of this.#byLength) {
      if (length >= cidr.prefixLen) continue;
      const cover = level.get(maskCidr(cidr, length).value);
      if (cover !== undefined) return cover;
    }
    return undefined;
  }

  /** Widest prefixes strictly inside `cidr`. Costs the number of narrower prefixes in the set. */
  #topBelow(cidr: Cidr): Cidr[] {
    const found = new Map<string, Cidr>();
    const lengths = [...this.#byLength.keys()].filter((length) => length > cidr.prefixLen);
    for (const length of lengths.sort((a, b) => a - b)) {
      for (const inner of this.#byLength.get(length)?.values() ?? []) {
        if (maskCidr(inner, cidr.prefixLen).value !== cidr.value) continue;
        if (!isCoveredBy(inner, found)) found.set(printCidr(inner), inner);
      }
    }
    return [...found.values()];
  }
}

function isCoveredBy(inner: Cidr, found: ReadonlyMap<string, Cidr>): boolean {
  if (found.size === 0) return false;
  for (let length = 0; length < inner.prefixLen; length++) {
    if (found.has(printCidr(maskCidr(inner, length)))) return true;
  }
  return false;
}
