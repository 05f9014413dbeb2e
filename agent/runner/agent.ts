/**
 * The running agent: sources, the host's links and routes, and foreign changes of our table wake one loop, which applies. Tells its parts
 * what happens as events. Whatever fails leaves the rules in force; the next attempt waits longer. Knows no command line.
 *
 *   sources --> engine.take --\
 *   host network --------------> wake-up --> engine.step --> 'applied' | 'failed'
 *   table watch --> doubt ----/
 */
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { openConnectionSweep, printSweepFailure } from '../dataplane/connection-sweep.ts';
import type { ConnectionSweep } from '../dataplane/connection-sweep.ts';
import type { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { TableWatch } from '../dataplane/table-watch.ts';
import { HostNetworkWatch } from '../endpoints/host-network.ts';
import { ApplyError, Engine, printRefusal } from '../engine/engine.ts';
import type { ApplyReport, EngineConfig } from '../engine/engine.ts';
import { Wakeup } from '../engine/wakeup.ts';
import { AgentError } from '../errors.ts';
import type { Gate } from '../guard/gate.ts';
import { HeldError } from '../guard/held.ts';
import type { Native } from '../native/native.ts';
import type { Log } from '../obs/log.ts';
import type { Finding } from '../store/store.ts';
import type { FileIssue } from '../watch/file-set.ts';
import { sourceKey } from '../watch/source.ts';
import type { Batch, Source, SourceName } from '../watch/source.ts';
import { newState } from './state.ts';
import type { AgentState, SourceState } from './state.ts';

/** Waiting times between attempts after a failure, milliseconds; the last one repeats. */
const BACKOFF_MS = [200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/** How often objects that the kernel refused are offered again. */
const FORGIVE_MS = 60_000;

/** Listeners are called in the loop: they must be quick and must not throw. */
export interface AgentEvents {
  /** A source handed over a batch; `issues` are those of the source that are new, `findings` those of the objects. */
  taken: [
    {
      readonly source: SourceName;
      readonly batch: Batch;
      readonly issues: readonly FileIssue[];
      readonly findings: readonly Finding[];
    },
  ];
  /** The kernel took a transaction, or nothing had to be done. `startedMs` as `now` gives it. */
  applied: [{ readonly report: ApplyReport; readonly startedMs: number; readonly endedMs: number }];
  failed: [{ readonly error: Error; readonly waitMs: number }];
  /** Nothing may be changed until somebody decides; told at every attempt. */
  held: [{ readonly error: HeldError }];
  /** Someone else changed our table. */
  foreign: [{ readonly by: string }];
}

export interface AgentParts {
  readonly engine: EngineConfig;
  readonly netns: string;
  readonly native: Native;
  readonly dataplane: NetlinkDataplane;
  readonly sources: readonly Source[];
  readonly log: Log;
  readonly gate: Gate;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export class Agent {
  readonly events = new EventEmitter<AgentEvents>();
  readonly engine: Engine;
  readonly state: AgentState;
  readonly #parts: AgentParts;
  readonly #stop = new AbortController();
  readonly #sweep: ConnectionSweep;
  readonly #wakeup = new Wakeup();
  #network: HostNetworkWatch | undefined;
  #isNetworkStale = true;
  /** `performance.now()` when the step under way began. */
  #stepSince: number | undefined;

  constructor(parts: AgentParts) {
    const { native, dataplane, netns, log } = parts;
    this.#parts = parts;
    this.engine = new Engine(parts.engine, parts.gate.over(dataplane));
    this.state = newState(
      parts.sources.map(({ name }) => name),
      parts.now(),
    );
    this.#sweep = openConnectionSweep(native, netns, this.#stop.signal, (failure) => {
      log.warn(printSweepFailure(failure));
    });
  }

  /** Until `signal` aborts, or one of our own errors. A transaction under way ends first. */
  async run(signal: AbortSignal): Promise<void> {
    const { native, netns, dataplane, sources } = this.#parts;
    const stop = this.#stop;
    const abort = (): void => stop.abort();
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    this.#network = new HostNetworkWatch(native, netns, () => {
      this.#isNetworkStale = true;
      this.wake();
    });
    const tableWatch = new TableWatch(native, netns, dataplane.portId, (by) => this.#repair(by));
    const timer = setInterval(() => {
      if (!this.engine.forgive()) return;
      this.state.quarantined = [];
      this.wake();
    }, FORGIVE_MS);
    stop.signal.addEventListener('abort', () => this.wake());
    const tasks = [...sources.map((source) => this.#follow(source)), this.#loop()];
    try {
      await Promise.race(tasks);
    } finally {
      stop.abort();
      signal.removeEventListener('abort', abort);
      clearInterval(timer);
      tableWatch.close();
      // What a last transaction took from an endpoint has to be swept, and the lock is ours until then.
      await Promise.allSettled(tasks);
      this.#network.close();
      await this.#sweep.idle();
    }
  }

  /** For how long a step has been under way, milliseconds, whatever is done to the clock; 0 = none is. */
  stepMs(): number {
    return this.#stepSince === undefined ? 0 : performance.now() - this.#stepSince;
  }

  /** Looks for something to apply, soon. */
  wake(): void {
    this.#wakeup.set();
  }

  #repair(by: string): void {
    this.state.repairs++;
    this.state.lastRepair = { atMs: this.#parts.now(), by };
    this.events.emit('foreign', { by });
    this.engine.doubt();
    this.wake();
  }

  async #follow(source: Source): Promise<void> {
    const state = this.state.sources.find(({ name }) => name === source.name);
    if (state === undefined) throw new Error(`no state for source ${source.name}`);
    const known = new Set<string>();
    for await (const batch of source.watch(this.#stop.signal)) {
      const events = batch.events.map((event) => ({
        ...event,
        key: sourceKey(source.name, event.key),
      }));
      const findings = this.engine.take(events);
      const issues = newIssues(known, batch.issues);
      this.state.taken++;
      this.#noteBatch(state, batch);
      if (this.state.sources.every(({ isSynced }) => isSynced)) this.engine.store.forgetInherited();
      this.events.emit('taken', { source: source.name, batch, issues, findings });
      if (this.#isLoaded()) this.wake();
    }
  }

  #noteBatch(state: SourceState, batch: Batch): void {
    state.isSynced = batch.isSynced;
    state.events += batch.events.length;
    state.lastBatchMs = this.#parts.now();
    state.issues = batch.issues;
    if (state.name !== 'disk' || this.#isLoaded() || batch.events.length > 0) return;
    this.#parts.log.warn('no usable manifest yet: the rules in force stay, waiting');
  }

  /** The kernel stays untouched until every source is complete and there is something to enforce (design section 8). */
  #isLoaded(): boolean {
    const { sources } = this.state;
    return sources.every(({ isSynced }) => isSynced) && sources.some((source) => source.events > 0);
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#wakeup.wait();
      if (signal.aborted || !this.#isLoaded()) continue;
      await this.#applyOnce(signal);
    }
  }

  async #applyOnce(signal: AbortSignal): Promise<void> {
    const startedMs = this.#parts.now();
    this.#stepSince = performance.now();
    try {
      if (this.#isNetworkStale && this.#network !== undefined) {
        this.#isNetworkStale = false;
        this.engine.setNetwork(await this.#network.current());
      }
      await this.#parts.gate.admit(this.engine);
      // A step compiles before it first waits: what comes later is in the next one.
      const { taken } = this.state;
      const report = await this.engine.step();
      if (report.more) this.wake();
      this.#sweep.add(report.released);
      if (!report.more) this.state.enforced = taken;
      this.#noteApply(report, startedMs);
    } catch (error) {
      if (error instanceof HeldError) return this.#hold(error);
      if (!(error instanceof AgentError || error instanceof ApplyError)) throw error;
      this.#stepSince = undefined;
      await this.#backOff(error, signal);
    } finally {
      this.#stepSince = undefined;
    }
  }

  /** The gate wakes us when somebody has decided. */
  #hold(error: HeldError): void {
    const { state } = this;
    state.isInSync = false;
    state.held = error.message;
    state.panicOpenSinceMs = error.why === 'emergency' ? error.sinceMs : undefined;
    this.engine.doubt();
    this.events.emit('held', { error });
  }

  #noteApply(report: ApplyReport, startedMs: number): void {
    const { state } = this;
    state.held = undefined;
    state.panicOpenSinceMs = undefined;
    const endedMs = this.#parts.now();
    state.failures = 0;
    state.lastError = undefined;
    state.quarantined = [...state.quarantined, ...report.quarantined.map(printRefusal)];
    if (report.transactions > 0) {
      const durationMs = endedMs - startedMs;
      state.lastApply = { atMs: endedMs, durationMs, operations: report.operations };
    }
    state.isInSync = !report.more;
    if (state.isInSync) state.lastSyncMs = endedMs;
    this.events.emit('applied', { report, startedMs, endedMs });
  }

  async #backOff(failure: Error, signal: AbortSignal): Promise<void> {
    const { state } = this;
    const waitMs = BACKOFF_MS[Math.min(state.failures++, BACKOFF_MS.length - 1)] ?? 0;
    state.isInSync = false;
    state.lastError = failure.message;
    this.events.emit('failed', { error: failure, waitMs });
    this.#isNetworkStale = true;
    this.engine.doubt();
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    this.wake();
  }
}

/** Batches repeat what is still wrong; `known` becomes what the new one has. */
function newIssues(known: Set<string>, issues: readonly FileIssue[]): FileIssue[] {
  const before = new Set(known);
  known.clear();
  for (const issue of issues) known.add(JSON.stringify(issue));
  return issues.filter((issue) => !before.has(JSON.stringify(issue)));
}
