/**
 * A directory of manifests as a source of objects. Comes in: a path. Goes out: batches of events, with everything that is wrong at
 * that time. What cannot be read never removes objects: only a file that is really gone does. Knows nothing of kinds.
 *
 *   inotify -> Watches -> Pending -> (quiet for 20 ms) -> read marked files, or everything -> FileSet -> Batch
 */
import { resolve, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { FileSet } from './file-set.ts';
import type { FileIssue } from './file-set.ts';
import { MAX_FILE_BYTES } from './manifest-file.ts';
import { Pending } from './pending.ts';
import type { Batch, Source } from './source.ts';
import { isDirectory, isManifestName, linkTarget, listTree, readBounded } from './tree.ts';
import type { ReadResult, Refusal } from './tree.ts';
import { Watches } from './watches.ts';

/** Milliseconds without a change before files are read: editors and `cp` write in several steps. */
const QUIET_MS = 20;
/** Under constant change files are read after this many quiet times. */
const MAX_QUIET_ROUNDS = 10;
/** A file that becomes empty is probably being rewritten: it counts as empty when it still is after this time. */
const EMPTY_MS = 250;
/** Between attempts to read a directory that is missing or unreadable. */
const RETRY_MS = 1000;
/** Files read at the same time. */
const PARALLEL_READS = 32;

/**
 * `*.yaml`, `*.yml` and `*.json` below a directory, or one file. One `load`, or one `watch` after the other: each begins with everything, and
 * what earlier ones knew of last good versions stays known.
 */
export class DirectorySource implements Source {
  readonly name = 'disk';
  readonly #root: string;
  readonly #files = new FileSet();
  readonly #pending = new Pending();
  /** Files that became empty, and whether they had time to be filled again. */
  readonly #emptied = new Map<string, { isDue: boolean }>();
  #watches: Watches | undefined;
  #directoryIssues: readonly FileIssue[] = [];
  #lastIssues: readonly FileIssue[] = [];
  /** The directory could be read at least once. */
  #isSynced = false;

  constructor(path: string) {
    this.#root = path;
  }

  /** Everything once. A missing or unreadable directory is an issue, not an exception. */
  async load(): Promise<Batch> {
    await this.#scan(undefined);
    return this.#batch();
  }

  /**
   * First everything, then a batch per change, until `signal` aborts. Batches that say nothing new are left out. A consumer that
   * is slow gets fewer, larger batches.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<Batch, void, void> {
    try {
      this.#files.startOver();
      await this.#rescan();
      let isSynced = this.#isSynced;
      yield this.#batch();
      while (!signal.aborted) {
        await this.#pending.wait(signal);
        await this.#settle(signal);
        if (signal.aborted) return;
        const receivedMs = this.#pending.sinceMs ?? Date.now();
        await this.#catchUp();
        const [before, wasSynced] = [this.#lastIssues, isSynced];
        const batch = this.#batch();
        isSynced = batch.isSynced;
        const isNews = batch.events.length > 0 || isSynced !== wasSynced;
        if (isNews || !isDeepStrictEqual(before, batch.issues)) {
          yield batch.events.length > 0 ? { ...batch, receivedMs } : batch;
        }
      }
    } finally {
      this.#watches?.close();
      this.#watches = undefined;
    }
  }

  #batch(): Batch {
    const events = this.#files.takeEvents();
    this.#lastIssues = [...this.#directoryIssues, ...this.#files.issues()];
    return { events, issues: this.#lastIssues, isSynced: this.#isSynced };
  }

  async #settle(signal: AbortSignal): Promise<void> {
    for (let round = 0; round < MAX_QUIET_ROUNDS && !signal.aborted; round += 1) {
      const before = this.#pending.marks;
      await sleep(QUIET_MS, signal);
      if (this.#pending.marks === before) return;
    }
  }

  async #catchUp(): Promise<void> {
    const { everything, paths } = this.#pending.take();
    if (everything || (await this.#touchesDirectory(paths))) await this.#rescan();
    else
      await this.#read(
        [...paths].filter((path) => isManifestName(path)),
        this.#watches,
      );
  }

  async #touchesDirectory(paths: ReadonlySet<string>): Promise<boolean> {
    for (const path of paths) {
      if (this.#watches?.hasDirectory(path) || (await isDirectory(path))) return true;
    }
    return false;
  }

  /** Looks at everything, with new watches: the old ones may sit on directories that were moved away. */
  async #rescan(): Promise<void> {
    const old = this.#watches;
    const watches = new Watches(this.#pending);
    this.#watches = watches;
    watches.addEntry(resolve(this.#root));
    const isThere = await this.#scan(watches);
    old?.close();
    if (!isThere) this.#later(RETRY_MS, () => this.#pending.markEverything());
  }

  /** False when the root could not be read. A watch tells when that changes for directories below it. */
  async #scan(watches: Watches | undefined): Promise<boolean> {
    const unwatched: Refusal[] = [];
    const { files, refusals } = await listTree(this.#root, (path) => {
      const message = watches?.addDirectory(path);
      if (message !== undefined) unwatched.push({ path, message });
    });
    await this.#read(files, watches);
    const present = new Set(files);
    for (const file of this.#files.files()) {
      const isUnknown = refusals.some(({ path }) => path === this.#root || isBelow(file, path));
      if (!present.has(file) && !isUnknown) this.#files.remove(file);
    }
    const failed = new Set(refusals.map(({ path }) => path));
    this.#directoryIssues = [
      ...refusals.map((refusal) =>
        issueOf(
          refusal,
          `the ${isManifestName(refusal.path) ? 'file' : 'directory'} cannot be read`,
        ),
      ),
      ...unwatched
        .filter(({ path }) => !failed.has(path))
        .map((refusal) => issueOf(refusal, 'changes in this directory are not seen')),
    ];
    const isThere = !refusals.some(({ path }) => path === this.#root);
    this.#isSynced ||= isThere;
    return isThere;
  }

  async #read(files: readonly string[], watches: Watches | undefined): Promise<void> {
    for (let start = 0; start < files.length; start += PARALLEL_READS) {
      const chunk = files.slice(start, start + PARALLEL_READS);
      const results = await Promise.all(chunk.map((file) => this.#readOne(file, watches)));
      for (const [index, file] of chunk.entries()) {
        const result = results[index];
        if (result !== undefined) this.#take(file, result);
      }
    }
  }

  async #readOne(file: string, watches: Watches | undefined): Promise<ReadResult> {
    const target = watches && (await linkTarget(file));
    if (target !== undefined) watches?.addTarget(file, target);
    return readBounded(file, MAX_FILE_BYTES);
  }

  #take(file: string, result: ReadResult): void {
    const isEmptied = result.kind === 'content' && result.bytes.length === 0;
    if (isEmptied && this.#files.hasObjects(file) && !this.#isStillEmpty(file)) return;
    this.#emptied.delete(file);
    if (result.kind === 'content') this.#files.put(file, result.bytes);
    else if (result.kind === 'refused') {
      this.#files.refuse(file, `the file cannot be read: ${result.message}`);
    } else this.#files.remove(file);
  }

  /** False until the file was found empty twice, with time between. */
  #isStillEmpty(file: string): boolean {
    const known = this.#emptied.get(file);
    if (known !== undefined) return known.isDue;
    const emptied = { isDue: false };
    this.#emptied.set(file, emptied);
    this.#later(EMPTY_MS, () => {
      emptied.isDue = true;
      this.#pending.markPath(file);
    });
    return false;
  }

  /** Does not keep the process alive: the watches do, while they are wanted. */
  #later(milliseconds: number, action: () => void): void {
    setTimeout(action, milliseconds).unref();
  }
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(directory + sep);
}

function issueOf({ path, message }: Refusal, what: string): FileIssue {
  const at = { file: path, line: undefined, column: undefined };
  return { ...at, severity: 'error', message: `${what}: ${message}` };
}

async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
}
