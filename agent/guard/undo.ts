/**
 * Goes back to the state before a change. Comes in: the directory of the change. Goes out: done, or what the kernel says. Safe to do twice, and
 * by two processes at once: every one of them makes the same transaction.
 */
import type { Native } from '../native/native.ts';
import { encodeTable } from '../state/batch.ts';
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
 * nothing is put back, and whoever opened may not have lived to do so: then it is opened here. `known`: the change as it was read before, which
 * counts where the file is damaged since.
 */
export async function finishUndoing(
  parts: UndoParts,
  why: Undone['why'],
  known?: PendingSnapshot,
): Promise<Undone | undefined> {
  const { run } = parts.directories;
  const before = readUndoing(run) ?? known;
  const isOpen = await putBack(parts, before);
  if (before === undefined || isOpen) {
    await dropUndoing(run);
    return undefined;
  }
  const undone = describeUndone(before, why, parts.now());
  const { createdMs: stateMs, origin } = before.header;
  const text = `the state before a change: ${origin}`;
  await noteEnforcedOrigin(run, { source: 'rollback', sinceMs: undone.atMs, stateMs, text });
  // Last: until then whoever comes next does all of it again.
  await noteUndone(run, undone);
  return undone;
}

/** The rules alone; true = opened in an emergency, so that there are none. Throws AgentError. */
export async function putBack(
  { native, netns, directories }: UndoParts,
  before: PendingSnapshot | undefined,
): Promise<boolean> {
  const isOpen = readPanicMark(directories) !== undefined;
  const batch = isOpen ? encodeTable(undefined) : before?.batch;
  if (batch !== undefined) await withNetfilter(native, netns, (socket) => sendBatch(socket, batch));
  return isOpen;
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

/** An undoing that was begun, by a process that may not have lived to finish it. */
async function settleUndoing(parts: UndoParts): Promise<Waiting> {
  const { run } = parts.directories;
  const before = readUndoing(run);
  if (before === undefined && readPanicMark(parts.directories) === undefined) {
    const message = 'the state before it cannot be read';
    return (await dropUndoing(run)) ? { kind: 'unusable', message } : { kind: 'nothing' };
  }
  if (before !== undefined && isOfAnotherBoot(before)) await dropUndoing(run);
  const undone = isUndoing(run) ? await finishUndoing(parts, 'deadline') : undefined;
  return undone === undefined ? { kind: 'nothing' } : { kind: 'undone', undone };
}

/** The rules that it was about are gone with the boot they were in. */
export function isOfAnotherBoot({ header }: PendingSnapshot): boolean {
  return header.pending.bootId !== readBootId();
}

/** Looks after a change whose guard has died. Every command that changes rules begins with this. Throws AgentError. */
export async function settleOverdue(parts: UndoParts): Promise<Waiting> {
  const { run } = parts.directories;
  if (isUndoing(run)) {
    const settled = await settleUndoing(parts);
    if (settled.kind !== 'nothing') return settled;
  }
  const read = readPending(run);
  if (!read.ok && read.reason === 'missing') return { kind: 'nothing' };
  const pending = asPending(read);
  if (pending === undefined) {
    await dropPending(run);
    return { kind: 'unusable', message: read.ok ? 'it names no deadline' : read.message };
  }
  const { id, deadlineMs } = pending.header.pending;
  if (isOfAnotherBoot(pending)) {
    await dropPending(run);
    return { kind: 'nothing' };
  }
  const leftMs = deadlineMs - monotonicMs();
  if (leftMs > 0) return { kind: 'waiting', pending, leftMs };
  if (!(await claimToUndo(run, id))) return { kind: 'nothing' };
  const undone = await finishUndoing(parts, 'deadline');
  return undone === undefined ? { kind: 'nothing' } : { kind: 'undone', undone };
}
