/**
 * Goes back to the state before a change. Comes in: the directory of the change. Goes out: done, or what the kernel says. Safe to do twice, and
 * by two processes at once: every one of them makes the same transaction.
 */
import type { Native } from '../native/native.ts';
import { sendBatch, withNetfilter } from '../state/load.ts';
import { noteEnforcedOrigin } from '../state/origin.ts';
import { readPanicMark } from '../state/panic.ts';
import type { Directories } from '../state/panic.ts';
import { monotonicMs, readBootId } from './clock.ts';
import {
  asPending,
  claimToUndo,
  dropPending,
  dropUndoing,
  isUndoing,
  noteUndone,
  readPending,
  readUndoing,
} from './pending.ts';
import type { PendingSnapshot, Undone } from './pending.ts';

export interface UndoParts {
  readonly native: Native;
  readonly netns: string;
  readonly directories: Directories;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Finishes an undoing that was claimed. Throws AgentError: the claim stays, and whoever comes next tries again. After an emergency opening
 * nothing is put back.
 */
export async function finishUndoing(
  { native, netns, directories, now }: UndoParts,
  why: Undone['why'],
): Promise<Undone | undefined> {
  const before = readUndoing(directories.run);
  if (before === undefined || readPanicMark(directories) !== undefined) {
    await dropUndoing(directories.run);
    return undefined;
  }
  await withNetfilter(native, netns, (socket) => sendBatch(socket, before.batch));
  const undone = describeUndone(before, why, now());
  await noteUndone(directories.run, undone);
  const { header } = before;
  await noteEnforcedOrigin(directories.run, {
    source: 'rollback',
    sinceMs: undone.atMs,
    stateMs: header.createdMs,
    text: `the state before a change: ${header.origin}`,
  });
  return undone;
}

function describeUndone({ header }: PendingSnapshot, why: Undone['why'], atMs: number): Undone {
  const { id, scope, tried } = header.pending;
  return { id, atMs, why, scope, tried, origin: header.origin };
}

/** What is known of a change that waits. */
export type Waiting =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'waiting'; readonly pending: PendingSnapshot; readonly leftMs: number }
  /** Its time was over and nobody had seen to it, or somebody had begun to; it is undone now. */
  | { readonly kind: 'undone'; readonly undone: Undone }
  /** It cannot be read, and is gone now. */
  | { readonly kind: 'unusable'; readonly message: string };

/** Looks after a change whose guard has died. Every command that changes or shows rules begins with this. Throws AgentError. */
export async function settleOverdue(parts: UndoParts): Promise<Waiting> {
  const { run } = parts.directories;
  if (isUndoing(run)) {
    const undone = await finishUndoing(parts, 'deadline');
    if (undone !== undefined) return { kind: 'undone', undone };
  }
  const read = readPending(run);
  if (!read.ok && read.reason === 'missing') return { kind: 'nothing' };
  const pending = asPending(read);
  if (pending === undefined) {
    await dropPending(run);
    return { kind: 'unusable', message: read.ok ? 'it names no deadline' : read.message };
  }
  const { id, bootId, deadlineMs } = pending.header.pending;
  if (bootId !== readBootId()) {
    // The rules it was about are gone with the boot they were in.
    await dropPending(run);
    return { kind: 'nothing' };
  }
  const leftMs = deadlineMs - monotonicMs();
  if (leftMs > 0) return { kind: 'waiting', pending, leftMs };
  if (!(await claimToUndo(run, id))) return { kind: 'nothing' };
  const undone = await finishUndoing(parts, 'deadline');
  return undone === undefined ? { kind: 'nothing' } : { kind: 'undone', undone };
}
