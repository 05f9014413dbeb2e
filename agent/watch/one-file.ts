/**
 * One file whose content matters, followed. Comes in: its path. Goes out: a wake-up when it is quiet after a change of what is in it,
 * however it was written: in place, by rename, through links. A file that is not there is one more content. Does not judge it.
 */
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Pending } from './pending.ts';
import { linkTarget, readBounded } from './tree.ts';
import { Watches } from './watches.ts';

/** Milliseconds without a change before the file is read: a half-written configuration must not count. */
const QUIET_MS = 300;
/** In a folder where others never cease to write the file is read after this many quiet times. */
const MAX_QUIET_ROUNDS = 10;
const MAX_BYTES = 16 << 20;

/** Yields once at the start, when changes can be seen, and after each change until `signal` aborts. `unseen` hears why changes cannot be followed. */
export async function* followFile(
  path: string,
  signal: AbortSignal,
  unseen: (why: string) => void,
): AsyncGenerator<void, void, void> {
  const pending = new Pending();
  const watches = new Watches(pending);
  try {
    const why = watches.addDirectory(dirname(resolve(path)));
    // Also where its name is one that directories of manifests ignore.
    watches.addEntry(resolve(path));
    if (why !== undefined) unseen(why);
    const target = await linkTarget(path);
    if (target !== undefined) watches.addTarget(path, target);
    let before = await contentOf(path);
    yield;
    while (!signal.aborted) {
      await pending.wait(signal);
      await settle(pending, signal);
      pending.take();
      const content = await contentOf(path);
      if (!signal.aborted && content !== before) yield;
      before = content;
    }
  } finally {
    watches.close();
  }
}

async function settle(pending: Pending, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < MAX_QUIET_ROUNDS && !signal.aborted; round += 1) {
    const before = pending.marks;
    await delay(QUIET_MS, undefined, { signal }).catch(() => undefined);
    if (pending.marks === before) return;
  }
}

async function contentOf(path: string): Promise<string> {
  const result = await readBounded(path, MAX_BYTES);
  return result.kind === 'content'
    ? `content ${Buffer.from(result.bytes).toString('hex')}`
    : result.kind;
}
