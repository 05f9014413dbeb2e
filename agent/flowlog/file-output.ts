/**
 * Records as JSON lines in a file that is rotated by size: FILE, FILE.1, FILE.2, … Comes in: records. Goes out: whole lines, or none: what a
 * full disk cut is taken back, counted and told. Others may move, remove or empty the file (logrotate): the next line goes to FILE. Nobody
 * waits for the disk.
 */
import { open, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { BatchQueue, TroubleTeller } from './output.ts';
import type { FlowOutput, OutputTrouble } from './output.ts';
import type { FlowRecord } from './record.ts';

export interface FileOutputOptions {
  readonly path: string;
  /** A file that has reached this is put aside. */
  readonly maxBytes: number;
  /** Files put aside that are kept. */
  readonly keep: number;
  readonly trouble: OutputTrouble;
}

const MAX_WAITING = 20_000;
const MAX_BATCH = 500;

/** Records name addresses and labels: not for everybody. */
const FILE_MODE = 0o640;

export function openFileOutput(options: FileOutputOptions): FlowOutput {
  const file = new RotatedFile(options);
  const teller = new TroubleTeller(`file ${options.path}`, options.trouble);
  const queue = new BatchQueue<FlowRecord>({
    maxItems: MAX_WAITING,
    maxBatch: MAX_BATCH,
    deliver: async (batch) => {
      const lines = batch.map((record) => `${JSON.stringify(record)}\n`);
      const written = await appendMost(file, lines, teller);
      if (written === batch.length) teller.succeed();
      return written;
    },
  });
  return {
    name: 'file',
    counts: queue.counts,
    write: (records) => queue.push(records),
    close: async () => {
      await queue.idle();
      await file.close();
    },
  };
}

/** All lines at once; where that fails, as many as there is room for. */
async function appendMost(
  file: RotatedFile,
  lines: readonly string[],
  teller: TroubleTeller,
): Promise<number> {
  try {
    await file.append(lines.join(''));
    return lines.length;
  } catch (error) {
    teller.fail((error as Error).message);
  }
  for (const [index, line] of lines.entries()) {
    try {
      await file.append(line);
    } catch {
      return index;
    }
  }
  return lines.length;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
}

class RotatedFile {
  readonly #options: FileOutputOptions;
  #handle: FileHandle | undefined;

  constructor(options: FileOutputOptions) {
    this.#options = options;
  }

  /** All of it or, when that fails, nothing. Throws what the system says. */
  async append(text: string): Promise<void> {
    let file = await this.#open();
    if (file.size >= this.#options.maxBytes) {
      await this.#rotate();
      file = await this.#open();
    }
    const { handle, size } = file;
    try {
      await handle.appendFile(text);
    } catch (error) {
      // Half a line would spoil the next one.
      await handle.truncate(size).catch(() => undefined);
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }

  /** The file that has the name now. */
  async #open(): Promise<OpenFile> {
    const { path } = this.#options;
    const before = this.#handle;
    if (before !== undefined) {
      const [own, named] = await Promise.all([before.stat(), stat(path).catch(() => undefined)]);
      if (named?.ino === own.ino && named.dev === own.dev) {
        return { handle: before, size: own.size };
      }
      await this.close();
    }
    const handle = await open(path, 'a', FILE_MODE);
    this.#handle = handle;
    return { handle, size: (await handle.stat()).size };
  }

  async #rotate(): Promise<void> {
    const { path, keep } = this.#options;
    await this.close();
    if (keep === 0) await rm(path, { force: true });
    for (let number = keep; number > 0; number--) {
      const from = number === 1 ? path : `${path}.${number - 1}`;
      await rename(from, `${path}.${number}`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
  }
}
