/**
 * Which object of which file is in force. Comes in: the content of one file after the other, or that it is gone. Goes out: events
 * for the objects that changed, and everything that is wrong now. Knows nothing of directories, time and I/O.
 */
import { isDeepStrictEqual } from 'node:util';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import type { Origin, RawEvent } from './event.ts';
import { readManifest, unreadable } from './manifest-file.ts';
import type { Manifest, ManifestIssue, ManifestObject } from './manifest-file.ts';

export interface FileIssue {
  /** File or directory, as the user gave it. */
  readonly file: string;
  /** 1-based; `undefined` when the file as a whole is meant. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly message: string;
  readonly severity: 'error' | 'warning';
}

interface Entry {
  /** Content of the newest version; `undefined` when it could not be read. */
  readonly bytes: Uint8Array | undefined;
  /** Objects of the last good version, or of the newest while there was no good one. */
  readonly objects: ReadonlyMap<string, ManifestObject>;
  readonly hasGoodVersion: boolean;
  /** Of the newest version. */
  readonly issues: readonly FileIssue[];
}

/**
 * A version of a file is good if it has no error. After a good one, a version that is not good changes nothing; without one, its
 * usable objects count, and a version that cannot be read at all changes nothing. An object in two files: the first file in path order wins, and
 * the other takes over when the first goes. Event order: by key.
 */
export class FileSet {
  readonly #files = new Map<string, Entry>();
  /** Files that have the key, in path order. */
  readonly #owners = new Map<string, readonly string[]>();
  readonly #contested = new Set<string>();
  readonly #touched = new Set<string>();
  /** What the events so far add up to. */
  readonly #inForce = new Map<string, unknown>();

  /** Newest version of a file. The same bytes as before cost nothing. */
  put(file: string, bytes: Uint8Array): void {
    const before = this.#files.get(file)?.bytes;
    if (before !== undefined && Buffer.compare(before, bytes) === 0) return;
    this.#take(file, readManifest(bytes), bytes);
  }

  /** The file is there, but its content is not to be had. */
  refuse(file: string, message: string): void {
    this.#take(file, unreadable(message), undefined);
  }

  remove(file: string): void {
    const entry = this.#files.get(file);
    if (entry === undefined) return;
    this.#files.delete(file);
    for (const key of entry.objects.keys()) this.#disown(key, file);
  }

  /** For a listener that knows nothing yet: the next events are everything that is in force. */
  startOver(): void {
    this.#inForce.clear();
    for (const key of this.#owners.keys()) this.#touched.add(key);
  }

  /** Events since the last call. */
  takeEvents(): readonly RawEvent[] {
    const events: RawEvent[] = [];
    for (const key of [...this.#touched].sort(compareUtf8)) {
      const winner = this.#winner(key);
      const before = this.#inForce.get(key);
      if (winner === undefined) {
        if (this.#inForce.delete(key)) events.push({ op: 'delete', key });
      } else if (!this.#inForce.has(key) || !isDeepStrictEqual(before, winner.object)) {
        this.#inForce.set(key, winner.object);
        events.push({ op: 'put', key, object: winner.object, origin: this.#originOf(key) });
      }
    }
    this.#touched.clear();
    return events;
  }

  /** Everything that is wrong now, in path order. */
  issues(): readonly FileIssue[] {
    const issues = [...this.#files.values()].flatMap((entry) => entry.issues);
    for (const key of this.#contested) issues.push(...this.#contestIssues(key));
    return issues.sort((a, b) => compareUtf8(a.file, b.file) || (a.line ?? 0) - (b.line ?? 0));
  }

  /** Paths of all files that are there. */
  files(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** The file holds objects that count. */
  hasObjects(file: string): boolean {
    return (this.#files.get(file)?.objects.size ?? 0) > 0;
  }

  #take(file: string, manifest: Manifest, bytes: Uint8Array | undefined): void {
    const before = this.#files.get(file);
    const isGood = !manifest.issues.some((issue) => issue.severity === 'error');
    const hadGood = before?.hasGoodVersion === true;
    const isHeld = !isGood && before !== undefined && (hadGood || !manifest.isReadable);
    const { objects, repeats } = byKey(manifest.objects);
    const issues = [...manifest.issues, ...repeats].map((issue) => ({ file, ...issue }));
    if (isHeld && hadGood) issues.unshift(heldIssue(file));
    const entry = {
      bytes,
      objects: isHeld ? before.objects : objects,
      hasGoodVersion: isGood || hadGood,
      issues,
    };
    this.#files.set(file, entry);
    if (isHeld) return;
    for (const key of before?.objects.keys() ?? []) {
      if (!objects.has(key)) this.#disown(key, file);
    }
    for (const key of objects.keys()) this.#own(key, file);
  }

  #own(key: string, file: string): void {
    const owners = this.#owners.get(key) ?? [];
    if (!owners.includes(file)) this.#setOwners(key, [...owners, file].sort(compareUtf8));
    this.#touched.add(key);
  }

  #disown(key: string, file: string): void {
    const owners = this.#owners.get(key) ?? [];
    this.#setOwners(
      key,
      owners.filter((owner) => owner !== file),
    );
    this.#touched.add(key);
  }

  #setOwners(key: string, owners: readonly string[]): void {
    if (owners.length === 0) this.#owners.delete(key);
    else this.#owners.set(key, owners);
    if (owners.length > 1) this.#contested.add(key);
    else this.#contested.delete(key);
  }

  #winner(key: string): ManifestObject | undefined {
    const [file] = this.#owners.get(key) ?? [];
    return file === undefined ? undefined : this.#files.get(file)?.objects.get(key);
  }

  /** Looks at the current state, so that lines stay right when only the text around an object changes. */
  #originOf(key: string): Origin {
    const sourceOf = (): string => this.#owners.get(key)?.[0] ?? '';
    return {
      get source() {
        return sourceOf();
      },
      lineOf: (path) => this.#winner(key)?.lineOf(path),
    };
  }

  #contestIssues(key: string): readonly FileIssue[] {
    const [first = '', ...others] = this.#owners.get(key) ?? [];
    const lineIn = (file: string): number | undefined =>
      this.#files.get(file)?.objects.get(key)?.lineOf([]);
    return others.map((file) => ({
      file,
      line: lineIn(file),
      column: 1,
      severity: 'error',
      message: `${key} is ignored here: it is also in ${first}:${lineIn(first) ?? 1}, which is first in path order`,
    }));
  }
}

function heldIssue(file: string): FileIssue {
  const message = 'the last good version of this file stays in force';
  return { file, line: undefined, column: undefined, severity: 'error', message };
}

/** Of objects with the same key in one file the first counts. */
function byKey(list: readonly ManifestObject[]): {
  readonly objects: ReadonlyMap<string, ManifestObject>;
  readonly repeats: readonly ManifestIssue[];
} {
  const objects = new Map<string, ManifestObject>();
  const repeats: ManifestIssue[] = [];
  for (const object of list) {
    const first = objects.get(object.key);
    if (first === undefined) {
      objects.set(object.key, object);
      continue;
    }
    const message = `${object.key} is ignored here: it is already in line ${first.lineOf([])}`;
    repeats.push({ severity: 'error', line: object.lineOf([]), column: 1, message });
  }
  return { objects, repeats };
}
