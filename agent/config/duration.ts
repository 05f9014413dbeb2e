/** Spans of time as people write them. */

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

const LONGEST_MS = 24 * UNIT_MS.h;

export const DURATION_FORM = 'a duration like 60s, 5m or 1h, from 1s to 24h';

/** Milliseconds; `undefined` = not like that. */
export function toDurationMs(text: string): number | undefined {
  const match = /^(\d{1,6})(ms|s|m|h)$/.exec(text);
  if (match === null) return undefined;
  const [, count, unit] = match;
  const ms = Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  return ms >= UNIT_MS.s && ms <= LONGEST_MS ? ms : undefined;
}

/** As `toDurationMs` reads it. */
export function printDuration(ms: number): string {
  const unit = (['h', 'm', 's'] as const).find((each) => ms % UNIT_MS[each] === 0) ?? 'ms';
  return `${ms / UNIT_MS[unit]}${unit}`;
}
