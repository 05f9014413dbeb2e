/** `picket apply`: one shot. Reads the manifests, brings the kernel to them, says what was done. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { DURATION_FORM, toDurationMs } from '../config/duration.ts';
import type { Config } from '../config/keys.ts';
import { openConnectionSweep, printSweepFailure } from '../dataplane/connection-sweep.ts';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { readHostNetwork } from '../endpoints/host-network.ts';
import { printRefusal } from '../engine/engine.ts';
import type { ApplyReport, Engine } from '../engine/engine.ts';
import { monotonicMs } from '../guard/clock.ts';
import { digestsOf } from '../guard/digest.ts';
import { yieldToOpening } from '../guard/opening.ts';
import { forgetUndone } from '../guard/pending.ts';
import type { PendingSnapshot } from '../guard/pending.ts';
import { settleOverdue } from '../guard/undo.ts';
import type { UndoParts } from '../guard/undo.ts';
import { loadNative } from '../native/native.ts';
import type { Native } from '../native/native.ts';
import { noteEnforcedOrigin } from '../state/origin.ts';
import { hostWarnings, placementWarnings } from '../runner/host-warnings.ts';
import { readPanicMark } from '../state/panic.ts';
import type { PanicMark } from '../state/panic.ts';
import { armApply, disarmUnchanged, finishIfUndone, undoFailed } from './apply-guarded.ts';
import { checkOperator, preview } from './apply-preview.ts';
import { CommandError, EXIT } from './exit.ts';
import { refuseWhileWaiting, seconds, undoParts, whoAmI } from './guarded.ts';
import { keepGoodState } from './keep.ts';
import { loadManifests } from './load.ts';
import type { Loaded } from './load.ts';
import { configOption, manifestsOption, netnsOption, nodeOption, outputOption } from './options.ts';
import type { ConfiguredOptions, OutputFormat } from './options.ts';
import { loadSettings } from './settings.ts';
import { hasErrors, printIssues, printJson, printLine } from './report.ts';
import type { ReportedIssue } from './report.ts';

interface ApplyOptions extends ConfiguredOptions {
  readonly dryRun: boolean;
  readonly force: boolean;
  /** Milliseconds. */
  readonly confirm: number | undefined;
}

