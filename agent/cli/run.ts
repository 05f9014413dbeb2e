/** `picket run`: stays, follows the directory, the host's links and routes, and changes that others make to our table. */
import { Command } from 'commander';
import type { Resource } from '../../compiler/model/cluster.ts';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { printRefusal } from '../engine/engine.ts';
import { loadNative } from '../native/native.ts';
import type { Native } from '../native/native.ts';
import { openLog } from '../obs/log.ts';
import type { Log } from '../obs/log.ts';
import { takeNotifier } from '../obs/notify.ts';
import { KubernetesSource } from '../kube/kubernetes-source.ts';
import { Agent } from '../runner/agent.ts';
import { followFelix } from '../runner/felix.ts';
import { returnMemory } from '../runner/memory.ts';
import { followHostWarnings } from '../runner/host-warnings.ts';
import { Supervised } from '../runner/supervised.ts';
import type { Config } from '../config/keys.ts';
import { FlowRing } from '../flowlog/ring.ts';
import { flowRoutes } from '../flowlog/routes.ts';
import { openFlowLogs } from './flow-logs.ts';
import { guardAgent, openGate } from './run-guarded.ts';
import { EXIT } from './exit.ts';
import {
  configOption,
  inClusterOption,
  kubeconfigOption,
  manifestsOption,
  netnsOption,
  nodeOption,
  outputOption,
} from './options.ts';
import type { OutputFormat } from './options.ts';
import { engineConfig } from './settings.ts';
import { KeptDirectory, loadFollowSettings, openSources } from './sources.ts';
import type { FollowOptions } from './sources.ts';
import { Served } from './serve.ts';
import { lockNetns } from './lock.ts';
import { tellObjects } from './object-events.ts';
import { ConfigReload } from './reload.ts';
import type { ReloadEvents } from './reload.ts';
import { fromFileIssue, fromFinding, printIssue } from './report.ts';
import type { ReportedIssue } from './report.ts';

