/**
 * Files that outlive a process. Comes in: bytes and a path. Goes out: a file that is there whole or not at all, even after a power cut; or the
 * bytes of one that only root could have written. Refuses to know: what is in them.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describeErrno } from '../errors.ts';

/** Why a file cannot be trusted, or is no file of ours. */
export type Unusable =
  /** There is none. */
  | 'missing'
  /** The system does not let us read it. */
  | 'unreadable'
  /** Something else than a file has its name. */
  | 'no-file'
  /** It belongs to somebody who is neither root nor us. */
  | 'owner'
  /** Its group or everybody may write to it. */
  | 'permissions'
  /** Larger than such a file ever is. */
  | 'too-large';

export type ReadFile =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: Unusable; readonly message: string };

/**
 * Where the files of one network namespace are: those of our own at the top, those of others in a folder of their own, so that two agents
 * on one host do not take each other's state.
 */
export function directoryOf(directory: string, netnsPath: string): string {
  return netnsPath === '' ? directory : join(directory, 'netns', encodeURIComponent(netnsPath));
}

/** Files begun by this process: tells their names apart. */
let written = 0;

/** Atomic and durable: written beside, flushed, renamed, and the rename flushed. Makes the folder. Throws what the system says. */
export async function writeDurably(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = await writeBeside(path, parts);
  try {
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** A file with these bytes, flushed, in the same folder; returns its path. */
export async function writeBeside(path: string, parts: readonly Uint8Array[]): Promise<string> {
  const temporary = `${path}.${process.pid}.${++written}.new`;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await removeLeftovers(path);
  try {
    // New, so that no link that somebody laid there is followed.
    const file = await open(temporary, 'wx', 0o600);
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    return temporary;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Unfinished files of processes that were killed. */
async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  for (const name of await readdir(folder)) {
    const pid = name.startsWith(`${basename(path)}.`) ? /\.(\d+)\.\d+\.new$/.exec(name)?.[1] : '';
    if (pid && !existsSync(`/proc/${pid}`)) await rm(join(folder, name), { force: true });
  }
}

/** Makes names that came, went or changed in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Never throws; never follows a symbolic link. */
export function readTrusted(path: string, maxBytes: number): ReadFile {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return unusable(path, error);
  }
  try {
    const { uid, mode, size } = fstatSync(file);
    const wrong = distrust({ uid, mode, size }, maxBytes);
    if (wrong !== undefined) {
      return { ok: false, reason: wrong[0], message: `${path} ${wrong[1]}` };
    }
    return { ok: true, bytes: readWhole(file, size) };
  } catch (error) {
    return unusable(path, error);
  } finally {
    closeSync(file);
  }
}

/** The first reason not to believe a file. */
export function distrust(
  { uid, mode, size }: { readonly uid: number; readonly mode: number; readonly size: number },
  maxBytes: number,
): readonly [Unusable, string] | undefined {
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) return ['no-file', 'is not a regular file'];
  if (uid !== 0 && uid !== process.getuid?.())
    return ['owner', `belongs to user ${uid}, not to root`];
  if ((mode & 0o022) !== 0) {
    return ['permissions', `may be written by others (mode ${(mode & 0o777).toString(8)})`];
  }
  if (size > maxBytes) return ['too-large', `has ${size} bytes, more than ${maxBytes}`];
  return undefined;
}

/** Shorter than `size` where the file shrinks meanwhile. */
function readWhole(file: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const count = readSync(file, bytes, at, size - at, at);
    if (count === 0) break;
    at += count;
  }
  return bytes.subarray(0, at);
}

function unusable(path: string, error: unknown): ReadFile {
  const { code } = error as NodeJS.ErrnoException;
  const message = `${path}: ${explainSystemError(error)}`;
  if (code === 'ELOOP') return { ok: false, reason: 'no-file', message };
  const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
  return { ok: false, reason: isMissing ? 'missing' : 'unreadable', message };
}

/** Of a call that the system refused. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'errno' in error;
}

/** `ENOSPC (no space left on device)`. */
export function explainSystemError(error: unknown): string {
  const { errno } = error as NodeJS.ErrnoException;
  return errno === undefined ? String(error) : describeErrno(-errno);
}