export function applyCommand(): Command {
  return new Command('apply')
    .summary('compile the manifests and apply them once')
    .description(
      'Reads the manifests, compiles the policies of the endpoints on this node and applies them in one nf_tables\n' +
        'transaction to the table "inet picket"; large new address sets are filled before. Sends only what differs\n' +
        'from what the kernel has. The rules stay enforced until the next apply or cleanup, and are loaded again at boot.',
    )
    .addOption(
      new Option('--dry-run', 'say what would change, and whom it would deny').default(false),
    )
    .addOption(confirmOption())
    .addOption(
      new Option('--force', 'even if it denies the connection that you are on').default(false),
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(nodeOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
With --confirm a process of its own undoes the change, to exactly the rules before, unless somebody says picket confirm
in time: from a new connection, to see that there still can be one. It does so too when apply is killed. Counters start
at zero then. An emergency: picket panic-open.

--dry-run reads the rules in force and the tracked connections, and changes nothing: which objects of the table would
change, and which connections would be denied if they were new, with the rule that decides. Tracked ones that stand are
never cut; others may be: before the first rules the kernel tracks none, and takes what goes on for new.

Exit codes: 0 applied, or --dry-run; 1 nothing applied, the rules in force are unchanged; 2 usage;
            3 nothing applied: the connection that you are on by ssh could not be made again (see --force);
            4 applied but degraded: parts were invalid or refused and are enforced fail closed.

Example:
  picket apply --manifests /etc/picket/policies --node "$(hostname)" --confirm 60s`,
    )
    .action(async (options: ApplyOptions) => {
      process.exitCode = await apply(options);
    });
}

function confirmOption(): Option {
  return new Option(
    '--confirm <time>',
    'undo the change when nobody says picket confirm for so long, like 60s or 5m',
  ).argParser((text) => {
    const ms = toDurationMs(text);
    if (ms === undefined) throw new InvalidArgumentError(`Write ${DURATION_FORM}.`);
    return ms;
  });
}

async function apply(options: ApplyOptions): Promise<number> {
  const config = loadSettings(options, ['manifests', 'node']);
  const native = loadNative();
  const parts = undoParts(config, native);
  if (!options.dryRun) refuseInEmergency(parts);
  const dataplane = new NetlinkDataplane(native, config.netns);
  try {
    if (!options.dryRun) refuseWhileWaiting(await settleOverdue(parts));
    const yielding = yieldToOpening(dataplane, parts.directories, refuseOpen);
    const loaded = await loadManifests(config, yielding);
    const { engine, issues, objects } = loaded;
    printIssues(issues, options.output);
    if (objects === 0) throw nothingToApply(config.manifests, issues);
    for (const text of hostWarnings(engine.store.resources(), config.node)) {
      process.stderr.write(`warning: ${text}\n`);
    }
    const network = await readHostNetwork(native, config.netns);
    engine.setNetwork(network);
    engine.compile();
    for (const text of placementWarnings(engine.hostEndpoints(), network)) {
      process.stderr.write(`warning: ${text}\n`);
    }
    const before = { config, native, engine, network };
    if (options.dryRun) return await preview(before, issues, options.output);
    await checkOperator(before, options.force || options.confirm !== undefined);
    const { report, waiting } = await enforce(config, parts, loaded, options.confirm);
    await forgetConnections(native, config.netns, report);
    const exitCode = printReport(engine, report, issues, {
      node: config.node,
      output: options.output,
      waiting,
      isGuarded: options.confirm !== undefined,
    });
    return exitCode;
  } finally {
    dataplane.close();
  }
}

function refuseInEmergency({ directories }: UndoParts): void {
  const panic = readPanicMark(directories);
  if (panic !== undefined) refuseOpen(panic);
}

function refuseOpen({ path, sinceMs }: PanicMark): never {
  const since = new Date(sinceMs).toISOString();
  throw new CommandError(
    `nothing applied: opened in an emergency at ${since} (${path}). To enforce again say first: picket panic-open --undo`,
  );
}

/** With the guard armed before, where that was asked for. */
async function enforce(
  config: Config,
  parts: UndoParts,
  { engine }: Loaded,
  confirmMs: number | undefined,
): Promise<{ readonly report: ApplyReport; readonly waiting: PendingSnapshot | undefined }> {
  const tried = digestsOf(engine.store.resources(), config.node);
  const origin = whoAmI('apply', config);
  const change =
    confirmMs === undefined ? undefined : await armApply(config, parts, { confirmMs, tried });
  let report: ApplyReport;
  try {
    report = await engine.apply();
  } catch (error) {
    if (change !== undefined) await undoFailed(parts, change);
    throw error;
  }
  if (change !== undefined && report.transactions > 0) await finishIfUndone(parts, change);
  await forgetUndone(parts.directories.run);
  if (change === undefined) {
    const sinceMs = Date.now();
    const { run } = parts.directories;
    await noteEnforcedOrigin(run, { source: 'apply', sinceMs, stateMs: undefined, text: origin });
    await keepGoodState(config, parts, origin, tried.host);
    return { report, waiting: undefined };
  }
  if (report.transactions === 0) {
    await disarmUnchanged(parts, change);
    return { report, waiting: undefined };
  }
  return { report, waiting: change };
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
  options: {
    readonly node: string;
    readonly output: OutputFormat;
    readonly waiting: PendingSnapshot | undefined;
    /** Whether it was to be confirmed. */
    readonly isGuarded: boolean;
  },
): number {
  const degraded = hasErrors(issues) || report.quarantined.length > 0;
  const leftMs = options.waiting && timeLeft(options.waiting);
  const counts = {
    endpoints: engine.endpoints().length,
    hostEndpoints: engine.hostEndpoints().length,
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
      undoneInMs: leftMs,
    });
  } else {
    for (const refusal of report.quarantined) {
      process.stderr.write(`quarantined: ${printRefusal(refusal)}\n`);
    }
    printLine(describe(report, counts, options.node));
    if (leftMs !== undefined) {
      printLine(
        `undone in ${seconds(leftMs)}, unless you say from a new connection: picket confirm`,
      );
    } else if (options.isGuarded) printLine('nothing waits for picket confirm');
  }
  return degraded ? EXIT.degraded : EXIT.good;
}

function timeLeft({ header }: PendingSnapshot): number {
  return Math.max(0, header.pending.deadlineMs - monotonicMs());
}

function describe(
  report: ApplyReport,
  counts: { endpoints: number; hostEndpoints: number; chains: number; sets: number },
  node: string,
): string {
  const operations = Object.values(report.operations).reduce((sum, count) => sum + count, 0);
  const transactions = `${report.transactions} transaction${report.transactions === 1 ? '' : 's'}`;
  const hosts = counts.hostEndpoints;
  const some = [
    ...(counts.endpoints > 0 || hosts === 0
      ? [`${counts.endpoints} endpoint${counts.endpoints === 1 ? '' : 's'}`]
      : []),
    ...(hosts === 0 ? [] : [`${hosts} host endpoint${hosts === 1 ? '' : 's'}`]),
  ];
  const governed = `${some.join(' and ')} of node ${node}`;
  return operations === 0
    ? `unchanged: ${governed}, ${counts.chains} chains, ${counts.sets} sets are in the kernel already`
    : `applied: ${governed}, ${counts.chains} chains, ${counts.sets} sets; ${operations} operations in ${transactions}`;
}
