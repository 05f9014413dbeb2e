/**
 * What stands above everything else in a status: opened in an emergency, a change that waits for its confirmation or was undone, and where the
 * rules in force come from. Read from files, so that it can be said without a running agent. Changes nothing.
 */
import type { Config } from '../config/keys.ts';
import { monotonicMs, readBootId } from '../guard/clock.ts';
import { asPending, readPending, readUndoing, readUndone } from '../guard/pending.ts';
import type { Undone } from '../guard/pending.ts';
import { readEnforcedOrigin } from '../state/origin.ts';
import type { EnforcedOrigin } from '../state/origin.ts';
import { readPanicMark } from '../state/panic.ts';
import type { PanicMark } from '../state/panic.ts';
import { printAgo, printDuration } from '../control/status-print.ts';
import { describeUndone, directoriesOf, seconds } from './guarded.ts';

/** A guard that lives has undone a change by then, milliseconds after its deadline. */
const UNDOING_MS = 5_000;

export interface Standing {
  /** Absent = not open. */
  readonly panicOpen: PanicMark | undefined;
  /** `leftMs` below 0: it should have been undone by now. */
  readonly pending: { readonly origin: string; readonly leftMs: number } | undefined;
  readonly undone: Undone | undefined;
  readonly enforced: EnforcedOrigin | undefined;
}

export function readStanding(config: Config): Standing {
  const directories = directoriesOf(config);
  return {
    panicOpen: readPanic(directories),
    pending: pendingIn(directories.run),
    undone: readUndone(directories.run),
    enforced: readEnforcedOrigin(directories.run),
  };
}

/** Nothing for those who may not look into the directories; they may not ask the agent either. */
function readPanic(directories: Parameters<typeof readPanicMark>[0]): PanicMark | undefined {
  try {
    return readPanicMark(directories);
  } catch {
    return undefined;
  }
}

/** What belongs to the boot before waits no longer. */
function pendingIn(directory: string): Standing['pending'] {
  const pending = asPending(readPending(directory)) ?? readUndoing(directory);
  if (pending === undefined) return undefined;
  const { origin, pending: fields } = pending.header;
  return fields.bootId === readBootId()
    ? { origin, leftMs: fields.deadlineMs - monotonicMs() }
    : undefined;
}

/** Loud lines, first of all. */
export function printAlarms({ panicOpen, pending, undone }: Standing): readonly string[] {
  const lines: string[] = [];
  if (panicOpen !== undefined) {
    const since = new Date(panicOpen.sinceMs).toISOString();
    lines.push(
      `*** OPEN: picket panic-open was said at ${since}; NOTHING IS ENFORCED. To enforce again: picket panic-open --undo ***`,
    );
  }
  if (pending !== undefined) lines.push(`*** ${printPending(pending)} ***`);
  if (undone !== undefined) lines.push(`*** UNDONE: ${describeUndone(undone)} ***`);
  return lines;
}

function printPending({ origin, leftMs }: NonNullable<Standing['pending']>): string {
  if (leftMs > 0) {
    return `NOT CONFIRMED: the last change (${origin}) is undone in ${seconds(leftMs)}. To keep it: picket confirm`;
  }
  if (leftMs > -UNDOING_MS) {
    return `NOT CONFIRMED: the last change (${origin}) is being undone`;
  }
  return (
    `NOT CONFIRMED AND NOT UNDONE: the time of the last change (${origin}) was over ${printDuration(-leftMs)} ago, ` +
    'and its guard is gone. To undo it: picket confirm --undo'
  );
}

/** `the last good state, loaded at boot; since 3 min 5 s ago`. */
export function printOrigin({ enforced, pending }: Standing, nowMs: number): string {
  // Written down when it is confirmed.
  if (pending !== undefined) return `those of the last change (${pending.origin}), not confirmed`;
  if (enforced === undefined) return 'nobody has written down where its rules come from';
  const { source, text, sinceMs, stateMs } = enforced;
  const state = stateMs === undefined ? '' : `, a state of ${new Date(stateMs).toISOString()}`;
  return `from ${source} (${text})${state}, ${printAgo(sinceMs, nowMs)}`;
}
