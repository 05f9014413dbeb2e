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
/** Records written at once: some 16 KiB, a quarter of a pipe. */
const MAX_BATCH = 20;
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
      const bytes = Buffer.from(batch.map((record) => `${print(record)}\n`).join(''));
      await untilRead(native, fd, stop.signal);
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
      // A write that began when there was room and then found none is waited for no longer.
      await Promise.race([queue.idle(), delay(UNREAD_MS)]);
    },
  };
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
