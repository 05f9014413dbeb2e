/**
 * How the agent is, in one line, and whether whoever waits for its start may go on. Comes in: its state. A start never waits for
 * something that may never come: an agent that has nothing to enforce, or cannot, is up and says so.
 */
import type { AgentState } from './state.ts';

/** A source that has said nothing for so long after the start is waited for in the background, milliseconds. */
export const PATIENCE_MS = 10_000;

export interface Readiness {
  /** The start is over, well or badly. */
  readonly isUp: boolean;
  /** For people. */
  readonly status: string;
}

const STAYS = 'what was in force stays';

/** What is governed here. */
export interface Governed {
  readonly workloads: number;
  readonly hostEndpoints: number;
}

/** `uptimeMs` since the agent began. */
export function readinessOf(state: AgentState, governed: Governed, uptimeMs: number): Readiness {
  const { isUp, status } = conditionOf(state, governed, uptimeMs);
  const { configurationError } = state;
  if (configurationError === undefined) return { isUp, status };
  return { isUp, status: `NOT reloaded: ${configurationError}; ${status}` };
}

function conditionOf(state: AgentState, governed: Governed, uptimeMs: number): Readiness {
  const { sources, lastError, quarantined, held } = state;
  if (held !== undefined) return { isUp: true, status: `held, ${STAYS}: ${held}` };
  if (lastError !== undefined) {
    return { isUp: true, status: `not applied, ${STAYS}: ${lastError}` };
  }
  const late = sources.find(({ isSynced }) => !isSynced);
  if (late !== undefined) {
    const why = late.issues[0]?.message;
    const status = `waiting for ${late.name}, ${STAYS}${why === undefined ? '' : `: ${why}`}`;
    return { isUp: why !== undefined || uptimeMs >= PATIENCE_MS, status };
  }
  if (sources.every(({ events }) => events === 0)) {
    return { isUp: true, status: `nothing to enforce yet, ${STAYS}` };
  }
  if (!state.isInSync) return { isUp: state.lastSyncMs !== undefined, status: 'applying' };
  const issues = sources.reduce((sum, source) => sum + source.issues.length, 0);
  const notes = [
    ...(issues === 0 ? [] : [`${count(issues, 'file')} not right`]),
    ...(quarantined.length === 0
      ? []
      : [`${count(quarantined.length, 'object')} refused by the kernel, closed meanwhile`]),
  ];
  return { isUp: true, status: ['in sync', printGoverned(governed), ...notes].join(', ') };
}

/** Whoever gave an endpoint the name of another node has to see it. */
function printGoverned({ workloads, hostEndpoints }: Governed): string {
  if (workloads + hostEndpoints === 0)
    return 'but no endpoint is of this node: nothing is governed';
  const parts = [
    ...(hostEndpoints === 0 ? [] : [count(hostEndpoints, 'host endpoint')]),
    ...(workloads === 0 ? [] : [count(workloads, 'workload')]),
  ];
  return parts.join(', ');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
