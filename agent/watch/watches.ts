/**
 * inotify watches on directories. Comes in: directories; goes out: what to look at again. A watch on a directory also
 * tells of writes to the files in it, so files need none. Does not read anything.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Pending } from './pending.ts';
import { describe, isIgnoredName } from './tree.ts';

export class Watches {
  readonly #pending: Pending;
  readonly #watchers: FSWatcher[] = [];
  readonly #directories = new Set<string>();
  /** By directory of link targets: name of the target to the links that lead to it. */
  readonly #targets = new Map<string, Map<string, Set<string>>>();

  constructor(pending: Pending) {
    this.#pending = pending;
  }

  /** Marks what changes in the directory. Answers why that is not possible (inotify limits, permissions). */
  addDirectory(directory: string): string | undefined {
    this.#directories.add(directory);
    return this.#open(directory, (name) => {
      // Without a name, or when the directory itself was moved or removed (the event then has its name).
      if (name === null || name === basename(directory)) this.#pending.markEverything();
      else if (name.startsWith('..')) this.#pending.markEverything();
      else if (!isIgnoredName(name)) this.#pending.markPath(join(directory, name));
    });
  }

  /** Marks everything when the entry `path` of its parent directory is replaced: a link that is swapped, a directory that appears. */
  addEntry(path: string): void {
    this.#open(dirname(path), (name) => {
      if (name === null || name === basename(path)) this.#pending.markEverything();
    });
  }

  /** Marks `link` when the file that it leads to changes. */
  addTarget(link: string, target: string): void {
    const directory = dirname(target);
    let byName = this.#targets.get(directory);
    if (byName === undefined) {
      byName = new Map<string, Set<string>>();
      this.#targets.set(directory, byName);
      const names = byName;
      this.#open(directory, (name) => {
        const links =
          name === null ? [...names.values()].flatMap((set) => [...set]) : names.get(name);
        for (const changed of links ?? []) this.#pending.markPath(changed);
      });
    }
    const links = byName.get(basename(target)) ?? new Set<string>();
    byName.set(basename(target), links.add(link));
  }

  /** A directory that is, or at least was, watched. */
  hasDirectory(path: string): boolean {
    return this.#directories.has(path);
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers.length = 0;
  }

  #open(directory: string, onName: (name: string | null) => void): string | undefined {
    try {
      const watcher = watch(directory, (_, name) => onName(name));
      watcher.on('error', () => this.#pending.markEverything());
      this.#watchers.push(watcher);
      return undefined;
    } catch (error) {
      return describe(error);
    }
  }
}
