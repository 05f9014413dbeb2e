/**
 * Records as lines on standard output, beside the log. While nobody reads, a bounded number of records waits, and the rest is counted. Nothing
 * is written before all was read that was written before, so most of a pipe stays free for the log, which is written at once: an agent whose
 * output nobody reads goes on enforcing.
 */
import { write } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Native } from '../native/native.ts';
import { BatchQueue, TroubleTeller } from './output.ts';
import type { FlowOutput, OutputTrouble } from './output.ts';
import { printCompact } from './print.ts';
import type { FlowRecord } from './record.ts';

const STDOUT = 1;
const MAX_WAITING = 20_000;
const MAX_BATCH = 500;
/** Written at once, a quarter of a pipe: whole lines, or one that is longer. */
const MAX_BYTES = 16 << 10;
/** Pause before it is looked again whether all was read. */
const UNREAD_MS = 5;
/** Waiting for the reader when the agent ends. */
const CLOSE_MS = 500;

/** `text`: lines for people, as the agent's log beside them. */
export function openStdoutOutput(
  native: Pick<Native, 'queuedBytes'>,
  format: 'json' | 'text',
  trouble: OutputTrouble,
  fd = STDOUT,
): FlowOutput {
  const print =
    format === 'json' ? JSON.stringify : (record: FlowRecord) => `flow ${printCompact(record)}`;
  const teller = new TroubleTeller('standard output', trouble);
  const stop = new AbortController();
  const queue = new BatchQueue<FlowRecord>({
    maxItems: MAX_WAITING,
    maxBatch: MAX_BATCH,
    deliver: async (batch) => {
      let written = 0;
      for (const lines of portions(batch.map((record) => Buffer.from(`${print(record)}\n`)))) {
        await untilRead(native, fd, stop.signal);
        const failure = await writeAll(fd, Buffer.concat(lines), stop.signal);
        if (failure === undefined) teller.succeed();
        else teller.fail(failure);
        written += failure === undefined ? lines.length : 0;
      }
      return written;
    },
  });
  return {
    name: 'stdout',
    counts: queue.counts,
    write: (records) => queue.push(records),
    close: async () => {
      await Promise.race([queue.idle(), delay(CLOSE_MS)]);
      queue.drop();
      stop.abort();
      // A write that began when there was room and then found none is waited for no longer.
      await Promise.race([queue.idle(), delay(UNREAD_MS)]);
    },
  };
}

/** In order; each portion has at least one line. */
function portions(lines: readonly Buffer[]): readonly (readonly Buffer[])[] {
  const all: Buffer[][] = [];
  let bytes = Infinity;
  for (const line of lines) {
    bytes += line.length;
    if (bytes > MAX_BYTES) {
      all.push([]);
      bytes = line.length;
    }
    all.at(-1)?.push(line);
  }
  return all;
}

/** Also where that cannot be told. */
async function untilRead(
  native: Pick<Native, 'queuedBytes'>,
  fd: number,
  signal: AbortSignal,
): Promise<void> {
  while (native.queuedBytes(fd) > 0 && !signal.aborted) {
    await delay(UNREAD_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** What went wrong; `undefined` = all was written. */
async function writeAll(
  fd: number,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<string | undefined> {
  let at = 0;
  while (at < bytes.length && !signal.aborted) {
    const { error, written } = await writeSome(fd, bytes.subarray(at));
    if (error !== null && error.code !== 'EAGAIN') return error.message;
    if (error === null) at += written;
    else await delay(UNREAD_MS, undefined, { signal }).catch(() => undefined);
  }
  return at < bytes.length ? 'the agent ends and nobody reads' : undefined;
}

function writeSome(
  fd: number,
  bytes: Uint8Array,
): Promise<{ readonly error: NodeJS.ErrnoException | null; readonly written: number }> {
  return new Promise((resolve) => {
    write(fd, bytes, (error, written) => resolve({ error, written }));
  });
}
