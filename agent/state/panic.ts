/**
 * The mark that an emergency opening leaves: while it is there, nothing of Picket's puts rules back. An empty file, so that it can be made on
 * a full disk; below the state directory, where it survives a restart, else below the run directory.
 */
import { closeSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { explainSystemError } from './files.ts';

const MARK = 'panic-open';

/** Both directories, as `directoryOf` gives them. */
export interface Directories {
  readonly run: string;
  readonly state: string;
}

export interface PanicMark {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** `undefined` = not open. */
export function readPanicMark(directories: Directories): PanicMark | undefined {
  for (const path of pathsIn(directories)) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined) return { path, sinceMs: stat.mtimeMs };
  }
  return undefined;
}

/** Leaves the mark where that is possible; the places where it was not possible are in `failures`. */
export function leavePanicMark(directories: Directories): {
  readonly path: string | undefined;
  readonly failures: readonly string[];
} {
  const failures: string[] = [];
  for (const path of pathsIn(directories)) {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      closeSync(openSync(path, 'w', 0o644));
      return { path, failures };
    } catch (error) {
      failures.push(`${path}: ${explainSystemError(error)}`);
    }
  }
  return { path: undefined, failures };
}

/** True when there was one. Throws what the system says. */
export function removePanicMark(directories: Directories): boolean {
  const wasThere = readPanicMark(directories) !== undefined;
  for (const path of pathsIn(directories)) rmSync(path, { force: true });
  return wasThere;
}

function pathsIn({ run, state }: Directories): readonly string[] {
  return [join(state, MARK), join(run, MARK)];
}
