/** An agent as status and metrics see it, without a kernel: an engine over the fake dataplane, a state and events. */
import { EventEmitter } from 'node:events';
import type { AgentView } from '../../agent/control/agent-view.ts';
import { FakeDataplane } from '../../agent/dataplane/fake.ts';
import type { AgentEvents } from '../../agent/runner/agent.ts';
import { newState } from '../../agent/runner/state.ts';
import type { RawEvent } from '../../agent/watch/event.ts';
import { openEngine, put } from './raw-events.ts';

export interface FakeAgent extends AgentView {
  /** Takes objects as its one source would, and applies them. */
  give(objects: readonly object[], receivedMs?: number): Promise<void>;
  /** Takes them only. */
  take(events: readonly RawEvent[], receivedMs?: number): void;
  apply(): Promise<void>;
}

/** `now` is the clock of all of it. */
export function fakeAgent(now: () => number): FakeAgent {
  const engine = openEngine(new FakeDataplane());
  const state = newState(['disk'], now());
  const events = new EventEmitter<AgentEvents>();
  const take: FakeAgent['take'] = (list, receivedMs) => {
    const findings = engine.take(list.map((event) => ({ ...event, key: `disk:${event.key}` })));
    const [source] = state.sources;
    if (source === undefined) throw new Error('one source');
    state.taken++;
    source.isSynced = true;
    source.events += list.length;
    source.lastBatchMs = now();
    const times = receivedMs === undefined ? {} : { receivedMs };
    const batch = { events: list, issues: [], isSynced: true, ...times };
    events.emit('taken', { source: 'disk', batch, issues: [], findings });
  };
  const apply = async (): Promise<void> => {
    const startedMs = now();
    const { taken } = state;
    const report = await engine.apply();
    state.enforced = taken;
    state.isInSync = true;
    state.lastSyncMs = now();
    const { operations } = report;
    if (report.transactions > 0) {
      state.lastApply = { atMs: now(), durationMs: now() - startedMs, operations };
    }
    events.emit('applied', { report, startedMs, endedMs: now() });
  };
  return {
    engine,
    state,
    events,
    stepMs: () => 0,
    take,
    apply,
    give: async (objects, receivedMs) => {
      take(objects.map(put), receivedMs);
      await apply();
    },
  };
}
