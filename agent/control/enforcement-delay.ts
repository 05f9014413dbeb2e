/**
 * How long it takes from when a source hears of a change until the kernel has it, by kind of object. Comes in: the agent's events; goes out: one
 * observation per batch and kind. What came before the first sync is a start, not a change, and is not counted.
 */
import type { Histogram } from '../obs/metrics.ts';
import type { AgentView } from './agent-view.ts';

interface Waiting {
  /** Number of the batch, as the agent counts them. */
  readonly batch: number;
  readonly kinds: readonly string[];
  readonly receivedMs: number;
}

/** Batches that wait for one commit; what comes beyond is not observed. */
const MAX_WAITING = 1_000;

export function observeDelays({ events, state }: AgentView, histogram: Histogram): void {
  let waiting: Waiting[] = [];
  let hasCommitted = false;
  events.on('taken', ({ batch }) => {
    if (state.lastSyncMs === undefined || batch.events.length === 0) return;
    if (waiting.length >= MAX_WAITING) return;
    const kinds = [...new Set(batch.events.map(({ key }) => kindOf(key)))];
    waiting.push({ batch: state.taken, kinds, receivedMs: batch.receivedMs ?? Date.now() });
  });
  events.on('applied', ({ report, endedMs }) => {
    hasCommitted ||= report.transactions > 0;
    if (report.more) return;
    for (const { batch, kinds, receivedMs } of waiting) {
      if (batch > state.enforced || !hasCommitted) continue;
      for (const kind of kinds) histogram.observe(Math.max(0, endedMs - receivedMs) / 1000, kind);
    }
    waiting = waiting.filter(({ batch }) => batch > state.enforced);
    hasCommitted = false;
  });
}

/** `<group>/<kind>/<namespace>/<name>`. */
function kindOf(key: string): string {
  return key.split('/')[1] ?? '';
}
