/**
 * The guard of one change: a process of its own that outlives whoever made the change. It waits until the change is decided or its time is
 * over, and then undoes it. Comes in: the id of the change. Goes out: what became of it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError } from '../errors.ts';
import { monotonicMs } from './clock.ts';
import { asPending, claimToUndo, pendingVersion, readPending } from './pending.ts';
import type { PendingSnapshot } from './pending.ts';
import { finishUndoing } from './undo.ts';
import type { UndoParts } from './undo.ts';

/** How often it looks whether the change is decided, milliseconds. */
const LOOK_MS = 250;

/** Between attempts when the kernel refuses to go back, milliseconds. */
const RETRY_MS = 500;

export type GuardEnd = 'decided' | 'undone';

/**
 * `onReady` is called once, when the change is known and the wait begins. From then on a file that is damaged keeps nobody from undoing: what
 * was read counts.
 */
export async function guard(parts: UndoParts, id: string, onReady: () => void): Promise<GuardEnd> {
  const { run } = parts.directories;
  let version: string | undefined;
  let change: PendingSnapshot | undefined;
  let isReady = false;
  for (;;) {
    const found = pendingVersion(run);
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
  if (!(await claimToUndo(run, id))) return 'decided';
  for (;;) {
    try {
      await finishUndoing(parts, 'deadline', change);
      return 'undone';
    } catch (error) {
      // Nobody is locked out because the kernel was short of memory once.
      if (!(error instanceof AgentError)) throw error;
      await delay(RETRY_MS);
    }
  }
}
