/**
 * The guard of one change: a process of its own that outlives whoever made the change. It waits until the change is decided or its time is
 * over, and then undoes it. Comes in: the id of the change. Goes out: what became of it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError } from '../errors.ts';
import { isSystemError } from '../state/files.ts';
import { monotonicMs } from './clock.ts';
import { asPending, claimToUndo, isUndoing, pendingVersion, readPending } from './pending.ts';
import type { PendingSnapshot, Undone } from './pending.ts';
import { finishUndoing, putBack } from './undo.ts';
import type { UndoParts } from './undo.ts';

/** How often it looks whether the change is decided, milliseconds. */
const LOOK_MS = 250;

/** Between attempts when the kernel or a disk refuses to go back, milliseconds: twice as long each time. */
const RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

export type GuardEnd = 'decided' | 'undone';

/**
 * `onReady` is called once, when the change is known and the wait begins. From then on a file that is damaged keeps nobody from undoing: what
 * was read counts. `tell` hears what was undone, and of each attempt to that did not succeed.
 */
export async function guard(
  parts: UndoParts,
  id: string,
  onReady: () => void,
  tell: (text: string) => void = () => undefined,
): Promise<GuardEnd> {
  const { run } = parts.directories;
  let version: string | undefined;
  let change: PendingSnapshot | undefined;
  let isReady = false;
  for (;;) {
    const found = versionOf(run, version);
    if (found === undefined) return 'decided';
    if (found !== version) {
      version = found;
      change = asPending(readPending(run)) ?? change;
    }
    if (change?.header.pending.id !== id) return 'decided';
    if (!isReady) onReady();
    isReady = true;
    const leftMs = change.header.pending.deadlineMs - monotonicMs();
    if (leftMs <= 0) break;
    await delay(Math.min(leftMs, LOOK_MS));
  }
  return undo(parts, change, tell);
}

/** Nobody is locked out because the kernel was short of memory once, or a disk is full or read-only. */
async function undo(
  parts: UndoParts,
  change: PendingSnapshot,
  tell: (text: string) => void,
): Promise<GuardEnd> {
  const { run } = parts.directories;
  let isMine = false;
  let isPutBack = false;
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
    try {
      isMine ||= await claimToUndo(run, change.header.pending.id);
      if (!isMine) return isPutBack ? 'undone' : 'decided';
      // Somebody else has finished it, and may have changed something since.
      if (!isUndoing(run)) return 'undone';
      const undone = await finishUndoing(parts, 'deadline', change);
      tell(undone === undefined ? OPEN : describe(undone));
      return 'undone';
    } catch (error) {
      tell(`a change that nobody confirmed, tried again in ${waitMs} ms: ${explain(error)}`);
      // Nobody can claim it where its file cannot be moved: the rules need not wait for that.
      if (!isMine && !isPutBack) isPutBack = await tryPutBack(parts, change, tell);
      await delay(waitMs);
    }
  }
}

const OPEN =
  'a change that nobody confirmed is not undone: opened in an emergency, NOTHING IS ENFORCED';

function describe({ origin }: Undone): string {
  return `UNDONE: nobody confirmed the last change (${origin}) in time; the rules before it are in force again`;
}

async function tryPutBack(
  parts: UndoParts,
  change: PendingSnapshot,
  tell: (text: string) => void,
): Promise<boolean> {
  try {
    await putBack(parts, change);
    return true;
  } catch (error) {
    tell(`the rules before it are not in force: ${explain(error)}`);
    return false;
  }
}

/** What was there before, where the system does not say. */
function versionOf(run: string, before: string | undefined): string | undefined {
  try {
    return pendingVersion(run);
  } catch (error) {
    explain(error);
    return before;
  }
}

/** Of what comes from outside; throws what is our own bug. */
function explain(error: unknown): string {
  if (error instanceof AgentError || isSystemError(error)) return error.message;
  throw error;
}
