/** `picket run`: stays, follows the directory, the host's links and routes, and changes that others make to our table. */
import { Command } from 'commander';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/keys.ts';
import { openConnectionSweep, printSweepFailure } from '../dataplane/connection-sweep.ts';
import type { ConnectionSweep } from '../dataplane/connection-sweep.ts';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { TableWatch } from '../dataplane/table-watch.ts';
import { HostNetworkWatch } from '../endpoints/host-network.ts';
import { ApplyError, Engine, printRefusal } from '../engine/engine.ts';
import { Wakeup } from '../engine/wakeup.ts';
import { AgentError } from '../errors.ts';
import { loadNative } from '../native/native.ts';
import type { Native } from '../native/native.ts';
import { openLog } from '../obs/log.ts';
import type { Log } from '../obs/log.ts';
import { DirectorySource } from '../watch/directory.ts';
import type { FileIssue } from '../watch/file-set.ts';
import { EXIT } from './exit.ts';
import { configOption, manifestsOption, netnsOption, nodeOption, outputOption } from './options.ts';
import type { ConfiguredOptions, OutputFormat } from './options.ts';
import { engineConfig, loadSettings } from './settings.ts';
import { lockNetns } from './lock.ts';
import { fromFileIssue, fromFinding, printIssue } from './report.ts';
import type { ReportedIssue } from './report.ts';

