/**
 * Records as lines on standard output, beside the log. A reader that does not read fills the pipe: then records wait outside the event
 * loop, a bounded number of them, and the rest is counted.
 */
import { write } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { BatchQueue, TroubleTeller } from './output.ts';
import type { FlowOutput, OutputTrouble } from './output.ts';
import { printCompact } from './print.ts';
import type { FlowRecord } from './record.ts';

const STDOUT = 1;
const MAX_WAITING = 20_000;
const MAX_BATCH = 100;
/** How long a pipe that takes nothing is left alone. */
const FULL_PIPE_MS = 50;
/** Waiting for the reader when the agent ends. */
const CLOSE_MS = 500;

/** `text`: lines for people, as the agent's log beside them. */
export function openStdoutOutput(
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
      const bytes = Buffer.from(batch.map((record) => `${print(record)}\n`).join(''));
      const failure = await writeAll(fd, bytes, stop.signal);
      if (failure === undefined) teller.succeed();
      else teller.fail(failure);
      return failure === undefined ? batch.length : 0;
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
    },
  };
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
    else await delay(FULL_PIPE_MS, undefined, { signal }).catch(() => undefined);
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
