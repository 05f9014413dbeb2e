/**
 * The state of the running agent on one page, as plain data for `picket status`, health and metrics. Comes in: the agent; goes out: what is
 * in force and everything that is not as it should be, in bounded lists.
 */
import manifest from '../../package.json' with { type: 'json' };
import type { FlowLogCounts } from '../flowlog/flow-log.ts';
import { objectKey } from '../watch/source.ts';
import type { AgentView } from './agent-view.ts';

/** What is listed of anything; `total` beside it says how much there is. */
const MAX_LISTED = 20;

/** The first few of many. */
export interface Listed<T> {
  readonly total: number;
  readonly first: readonly T[];
}

export interface SourceStatus {
  readonly name: string;
  readonly isSynced: boolean;
  /** Objects handed over so far, changes included. */
  readonly events: number;
  readonly lastBatchMs: number | undefined;
  readonly issues: Listed<string>;
}

export interface StaleObject {
  readonly object: string;
  /** False: no version was ever accepted, so it governs nothing. */
  readonly hasAcceptedVersion: boolean;
}

/** Times are milliseconds since the epoch. */
export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly node: string;
  readonly netns: string;
  readonly nowMs: number;
  readonly startedMs: number;
  /** `waiting`: a source is not complete yet, what was enforced before stays. `behind`: the kernel lacks something. */
  readonly state: 'in-sync' | 'waiting' | 'behind';
  /** Everything that is not as it should be, one sentence each; empty = healthy. */
  readonly problems: readonly string[];
  readonly sources: readonly SourceStatus[];
  readonly counts: Readonly<
    Record<'endpoints' | 'hostEndpoints' | 'policies' | 'sets' | 'chains', number>
  >;
  readonly lastApply: AgentView['state']['lastApply'];
  readonly lastSyncMs: number | undefined;
  readonly repairs: { readonly count: number; readonly last: AgentView['state']['lastRepair'] };
  /** Of logged packets; absent where nothing is logged. */
  readonly flowLog: FlowLogCounts | undefined;
  readonly refused: Listed<string>;
  readonly stale: Listed<StaleObject>;
  readonly findings: { readonly errors: Listed<string>; readonly warnings: Listed<string> };
}

export interface StatusContext {
  readonly node: string;
  readonly netns: string;
  readonly nowMs: number;
  readonly flowLog: FlowLogCounts | undefined;
}

export function readStatus(agent: AgentView, context: StatusContext): Status {
  const { engine, state } = agent;
  const { startedMs, lastApply, lastSyncMs, repairs, lastRepair } = state;
  const stale = readStale(agent);
  const parts = {
    sources: state.sources.map((source) => ({
      name: source.name,
      isSynced: source.isSynced,
      events: source.events,
      lastBatchMs: source.lastBatchMs,
      issues: listed(source.issues, ({ file, message }) => `${file}: ${message}`),
    })),
    refused: listed([...engine.compiler.refused], (origin) => origin),
    stale: listed(stale, (object) => object),
    findings: readFindings(agent),
  };
  return {
    version: manifest.version,
    pid: process.pid,
    ...context,
    startedMs,
    state: stateOf(agent),
    problems: problemsOf(agent, { ...parts, stale }),
    counts: countAll(agent),
    lastApply,
    lastSyncMs,
    repairs: { count: repairs, last: lastRepair },
    ...parts,
  };
}

/** Those that govern nothing first: they are worse. */
function readStale({ engine: { store } }: AgentView): StaleObject[] {
  return store
    .stale()
    .map((key) => ({
      object: objectKey(key),
      hasAcceptedVersion: store.resource(key) !== undefined,
    }))
    .sort((a, b) => Number(a.hasAcceptedVersion) - Number(b.hasAcceptedVersion));
}

function countAll({ engine }: AgentView): Status['counts'] {
  return {
    endpoints: engine.endpoints().length,
    hostEndpoints: engine.hostEndpoints().length,
    policies: engine.policies().filter(({ id }) => !id.startsWith('pro/')).length,
    sets: engine.table.sets.desired.size,
    chains: engine.table.chains.desired.size,
  };
}

/** `in-sync` means that the kernel has everything that any source has said so far. */
export function stateOf({ state }: AgentView): Status['state'] {
  if (!isLoaded(state)) return 'waiting';
  return state.isInSync && state.enforced === state.taken ? 'in-sync' : 'behind';
}

function isLoaded({ sources }: AgentView['state']): boolean {
  return sources.every(({ isSynced }) => isSynced) && sources.some(({ events }) => events > 0);
}

function listed<T, U>(all: readonly T[], show: (item: T) => U): Listed<U> {
  return { total: all.length, first: all.slice(0, MAX_LISTED).map(show) };
}

function readFindings({ engine }: AgentView): Status['findings'] {
  const all = engine.store.findings();
  const of = (severity: 'error' | 'warning'): Listed<string> =>
    listed(
      all.filter((finding) => finding.severity === severity),
      ({ source, line, path, message }) =>
        `${source}${line === undefined ? '' : `:${line}`}: ${path === '' ? '' : `${path}: `}${message}`,
    );
  return { errors: of('error'), warnings: of('warning') };
}

function problemsOf(
  { state }: AgentView,
  {
    sources,
    refused,
    stale,
    findings,
  }: Pick<Status, 'sources' | 'refused' | 'findings'> & { readonly stale: readonly StaleObject[] },
): string[] {
  const problems: string[] = [];
  const unsynced = sources.filter(({ isSynced }) => !isSynced).map(({ name }) => name);
  if (unsynced.length > 0) {
    problems.push(`not complete yet: ${unsynced.join(', ')}; what was enforced before stays`);
  } else if (!isLoaded(state)) problems.push('no object yet; what was enforced before stays');
  if (state.held !== undefined) problems.push(`not applied: ${state.held}`);
  if (state.configurationError !== undefined) {
    problems.push(
      `the changed configuration is wrong, the one before is in use: ${state.configurationError}`,
    );
  }
  if (state.lastError !== undefined) {
    problems.push(`the last ${state.failures} attempts to apply failed: ${state.lastError}`);
  }
  const count = (total: number, what: string): void => {
    if (total > 0) problems.push(`${total} ${what}`);
  };
  count(refused.total, 'refused by the kernel, enforced fail closed');
  const governsNothing = stale.filter((each) => !each.hasAcceptedVersion).length;
  count(stale.length - governsNothing, 'invalid, their last accepted version is in force');
  count(governsNothing, 'invalid and never accepted: they govern nothing');
  count(findings.errors.total, 'errors in objects');
  count(
    sources.reduce((sum, { issues }) => sum + issues.total, 0),
    'problems of sources',
  );
  return problems;
}
