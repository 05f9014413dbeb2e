/**
 * What of a long list goes into a record. One pod may have a megabyte of labels and be selected by thousands of policies, and there are
 * hundreds of thousands of records: each list has a bound, so that a record is smaller than a pipe and a journal entry.
 */
import type { Labels } from '../../compiler/model/cluster.ts';

/** Characters of one list, as JSON has it. */
const MAX_LENGTH = 4_096;

export interface Bounded<T> {
  readonly kept: T;
  /** How many are left out. */
  readonly omitted: number;
}

/** The first ones that fit. */
export function boundedList<T>(items: readonly T[]): Bounded<readonly T[]> {
  let length = 0;
  const end = items.findIndex((item) => (length += JSON.stringify(item).length) > MAX_LENGTH);
  return end < 0
    ? { kept: items, omitted: 0 }
    : { kept: items.slice(0, end), omitted: items.length - end };
}

const KNOWN = new WeakMap<Labels, Bounded<Labels>>();

/** The same object for the same labels: records share it. */
export function boundedLabels(labels: Labels): Bounded<Labels> {
  const known = KNOWN.get(labels);
  if (known !== undefined) return known;
  const { kept, omitted } = boundedList(Object.entries(labels));
  const bounded = { kept: omitted === 0 ? labels : Object.fromEntries(kept), omitted };
  KNOWN.set(labels, bounded);
  return bounded;
}