export function runCommand(): Command {
  return new Command('run')
    .summary('apply what manifests and the Kubernetes API say, and follow every change')
    .description(
      'Applies the manifests, the objects of the Kubernetes API, or both, then stays: changes take effect at once, endpoints are\n' +
        'followed when their interfaces appear or move, and what somebody else changes in the table "inet picket" is\n' +
        'repaired and logged with the process that did it. Stopping leaves the rules in force.',
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(kubeconfigOption())
    .addOption(inClusterOption())
    .addOption(nodeOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Signals: SIGTERM and SIGINT stop it; the rules stay in force (picket cleanup removes them). SIGHUP, or a change of the
configuration file, makes it read the configuration again: one that is wrong is reported, and the one in use stays.

Without flags it governs this host by /etc/picket/picket.yaml and /etc/picket/policies; as a service: systemctl start picket.

With --kubeconfig or --in-cluster the default directory is read only where it exists at the start. Nothing is applied before all
sources are complete; an API server that goes away changes nothing. An object that is in the directory and in the API counts as it
is in the directory.

Examples:
  picket run --manifests /etc/picket/policies --node "$(hostname)" -o json
  picket run --kubeconfig /etc/kubernetes/picket.conf --node "$(hostname)"
  picket run --in-cluster --node "$NODE_NAME"`,
    )
    .action(async (options: FollowOptions) => {
      process.exitCode = await run(options);
    });
}

/** What lives as long as the process, however often the configuration changes. */
interface Service {
  readonly log: Log;
  readonly native: Native;
  readonly dataplane: NetlinkDataplane;
  readonly supervised: Supervised;
  readonly reload: ConfigReload;
  readonly output: OutputFormat;
  readonly ring: FlowRing;
  readonly served: Served;
  readonly directory: KeptDirectory;
  /** Accepted versions of objects whose newest version is refused. */
  inherited: ReadonlyMap<string, Resource>;
  /** Aborts when the service is to end. */
  readonly stop: AbortSignal;
}

async function run(options: FollowOptions): Promise<number> {
  const log = openLog(options.output);
  // First of all: a service manager, or who changes the configuration, may ask for a reload while we start.
  const reload = new ConfigReload(options, log);
  try {
    return await runWith(options, log, reload);
  } finally {
    reload.close();
  }
}

async function runWith(options: FollowOptions, log: Log, reload: ConfigReload): Promise<number> {
  let config: Config | undefined = loadFollowSettings(options);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const { netns } = config;
  const native = loadNative();
  const supervised = new Supervised(
    takeNotifier(process.env, process.pid, (path, bytes) => native.sendUnixDatagram(path, bytes)),
  );
  stop.signal.addEventListener('abort', () => supervised.stopping());
  const lock = await lockNetns(netns, (message) => log.warn(message));
  const dataplane = new NetlinkDataplane(native, netns);
  const { output } = options;
  const ring = new FlowRing(config.flowLogKeep);
  const served = new Served(native, netns, log);
  await served.open(config, flowRoutes(ring));
  const { signal } = stop;
  const service: Service = {
    log,
    native,
    dataplane,
    supervised,
    reload,
    output,
    ring,
    served,
    directory: new KeptDirectory(),
    inherited: new Map(),
    stop: signal,
  };
  try {
    while (config !== undefined) config = await runConfigured(config, service);
    log.info('stopped; the rules stay in force');
    return EXIT.good;
  } finally {
    await served.close();
    lock.release();
    dataplane.close();
  }
}

/**
 * One agent, as long as its configuration is the one to use; answers the one to go on with, `undefined` = none. What the kernel has
 * stays as it is until the next agent knows better.
 */
async function runConfigured(config: Config, service: Service): Promise<Config | undefined> {
  const { log, native, dataplane, supervised, reload, output, served, stop } = service;
  const { netns } = config;
  const sources = openSources(config, service.directory);
  const { inherited } = service;
  service.ring.resize(config.flowLogKeep);
  const flows = openFlowLogs(config, { ...engineConfig(config), inherited }, service);
  const { engine } = flows;
  const gate = openGate(config, native, log);
  const parts = { engine, netns, native, dataplane, sources, log, gate, now: Date.now };
  const agent = new Agent(parts);
  const guarded = guardAgent(agent, gate, config, service);
  logEvents(agent, log, output);
  followHostWarnings(agent, config.node, (text) => log.warn(text));
  supervised.follow(agent);
  returnMemory(agent.events, native);
  await served.follow(agent, config, () => flows.flowLog.counts);
  flows.follow(agent);
  const over = new AbortController();
  const signal = AbortSignal.any([stop, over.signal]);
  for (const source of sources) {
    if (source instanceof KubernetesSource) tellObjects(agent, source, log, signal);
  }
  let replacement: Config | undefined;
  followFelix(agent, config.node, ({ values, problems }) => {
    for (const problem of problems) log.warn(`FelixConfiguration: ${problem}`);
    replacement = reload.withDefaults(values, config, reloadEvents(agent, service));
    if (replacement === undefined) return;
    log.info('the settings of the cluster (FelixConfiguration) have changed');
    over.abort();
  });
  const next = reload.next(config, reloadEvents(agent, service), signal);
  void next.finally(() => over.abort());
  try {
    await agent.run(signal);
  } finally {
    over.abort();
    service.inherited = agent.engine.store.kept();
    await guarded.close();
    await flows.close();
  }
  return stop.aborted ? undefined : (replacement ?? next);
}

function reloadEvents({ state }: Agent, { log, supervised }: Service): ReloadEvents {
  return {
    begun: () => {
      log.info('reading the configuration again');
      supervised.reload();
    },
    unchanged: () => {
      if (state.configurationError !== undefined) log.info('the configuration is right again');
      state.configurationError = undefined;
      supervised.look();
    },
    refused: (why) => {
      state.configurationError = why;
      log.error({ error: why }, 'not reloaded, the configuration in use stays');
      supervised.look();
    },
  };
}

function logEvents({ events, engine }: Agent, log: Log, output: OutputFormat): void {
  let wasInSync = false;
  const troubled = new Set<string>();
  events.on('taken', ({ source, batch, issues, findings }) => {
    logIssues([...issues.map(fromFileIssue), ...findings.map(fromFinding)], log, output);
    if (batch.issues.length > 0) troubled.add(source);
    else if (troubled.delete(source)) log.info({ source }, 'nothing is wrong with it any more');
  });
  events.on('applied', ({ report }) => {
    const counts = {
      workloads: engine.endpoints().length,
      hostEndpoints: engine.hostEndpoints().length,
    };
    for (const refusal of report.quarantined) {
      log.error({ refusal: printRefusal(refusal) }, 'quarantined, enforced fail closed');
    }
    if (report.transactions > 0) log.info({ ...counts, operations: report.operations }, 'applied');
    // Told once: from then on silence means that nothing had to be done.
    if (!report.more && !wasInSync) {
      wasInSync = true;
      log.info(counts, 'in sync with the kernel');
    }
  });
  events.on('failed', ({ error, waitMs }) => {
    log.error({ error: error.message, waitMs }, 'not applied, the rules in force stay');
  });
  events.on('foreign', ({ by }) => {
    log.warn({ by }, 'table inet picket was changed by someone else, repairing');
  });
}

function logIssues(issues: readonly ReportedIssue[], log: Log, output: OutputFormat): void {
  for (const issue of issues) {
    const { severity, message, ...place } = issue;
    const level = severity === 'error' ? 'error' : 'warn';
    if (output === 'json') log[level](place, message);
    else log[level](printIssue(issue));
  }
}
