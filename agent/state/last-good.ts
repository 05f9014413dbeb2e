/**
 * The last good state on disk, and the mark beside it that says whether the host itself was governed. Comes in: what to keep. Goes out: what
 * was kept, or why it cannot be used. Refuses to know: when something is good.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readTrusted, syncFolder, writeDurably } from './files.ts';
import type { Unusable } from './files.ts';
import { MAX_SNAPSHOT_BYTES, decodeSnapshot, encodeSnapshot } from './snapshot.ts';
import type { Broken, Snapshot } from './snapshot.ts';

export type ReadState =
  | { readonly ok: true; readonly snapshot: Snapshot }
  | { readonly ok: false; readonly reason: Unusable | Broken; readonly message: string };

const STATE = 'state';
const HOST_POLICY = 'host-policy';
const MAX_DIGEST_BYTES = 1024;

/** Stands for the host policy of a node that has none: see agent/guard/digest.ts. */
export const NO_HOST_POLICY = 'none';

/** Never throws, and never gives half of a state. */
export function readState(path: string): ReadState {
  const file = readTrusted(path, MAX_SNAPSHOT_BYTES);
  if (!file.ok) return file;
  const read = decodeSnapshot(file.bytes);
  return read.ok ? read : { ...read, message: `${path}: ${read.message}` };
}

export function readLastGood(directory: string): ReadState {
  return readState(join(directory, STATE));
}

/**
 * Throws what the system says; then the state before is still there. The mark is put before the state and taken away after it, so that in
 * doubt it is there: it closes the host where there is no usable state.
 */
export async function keepLastGood(
  directory: string,
  snapshot: Snapshot,
  hostDigest: string,
): Promise<void> {
  const mark = join(directory, HOST_POLICY);
  const isGoverned = hostDigest !== NO_HOST_POLICY;
  if (isGoverned && readHostDigest(directory) !== hostDigest) {
    await writeDurably(mark, [Buffer.from(hostDigest)]);
  }
  await writeDurably(join(directory, STATE), encodeSnapshot(snapshot));
  if (!isGoverned) await rm(mark, { force: true });
}

/** Of the host policy that was last kept; NO_HOST_POLICY where the host was not governed. Something else where that cannot be told. */
export function readHostDigest(directory: string): string {
  const file = readTrusted(join(directory, HOST_POLICY), MAX_DIGEST_BYTES);
  if (file.ok) return Buffer.from(file.bytes).toString();
  return file.reason === 'missing' ? NO_HOST_POLICY : '';
}

/** Whether the last good state governed the host itself. In doubt it did. */
export function governedHost(directory: string): boolean {
  return readHostDigest(directory) !== NO_HOST_POLICY;
}

/** From now on nothing is loaded at boot. */
export async function forgetLastGood(directory: string): Promise<void> {
  const paths = [join(directory, STATE), join(directory, HOST_POLICY)];
  if (!paths.some((path) => existsSync(path))) return;
  for (const path of paths) await rm(path, { force: true });
  await syncFolder(dirname(join(directory, STATE)));
}
