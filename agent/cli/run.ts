/** `picket run`: stays, follows the directory, the host's links and routes, and changes that others make to our table. */
import { Command } from 'commander';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { printRefusal } from '../engine/engine.ts';
import { loadNative } from '../native/native.ts';
import { openLog } from '../obs/log.ts';
import type { Log } from '../obs/log.ts';
import { Agent } from '../runner/agent.ts';
import { DirectorySource } from '../watch/directory.ts';
import { EXIT } from './exit.ts';
import { configOption, manifestsOption, netnsOption, nodeOption, outputOption } from './options.ts';
import type { ConfiguredOptions, OutputFormat } from './options.ts';
import { engineConfig, loadSettings } from './settings.ts';
import { lockNetns } from './lock.ts';
import { fromFileIssue, fromFinding, printIssue } from './report.ts';
import type { ReportedIssue } from './report.ts';

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
  const { netns } = config;
  const lock = await lockNetns(netns, (message) => log.warn(message));
  const native = loadNative();
  const dataplane = new NetlinkDataplane(native, netns);
  const sources = [new DirectorySource(config.manifests)];
  const engine = engineConfig(config);
  try {
    const agent = new Agent({ engine, netns, native, dataplane, sources, log, now: Date.now });
    logEvents(agent, log, options.output);
    await agent.run(stop.signal);
    log.info('stopped; the rules stay in force');
    return EXIT.good;
  } finally {
    lock.release();
    dataplane.close();
  }
}

function logEvents({ events, engine }: Agent, log: Log, output: OutputFormat): void {
  let wasInSync = false;
  events.on('taken', ({ issues, findings }) => {
    logIssues([...issues.map(fromFileIssue), ...findings.map(fromFinding)], log, output);
  });
  events.on('applied', ({ report }) => {
    const endpoints = engine.endpoints().length;
    for (const refusal of report.quarantined) {
      log.error({ refusal: printRefusal(refusal) }, 'quarantined, enforced fail closed');
    }
    if (report.transactions > 0) log.info({ endpoints, operations: report.operations }, 'applied');
    // Told once: from then on silence means that nothing had to be done.
    if (!report.more && !wasInSync) {
      wasInSync = true;
      log.info({ endpoints }, 'in sync with the kernel');
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
