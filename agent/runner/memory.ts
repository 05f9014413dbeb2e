/** Freed memory goes back to the system a while after something was applied. Comes in: that it was. Refuses to know: what. */
import type { EventEmitter } from 'node:events';
import type { Native } from '../native/native.ts';
import type { AgentEvents } from './agent.ts';

/** Between two times, milliseconds: each takes two or three of them after a list of 20,000 pods. */
const PAUSE_MS = 10_000;

export function returnMemory(
  events: EventEmitter<AgentEvents>,
  native: Pick<Native, 'trimMemory'>,
  pauseMs = PAUSE_MS,
): void {
  let timer: NodeJS.Timeout | undefined;
  events.on('applied', () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      native.trimMemory();
    }, pauseMs).unref();
  });
}
