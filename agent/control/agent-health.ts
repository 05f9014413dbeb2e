/**
 * What probes ask: does the agent live, is it ready? Comes in: the agent; goes out: conditions. Living depends neither on the API server nor on
 * how long an apply takes, so that a probe never kills an agent that only has to wait.
 */
import type { Condition } from '../obs/health.ts';
import type { AgentView } from './agent-view.ts';
import { MAX_STEP_MS } from '../runner/supervised.ts';

/** The kernel may lack the newest change for so long without the agent being unready, milliseconds: under a stream of changes it always does. */
const MAX_BEHIND_MS = 30_000;

/** The event loop lives when it answers at all. */
export function liveConditions(agent: AgentView | undefined): readonly Condition[] {
  const stepMs = agent?.stepMs() ?? 0;
  const wrong = stepMs > MAX_STEP_MS ? `one step takes ${Math.round(stepMs / 1000)} s` : undefined;
  return [
    { name: 'event-loop', wrong: undefined },
    { name: 'apply-loop', wrong },
  ];
}

export function readyConditions(agent: AgentView | undefined, nowMs: number): readonly Condition[] {
  if (agent === undefined) return [{ name: 'started', wrong: 'the agent is starting' }];
  return [
    ...agent.state.sources.map(({ name, isSynced }): Condition => ({
      name: `source-${name}`,
      wrong: isSynced ? undefined : 'not complete yet; what was enforced before stays',
    })),
    { name: 'kernel-in-sync', wrong: behind(agent, nowMs) },
    { name: 'policies-accepted', wrong: unaccepted(agent) },
    { name: 'enforcing', wrong: opened(agent) },
  ];
}

function behind({ state }: AgentView, nowMs: number): string | undefined {
  const { lastError, lastSyncMs, isInSync } = state;
  if (lastError !== undefined) return `the last apply failed: ${lastError}`;
  if (lastSyncMs === undefined) return 'nothing has been applied yet';
  const lateMs = nowMs - lastSyncMs;
  return isInSync || lateMs < MAX_BEHIND_MS
    ? undefined
    : `the kernel has lacked something for ${Math.round(lateMs / 1000)} s`;
}

/** A policy whose newest version is invalid still governs as it did, unless it never did. */
function unaccepted({ engine }: AgentView): string | undefined {
  const without = engine.store.stale().filter((key) => engine.store.resource(key) === undefined);
  const [first] = without;
  if (first === undefined) return undefined;
  const more = without.length > 1 ? ` and ${without.length - 1} more` : '';
  return `no version of ${first}${more} was ever accepted: it governs nothing`;
}

function opened({ state }: AgentView): string | undefined {
  const since = state.panicOpenSinceMs;
  return since === undefined
    ? undefined
    : `opened by picket panic-open at ${new Date(since).toISOString()}: nothing is enforced`;
}
