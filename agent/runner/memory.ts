/** Freed memory goes back to the system a while after something was applied. Comes in: that it was. Refuses to know: what. */
import type { EventEmitter } from 'node:events';
import type { Native } from '../native/native.ts';
import type { AgentEvents } from './agent.ts';

/** Between two times, milliseconds: each takes two or three of them after a list of 20,000 pods. */
const PAUSE_MS = 10_000;

/**
 * `collect` finds all garbage and closes the gaps that it leaves in V8's heap. It stops everything (0.16 s with 20,000 pods), so it is
 * called once, after what the start has left: the first lists are more garbage than all that follows.
 */
export function returnMemory(
  events: EventEmitter<AgentEvents>,
  native: Pick<Native, 'trimMemory'>,
  collect = collectGarbage,
  pauseMs = PAUSE_MS,
): void {
  let timer: NodeJS.Timeout | undefined;
  let isStarting = true;
  events.on('applied', () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      if (isStarting) collect();
      isStarting = false;
      native.trimMemory();
    }, pauseMs).unref();
  });
}

/** All there is to collect, code and caches too. Needs Node's `--expose-gc`; does nothing without. */
function collectGarbage(): void {
  globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'sync' });
}
