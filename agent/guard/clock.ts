/** The clock of deadlines that several processes share: CLOCK_MONOTONIC, which nobody can set and every process of one boot reads alike. */
import { readFileSync } from 'node:fs';

/** Milliseconds of an arbitrary start, the same for all processes until the machine restarts. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** Names the time since the machine started, as deadlines mean nothing in the next. '' where /proc is missing. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
