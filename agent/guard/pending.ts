/**
 * A change that waits for confirmation, as files. Whoever renames `pending` first decides what becomes of the change: the guard at the deadline,
 * `picket confirm`, or its undoing; everybody else finds it gone. Refuses to know: the kernel, and how long to wait.
 *
 *   pending --rename--> undoing --state restored--> undone.json        (deadline, confirm --undo)
 *           --rename--> confirmed --state kept--> removed              (confirm)
 *           --rename--> settled --removed                              (nothing was changed)
 */
import { existsSync, statSync } from 'node:fs';
import { link, mkdir, rename, rm, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readTrusted, syncFolder, writeBeside, writeDurably } from '../state/files.ts';
import { readState } from '../state/last-good.ts';
import type { ReadState } from '../state/last-good.ts';
import { encodeSnapshot, toDigests } from '../state/snapshot.ts';
import type { Digests, PendingFields, Snapshot } from '../state/snapshot.ts';

const PENDING = 'pending';
const UNDOING = 'undoing';
const CONFIRMED = 'confirmed';
const SETTLED = 'settled';
const UNDONE = 'undone.json';
const MAX_UNDONE_BYTES = 16 * 1024;

/** A state to go back to. */
export type PendingSnapshot = Snapshot & {
  readonly header: Snapshot['header'] & { readonly pending: PendingFields };
};

/** A change that was undone. */
export interface Undone {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** `deadline`: nobody confirmed it. `asked`: somebody said `picket confirm --undo`. */
  readonly why: 'deadline' | 'asked';
  readonly scope: PendingFields['scope'];
  readonly tried: Digests;
  /** Whose change it was. */
  readonly origin: string;
}

/** False when another change is waiting already. Throws what the system says. */
export async function putPending(directory: string, snapshot: PendingSnapshot): Promise<boolean> {
  const path = join(directory, PENDING);
  if (existsSync(join(directory, UNDOING))) return false;
  await dropConfirmed(directory);
  const temporary = await writeBeside(path, encodeSnapshot(snapshot));
  try {
    // Not rename: that would replace another one's.
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(directory);
  return true;
}

/** For whoever put it, while nobody can have decided yet. Throws what the system says. */
export async function replacePending(directory: string, snapshot: PendingSnapshot): Promise<void> {
  await writeDurably(join(directory, PENDING), encodeSnapshot(snapshot));
}

/** Changes when another file takes its place; `undefined` = nothing waits. */
export function pendingVersion(directory: string): string | undefined {
  const stat = statSync(join(directory, PENDING), { throwIfNoEntry: false });
  return stat && `${stat.ino} ${stat.ctimeMs}`;
}

/** Reason `missing` = nothing waits. */
export function readPending(directory: string): ReadState {
  return readState(join(directory, PENDING));
}

/** `undefined` for a state that is not one to go back to. */
export function asPending(read: ReadState): PendingSnapshot | undefined {
  if (!read.ok) return undefined;
  const { header, batch } = read.snapshot;
  const { pending } = header;
  return pending && { header: { ...header, pending }, batch };
}

/** Cheap: for every transaction of the running agent. */
export function isPending(directory: string): boolean {
  return existsSync(join(directory, PENDING));
}

export function isUndoing(directory: string): boolean {
  return existsSync(join(directory, UNDOING));
}

/** Decides that the change of this id is undone; false when somebody decided before. */
export function claimToUndo(directory: string, id: string): Promise<boolean> {
  return claim(directory, id, UNDOING);
}

/** Decides that the change stays, and is still to be kept for the next boot: then `dropConfirmed`. False when somebody decided before. */
export function claimToKeep(directory: string, id: string): Promise<boolean> {
  return claim(directory, id, CONFIRMED);
}

/** What `claimToKeep` took, by a process that did not live to keep it. */
export function readConfirmed(directory: string): PendingSnapshot | undefined {
  return asPending(readState(join(directory, CONFIRMED)));
}

export async function dropConfirmed(directory: string): Promise<void> {
  await rm(join(directory, CONFIRMED), { force: true });
}

/** Decides that there is nothing to decide; false when somebody decided before. */
export async function claimToSettle(directory: string, id: string): Promise<boolean> {
  const isMine = await claim(directory, id, SETTLED);
  if (isMine) await rm(join(directory, SETTLED), { force: true });
  return isMine;
}

/** For what can neither be undone nor confirmed: nobody can read it, or an emergency went before. True when something was there. */
export async function dropPending(directory: string): Promise<boolean> {
  const wasThere = isPending(directory);
  await rm(join(directory, PENDING), { force: true });
  return wasThere;
}

/** True when something was there. */
export async function dropUndoing(directory: string): Promise<boolean> {
  const wasThere = isUndoing(directory);
  await rm(join(directory, UNDOING), { force: true });
  return wasThere;
}

async function claim(directory: string, id: string, name: string): Promise<boolean> {
  const from = join(directory, PENDING);
  const to = join(directory, name);
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  const taken = readState(to);
  // Whoever claims has read it: a file that is damaged since is still the one.
  if (!taken.ok || asPending(taken)?.header.pending.id === id) return true;
  // Another change had taken its place since it was read.
  await rename(to, from);
  return false;
}

/** What `claimToUndo` took, by us or by a guard that did not live to finish. */
export function readUndoing(directory: string): PendingSnapshot | undefined {
  return asPending(readState(join(directory, UNDOING)));
}

/**
 * After the kernel has the state before again. A change of which nothing is left here counts as confirmed: `undoing` goes last, and where the
 * disk is full its room is taken for the note. Throws what the system says; then `undoing` is still there.
 */
export async function noteUndone(directory: string, undone: Undone): Promise<void> {
  const undoing = join(directory, UNDOING);
  const path = join(directory, UNDONE);
  const parts = [Buffer.from(JSON.stringify(undone))];
  try {
    await writeDurably(path, parts);
  } catch {
    await truncate(undoing);
    await writeDurably(path, parts);
  }
  await rm(undoing, { force: true });
}

/** The last change that was undone, until something else is applied: see `forgetUndone`. */
export function readUndone(directory: string): Undone | undefined {
  const file = readTrusted(join(directory, UNDONE), MAX_UNDONE_BYTES);
  if (!file.ok) return undefined;
  try {
    return toUndone(JSON.parse(Buffer.from(file.bytes).toString()));
  } catch {
    return undefined;
  }
}

export async function forgetUndone(directory: string): Promise<void> {
  await dropConfirmed(directory);
  await rm(join(directory, UNDONE), { force: true });
}

/** Makes the directory, so that a guard can be told of it. */
export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  await syncFolder(dirname(directory));
}

function toUndone(value: unknown): Undone | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, atMs, why, scope, tried: digests, origin } = value as Record<string, unknown>;
  if (typeof id !== 'string' || typeof atMs !== 'number' || typeof origin !== 'string') {
    return undefined;
  }
  const tried = toDigests(digests);
  if (tried === undefined || (why !== 'deadline' && why !== 'asked')) return undefined;
  return scope === 'host' || scope === 'all' ? { id, atMs, why, scope, tried, origin } : undefined;
}
