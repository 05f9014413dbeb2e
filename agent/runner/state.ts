/** What the running agent knows of itself, for status, health and metrics. Times are milliseconds since the epoch. */
import type { FileIssue } from '../watch/file-set.ts';
import type { SourceName } from '../watch/source.ts';

export interface SourceState {
  readonly name: SourceName;
  isSynced: boolean;
  /** Objects handed over so far, changes included. */
  events: number;
  /** Of the last batch; `undefined` before the first. */
  lastBatchMs: number | undefined;
  issues: readonly FileIssue[];
}

export interface LastApply {
  readonly atMs: number;
  /** From the wake-up to the kernel's answer. */
  readonly durationMs: number;
  readonly operations: Readonly<Record<string, number>>;
}

export interface AgentState {
  readonly startedMs: number;
  readonly sources: readonly SourceState[];
  /** Batches taken from all sources so far. */
  taken: number;
  /** Of these, how many the kernel has: with all before them, and nothing left to send. */
  enforced: number;
  /** Nothing differs between the kernel and what the sources say. */
  isInSync: boolean;
  /** The last time that anything was committed. */
  lastApply: LastApply | undefined;
  /** The last time that the kernel was found or made equal. */
  lastSyncMs: number | undefined;
  /** Attempts that failed since the last one that did not, and what the last one said. */
  failures: number;
  lastError: string | undefined;
  /** Why the changed configuration is not used; `undefined` = the one in use is the one that is written. */
  configurationError: string | undefined;
  /** Opened by picket panic-open: since when. While this is set, nothing is enforced. */
  panicOpenSinceMs: number | undefined;
  /** Why what the sources say is not applied, though nothing has failed; `undefined` = it is. */
  held: string | undefined;
  /** Changes of our table by others. */
  repairs: number;
  lastRepair: { readonly atMs: number; readonly by: string } | undefined;
  /** Refused by the kernel and enforced fail closed, since objects were last offered again. */
  quarantined: readonly string[];
  /** Events on objects of the API that were not sent; `undefined` = no such objects are followed. */
  objectEvents: { readonly dropped: number } | undefined;
}

export function newState(names: readonly SourceName[], startedMs: number): AgentState {
  const fresh = { isSynced: false, events: 0, lastBatchMs: undefined, issues: [] };
  return {
    startedMs,
    sources: names.map((name) => ({ name, ...fresh })),
    taken: 0,
    enforced: 0,
    isInSync: false,
    lastApply: undefined,
    lastSyncMs: undefined,
    failures: 0,
    lastError: undefined,
    configurationError: undefined,
    panicOpenSinceMs: undefined,
    held: undefined,
    repairs: 0,
    lastRepair: undefined,
    quarantined: [],
    objectEvents: undefined,
  };
}