/** Waiting times between attempts after a failure, milliseconds; the last one repeats. */
const BACKOFF_MS = [200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/** How often objects that the kernel refused are offered again. */
const FORGIVE_MS = 60_000;

export function runCommand(): Command {
  return new Command('run')
    .summary('apply the manifests and follow every change')
    .description(
      'Applies the manifests, then stays: files that are added, replaced or removed take effect at once, endpoints are\n' +
        'followed when their interfaces appear or move, and what somebody else changes in the table "inet picket" is\n' +
        'repaired and logged with the process that did it. Stopping leaves the rules in force.',
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(nodeOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Signals: SIGTERM and SIGINT stop it; the rules stay in force (picket cleanup removes them).

Example:
  picket run --manifests /etc/picket/policies --node "$(hostname)" -o json`,
    )
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await run(options);
    });
}

async function run(options: ConfiguredOptions): Promise<number> {
  const config = loadSettings(options, ['manifests', 'node']);
  const log = openLog(options.output);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const lock = await lockNetns(config.netns, (message) => log.warn(message));
  const native = loadNative();
  const dataplane = new NetlinkDataplane(native, config.netns);
  try {
    const agent = new Agent({ ...config, output: options.output }, native, dataplane, log, stop);
    await agent.run();
    log.info('stopped; the rules stay in force');
    return EXIT.good;
  } finally {
    lock.release();
    dataplane.close();
  }
}

interface AgentOptions extends Config {
  readonly output: OutputFormat;
}

class Agent {
  readonly #options: AgentOptions;
  readonly #native: Native;
  readonly #log: Log;
  readonly #stop: AbortController;
  readonly #engine: Engine;
  readonly #dataplane: NetlinkDataplane;
  readonly #sweep: ConnectionSweep;
  readonly #wakeup = new Wakeup();
  #network: HostNetworkWatch | undefined;
  #isNetworkStale = true;
  #isLoaded = false;
  #isInSync = false;
  #knownFileIssues: ReadonlySet<string> = new Set();
  #failures = 0;

  constructor(
    options: AgentOptions,
    native: Native,
    dataplane: NetlinkDataplane,
    log: Log,
    stop: AbortController,
  ) {
    this.#options = options;
    this.#native = native;
    this.#dataplane = dataplane;
    this.#log = log;
    this.#stop = stop;
    this.#engine = new Engine(engineConfig(options), dataplane);
    this.#sweep = openConnectionSweep(native, options.netns, stop.signal, (failure) => {
      log.warn(printSweepFailure(failure));
    });
  }

  async run(): Promise<void> {
    const { netns } = this.#options;
    const { signal } = this.#stop;
    this.#network = new HostNetworkWatch(this.#native, netns, () => {
      this.#isNetworkStale = true;
      this.#wakeup.set();
    });
    const tableWatch = new TableWatch(this.#native, netns, this.#dataplane.portId, (by) => {
      this.#log.warn({ by }, 'table inet picket was changed by someone else, repairing');
      this.#engine.doubt();
      this.#wakeup.set();
    });
    const timer = setInterval(() => {
      if (this.#engine.forgive()) this.#wakeup.set();
    }, FORGIVE_MS);
    signal.addEventListener('abort', () => this.#wakeup.set());
    const tasks = [this.#follow(signal), this.#loop(signal)];
    try {
      await Promise.race(tasks);
    } finally {
      this.#stop.abort();
      clearInterval(timer);
      tableWatch.close();
      // A transaction under way ends first: what it took from an endpoint has to be swept, and the lock is ours until then.
      await Promise.allSettled(tasks);
      this.#network.close();
      await this.#sweep.idle();
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const source = new DirectorySource(this.#options.manifests);
    for await (const batch of source.watch(signal)) {
      const findings = this.#engine.take(batch.events);
      this.#report([...this.#newFileIssues(batch.issues), ...findings.map(fromFinding)]);
      this.#noteLoad(batch.events.length);
      if (this.#isLoaded) this.#wakeup.set();
    }
  }

  /** Batches repeat what is still wrong; the log says it once. */
  #newFileIssues(issues: readonly FileIssue[]): ReportedIssue[] {
    const known = this.#knownFileIssues;
    this.#knownFileIssues = new Set(issues.map((issue) => JSON.stringify(issue)));
    return issues.filter((issue) => !known.has(JSON.stringify(issue))).map(fromFileIssue);
  }

  /** The kernel stays untouched until there is something to enforce. */
  #noteLoad(events: number): void {
    if (this.#isLoaded) return;
    this.#isLoaded = events > 0;
    if (this.#isLoaded) return;
    const { manifests } = this.#options;
    this.#log.warn({ manifests }, 'no usable manifest yet: the rules in force stay, waiting');
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#wakeup.wait();
      if (signal.aborted || !this.#isLoaded) continue;
      await this.#applyOnce(signal);
    }
  }

  async #applyOnce(signal: AbortSignal): Promise<void> {
    try {
      if (this.#isNetworkStale && this.#network !== undefined) {
        this.#isNetworkStale = false;
        this.#engine.setNetwork(await this.#network.current());
      }
      const report = await this.#engine.step();
      if (report.more) this.#wakeup.set();
      this.#sweep.add(report.released);
      for (const refusal of report.quarantined) {
        this.#log.error({ refusal: printRefusal(refusal) }, 'quarantined, enforced fail closed');
      }
      if (report.transactions > 0) {
        const endpoints = this.#engine.endpoints().length;
        this.#log.info({ endpoints, operations: report.operations }, 'applied');
      }
      if (!report.more) this.#noteSync();
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof AgentError || error instanceof ApplyError)) throw error;
      await this.#backOff(error, signal);
    }
  }

  /** Told once: from then on silence means that nothing had to be done. */
  #noteSync(): void {
    if (this.#isInSync) return;
    this.#isInSync = true;
    this.#log.info({ endpoints: this.#engine.endpoints().length }, 'in sync with the kernel');
  }

  async #backOff(failure: Error, signal: AbortSignal): Promise<void> {
    const waitMs = BACKOFF_MS[Math.min(this.#failures++, BACKOFF_MS.length - 1)] ?? 0;
    this.#log.error({ error: failure.message, waitMs }, 'not applied, the rules in force stay');
    this.#isNetworkStale = true;
    this.#engine.doubt();
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    this.#wakeup.set();
  }

  #report(issues: readonly ReportedIssue[]): void {
    for (const issue of issues) {
      const { severity, message, ...place } = issue;
      const level = severity === 'error' ? 'error' : 'warn';
      if (this.#options.output === 'json') this.#log[level](place, message);
      else this.#log[level](printIssue(issue));
    }
  }
}
