/** An endless answer, one JSON line at a time, with a bounded queue: a slow reader loses lines of its own and is told how many. */
import type { ServerResponse } from 'node:http';
import type { LineSink } from './route.ts';

/** Bytes that wait for one reader. */
const MAX_QUEUED_BYTES = 1 << 20;

/** A reader whose queue is full and that reads nothing for so long is gone, milliseconds. */
const STALLED_MS = 30_000;

export function openLineStream(response: ServerResponse, closing: AbortSignal): LineSink {
  const gone = new AbortController();
  let lost = 0;
  let stalled: NodeJS.Timeout | undefined;
  const end = (): void => void response.end();
  const hasRoom = (): boolean => response.writableLength < MAX_QUEUED_BYTES;
  const tellLost = (): void => {
    if (lost === 0) return;
    response.write(`${JSON.stringify({ lost })}\n`);
    lost = 0;
  };
  response.on('drain', () => {
    clearTimeout(stalled);
    stalled = undefined;
    tellLost();
  });
  response.once('close', () => {
    clearTimeout(stalled);
    closing.removeEventListener('abort', end);
    gone.abort();
  });
  closing.addEventListener('abort', end, { once: true });
  response.flushHeaders();
  return {
    signal: gone.signal,
    end,
    send(value) {
      if (gone.signal.aborted || response.writableEnded) return false;
      if (!hasRoom()) {
        lost++;
        stalled ??= setTimeout(() => response.destroy(), STALLED_MS).unref();
        return false;
      }
      tellLost();
      response.write(`${JSON.stringify(value)}\n`);
      return true;
    },
  };
}
