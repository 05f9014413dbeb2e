/** Sets of unsigned integers as sorted, disjoint, non-adjacent inclusive ranges. */
import type { Range } from './ir.ts';

export function normalizeRanges(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: Range[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && range.first <= last.last + 1n) {
      if (range.last > last.last) merged[merged.length - 1] = { ...last, last: range.last };
    } else merged.push(range);
  }
  return merged;
}

export function single(value: number | bigint): Range[] {
  return [{ first: BigInt(value), last: BigInt(value) }];
}
