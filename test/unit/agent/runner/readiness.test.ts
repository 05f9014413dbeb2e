/** When a start is over, and what is said of the agent, for every state that it can be in. */
import test from 'ava';
import { PATIENCE_MS, readinessOf } from '../../../../agent/runner/readiness.ts';
import { newState } from '../../../../agent/runner/state.ts';
import type { Governed } from '../../../../agent/runner/readiness.ts';
import type { AgentState, SourceState } from '../../../../agent/runner/state.ts';

const SYNCED: Partial<SourceState> = { isSynced: true, events: 3 };
const ISSUE = {
  file: '/etc/picket/policies',
  line: undefined,
  column: undefined,
  severity: 'error',
  message: 'the directory cannot be read: ENOENT',
} as const;

interface Row {
  readonly name: string;
  readonly disk: Partial<SourceState>;
  readonly state?: Partial<AgentState>;
  readonly uptimeMs?: number;
  readonly governed?: Governed;
  readonly out: readonly [isUp: boolean, status: string];
}

const ROWS: readonly Row[] = [
  { name: 'just started', disk: {}, out: [false, 'waiting for disk, what was in force stays'] },
  {
    name: 'a source that says nothing is not waited for',
    disk: {},
    uptimeMs: PATIENCE_MS,
    out: [true, 'waiting for disk, what was in force stays'],
  },
  {
    name: 'a source that cannot be read is not waited for',
    disk: { issues: [ISSUE] },
    out: [true, `waiting for disk, what was in force stays: ${ISSUE.message}`],
  },
  {
    name: 'nothing to enforce',
    disk: { isSynced: true },
    out: [true, 'nothing to enforce yet, what was in force stays'],
  },
  { name: 'the first apply', disk: SYNCED, out: [false, 'applying'] },
  {
    name: 'a first apply takes as long as it takes',
    disk: SYNCED,
    uptimeMs: 10 * PATIENCE_MS,
    out: [false, 'applying'],
  },
  {
    name: 'a later apply',
    disk: SYNCED,
    state: { lastSyncMs: 1 },
    out: [true, 'applying'],
  },
  { name: 'in sync', disk: SYNCED, state: { isInSync: true }, out: [true, 'in sync, 1 workload'] },
  {
    name: 'in sync with what is right',
    disk: { ...SYNCED, issues: [ISSUE, ISSUE] },
    state: { isInSync: true, quarantined: ['gnp/a'] },
    out: [
      true,
      'in sync, 1 workload, 2 files not right, 1 object refused by the kernel, closed meanwhile',
    ],
  },
  {
    name: 'in sync, on a host that is governed itself',
    disk: SYNCED,
    state: { isInSync: true },
    governed: { workloads: 2, hostEndpoints: 1 },
    out: [true, 'in sync, 1 host endpoint, 2 workloads'],
  },
  {
    name: 'in sync with what is for other nodes',
    disk: SYNCED,
    state: { isInSync: true },
    governed: { workloads: 0, hostEndpoints: 0 },
    out: [true, 'in sync, but no endpoint is of this node: nothing is governed'],
  },
  {
    name: 'held, until somebody decides',
    disk: SYNCED,
    state: { held: 'a change waits for picket confirm' },
    out: [true, 'held, what was in force stays: a change waits for picket confirm'],
  },
  {
    name: 'the kernel refused',
    disk: SYNCED,
    state: { lastError: 'EPERM' },
    out: [true, 'not applied, what was in force stays: EPERM'],
  },
  {
    name: 'a configuration that is not used comes first',
    disk: SYNCED,
    state: { isInSync: true, configurationError: 'picket.yaml:1: nod: unknown key' },
    out: [true, 'NOT reloaded: picket.yaml:1: nod: unknown key; in sync, 1 workload'],
  },
  {
    name: 'a configuration that is not used makes nothing up',
    disk: {},
    state: { configurationError: 'x' },
    out: [false, 'NOT reloaded: x; waiting for disk, what was in force stays'],
  },
];

const WEB: Governed = { workloads: 1, hostEndpoints: 0 };

for (const { name, disk, state, uptimeMs = 0, governed = WEB, out } of ROWS) {
  test(name, (t) => {
    const fresh = newState(['disk'], 0);
    const sources = fresh.sources.map((source) => ({ ...source, ...disk }));
    const { isUp, status } = readinessOf({ ...fresh, ...state, sources }, governed, uptimeMs);
    t.deepEqual([isUp, status], out);
  });
}
