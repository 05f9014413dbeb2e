/**
 * Inverted index: label key, then value, to the set of whatever carries it. Labels of objects, and, for selectors, the label
 * tests that they require. Knows nothing of inheritance.
 */
import type { LabelTest } from './requirement.ts';

const NONE: ReadonlySet<never> = new Set<never>();

export class LabelValues<T> {
  readonly #byKey = new Map<string, Map<string | undefined, Set<T>>>();

  add(test: LabelTest, entry: T): void {
    const byValue = this.#byKey.get(test.label) ?? new Map<string | undefined, Set<T>>();
    this.#byKey.set(test.label, byValue);
    const entries = byValue.get(test.value);
    if (entries === undefined) byValue.set(test.value, new Set([entry]));
    else entries.add(entry);
  }

  remove(test: LabelTest, entry: T): void {
    const byValue = this.#byKey.get(test.label);
    const entries = byValue?.get(test.value);
    if (byValue === undefined || entries === undefined) return;
    entries.delete(entry);
    if (entries.size === 0) byValue.delete(test.value);
    if (byValue.size === 0) this.#byKey.delete(test.label);
  }

  /** Entries added with exactly this test. */
  exactly(test: LabelTest): ReadonlySet<T> {
    return this.#byKey.get(test.label)?.get(test.value) ?? NONE;
  }

  /** Sets of entries that meet the test: those of the value, or of every value. An entry is in one set only. */
  *meeting(test: LabelTest): Iterable<ReadonlySet<T>> {
    if (test.value !== undefined) yield this.exactly(test);
    else yield* this.#byKey.get(test.label)?.values() ?? [];
  }
}
