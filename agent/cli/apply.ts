/** `picket apply`: one shot. Reads the manifests, brings the kernel to them, says what was done. */
import { Command } from 'commander';
import { openConnectionSweep, printSweepFailure } from '../dataplane/connection-sweep.ts';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { readHostNetwork } from '../endpoints/host-network.ts';
import { printRefusal } from '../engine/engine.ts';
import type { ApplyReport, Engine } from '../engine/engine.ts';
import { loadNative } from '../native/native.ts';
import type { Native } from '../native/native.ts';
import { CommandError, EXIT } from './exit.ts';
import { loadManifests } from './load.ts';
import { configOption, manifestsOption, netnsOption, nodeOption, outputOption } from './options.ts';
import type { ConfiguredOptions, OutputFormat } from './options.ts';
import { loadSettings } from './settings.ts';
import { hasErrors, printIssues, printJson, printLine } from './report.ts';
import type { ReportedIssue } from './report.ts';

export function applyCommand(): Command {
  return new Command('apply')
    .summary('compile the manifests and apply them once')
    .description(
      'Reads the manifests, compiles the policies of the endpoints on this node and applies them in one nf_tables\n' +
        'transaction to the table "inet picket"; large new address sets are filled before. Sends only what differs\n' +
        'from what the kernel has. The rules stay enforced until the next apply or cleanup.',
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(nodeOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 applied; 1 nothing applied, the rules in force are unchanged; 2 usage;
            4 applied but degraded: parts were invalid or refused and are enforced fail closed.

Example:
  picket apply --manifests /etc/picket/policies --node "$(hostname)"`,
    )
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await apply(options);
    });
}

async function apply(options: ConfiguredOptions): Promise<number> {
  const config = loadSettings(options, ['manifests', 'node']);
  const native = loadNative();
  const dataplane = new NetlinkDataplane(native, config.netns);
  try {
    const { engine, issues, objects } = await loadManifests(config, dataplane);
    printIssues(issues, options.output);
    if (objects === 0) throw nothingToApply(config.manifests, issues);
    engine.setNetwork(await readHostNetwork(native, config.netns));
    const report = await engine.apply();
    await forgetConnections(native, config.netns, report);
    return printReport(engine, report, issues, { node: config.node, output: options.output });
  } finally {
    dataplane.close();
  }
}

/** After the commit; a failure is told and changes nothing else. */
async function forgetConnections(
  native: Native,
  netns: string,
  { released }: ApplyReport,
): Promise<void> {
  const { signal } = new AbortController();
  const sweep = openConnectionSweep(native, netns, signal, (failure) => {
    process.stderr.write(`warning: ${printSweepFailure(failure)}\n`);
  });
  sweep.add(released);
  await sweep.idle();
}

function nothingToApply(directory: string, issues: readonly ReportedIssue[]): CommandError {
  return new CommandError(
    `no usable manifest in ${directory}: nothing applied, the rules in force are unchanged. ` +
      "To remove Picket's rules use: picket cleanup",
    EXIT.failed,
    { details: { applied: false, issues } },
  );
}

function printReport(
  engine: Engine,
  report: ApplyReport,
  issues: readonly ReportedIssue[],
  options: { readonly node: string; readonly output: OutputFormat },
): number {
  const degraded = hasErrors(issues) || report.quarantined.length > 0;
  const counts = {
    endpoints: engine.endpoints().length,
    chains: engine.table.chains.desired.size,
    sets: engine.table.sets.desired.size,
  };
  if (options.output === 'json') {
    const quarantined = report.quarantined.map(printRefusal);
    const { operations, transactions } = report;
    printJson({
      applied: true,
      degraded,
      node: options.node,
      ...counts,
      operations,
      transactions,
      quarantined,
      issues,
    });
  } else {
    for (const refusal of report.quarantined) {
      process.stderr.write(`quarantined: ${printRefusal(refusal)}\n`);
    }
    printLine(describe(report, counts, options.node));
  }
  return degraded ? EXIT.degraded : EXIT.good;
}

function describe(
  report: ApplyReport,
  counts: { endpoints: number; chains: number; sets: number },
  node: string,
): string {
  const operations = Object.values(report.operations).reduce((sum, count) => sum + count, 0);
  const transactions = `${report.transactions} transaction${report.transactions === 1 ? '' : 's'}`;
  const governed = `${counts.endpoints} endpoint${counts.endpoints === 1 ? '' : 's'} of node ${node}`;
  return operations === 0
    ? `unchanged: ${governed}, ${counts.chains} chains, ${counts.sets} sets are in the kernel already`
    : `applied: ${governed}, ${counts.chains} chains, ${counts.sets} sets; ${operations} operations in ${transactions}`;
}
