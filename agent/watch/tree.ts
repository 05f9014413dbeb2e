/**
 * Reads directories and files for DirectorySource. Comes in: paths. Goes out: lists, bytes, or why not, as values. Knows
 * nothing of what the files contain and of what was there before.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { getSystemErrorMessage } from 'node:util';
import { compareUtf8 } from '../../compiler/model/text-order.ts';

/** A file or directory that is there but cannot be read. */
export interface Refusal {
  readonly path: string;
  readonly message: string;
}

export interface Listing {
  /** Manifest files, in path order. */
  readonly files: readonly string[];
  /** Directories that could not be listed, so nothing is known of what is below them. */
  readonly refusals: readonly Refusal[];
}

export type ReadResult =
  | { readonly kind: 'content'; readonly bytes: Uint8Array }
  | { readonly kind: 'gone' }
  | { readonly kind: 'directory' }
  | { readonly kind: 'refused'; readonly message: string };

/** Dotfiles (so also the `..data` of a mounted ConfigMap) and what editors leave beside a file. */
export function isIgnoredName(name: string): boolean {
  return name.startsWith('.') || name.endsWith('~');
}

export function isManifestName(name: string): boolean {
  return !isIgnoredName(name) && /\.(?:ya?ml|json)$/.test(name);
}

/**
 * Manifest files below `root`; `root` itself when it is a file. Links to directories are followed, each directory once.
 * `onDirectory` is called before a directory is read, so that a watch set up in it misses nothing.
 */
export async function listTree(
  root: string,
  onDirectory: (path: string) => void,
): Promise<Listing> {
  const files: string[] = [];
  const refusals: Refusal[] = [];
  const visited = new Set<string>();
  const queue = [root];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    try {
      const real = await realpath(path);
      if (visited.has(real)) continue;
      visited.add(real);
      onDirectory(path);
      const { directories, manifests, unnamed } = await listDirectory(path);
      queue.push(...directories);
      files.push(...manifests);
      for (const name of unnamed) refusals.push({ path: name, message: NOT_UTF8 });
    } catch (error) {
      const code = codeOf(error);
      if (path === root && code === 'ENOTDIR') files.push(root);
      else if (path === root || (code !== 'ENOENT' && code !== 'ENOTDIR')) {
        refusals.push({ path, message: describe(error) });
      }
    }
  }
  return { files: files.sort(compareUtf8), refusals };
}

async function listDirectory(
  path: string,
): Promise<Readonly<Record<'directories' | 'manifests' | 'unnamed', string[]>>> {
  const directories: string[] = [];
  const manifests: string[] = [];
  const unnamed: string[] = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (isIgnoredName(entry.name)) continue;
    const child = join(path, entry.name);
    const isLink = entry.isSymbolicLink();
    const isOfInterest = entry.isDirectory() || isManifestName(entry.name);
    if (isOfInterest && entry.name.includes('\ufffd') && !(await exists(child))) {
      unnamed.push(child);
      continue;
    }
    if (entry.isDirectory() || (isLink && (await isDirectory(child)))) directories.push(child);
    else if (isManifestName(entry.name)) manifests.push(child);
  }
  return { directories, manifests, unnamed };
}

/** Node decodes names as UTF-8, and cannot open again what it could not decode. */
const NOT_UTF8 = 'its name is not valid UTF-8: rename it';

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

/** Follows links; false for what cannot be looked at. */
export async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

/** Where a link ends; `undefined` for everything that is not a link, or one that leads nowhere. */
export async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await realpath(path) : undefined;
  } catch {
    return undefined;
  }
}

/** Up to `maxBytes` + 1 bytes, so the caller can tell a file that is too large. Never waits for a writer (FIFO, device). */
export async function readBounded(path: string, maxBytes: number): Promise<ReadResult> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (stats.isDirectory()) return { kind: 'directory' };
    if (!stats.isFile()) return { kind: 'refused', message: 'it is not a regular file' };
    return { kind: 'content', bytes: await readUpTo(handle, stats.size, maxBytes + 1) };
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return { kind: 'refused', message: describe(error) };
    return (await isDangling(path))
      ? { kind: 'refused', message: 'it is a link to a file that does not exist' }
      : { kind: 'gone' };
  } finally {
    await handle?.close();
  }
}

/** `size` is a guess: the file may be growing. */
async function readUpTo(handle: FileHandle, size: number, limit: number): Promise<Uint8Array> {
  let buffer = Buffer.alloc(Math.min(size + 1, limit));
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
    length += bytesRead;
    if (bytesRead === 0 || length === limit) return buffer.subarray(0, length);
    if (length === buffer.length) {
      buffer = Buffer.concat([buffer], Math.min(buffer.length * 2, limit));
    }
  }
}

async function isDangling(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch {
    return false;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** `permission denied (EACCES)`. */
export function describe(error: unknown): string {
  if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') {
    return `${getSystemErrorMessage(error.errno)} (${codeOf(error)})`;
  }
  return String(error);
}
