/** Before `picket apply`: what would change, which connections would be denied, and whether the operator's own is one of them. */
import { readFileSync } from 'node:fs';
import type { Config } from '../config/keys.ts';
import type { HostNetwork } from '../endpoints/placement.ts';
import type { Engine } from '../engine/engine.ts';
import { changesOf, printChanges } from '../guard/changes.ts';
import type { Change } from '../guard/changes.ts';
import { findDenied, printConnection } from '../guard/denied.ts';
import type { DeniedConnection } from '../guard/denied.ts';
import { openJudge, openReach } from '../guard/judge.ts';
import type { Judge } from '../guard/judge.ts';
import { findOperator, SSH_PORT, toConnection } from '../guard/operator.ts';
import { establishedConnections, listeningPorts, withoutTracked } from '../guard/sockets.ts';
import type { Native } from '../native/native.ts';
import { listConnections } from '../netlink/connections.ts';
import type { Connection } from '../netlink/connections.ts';
import { desiredTable } from '../state/batch.ts';
import { readTable, withNetfilter } from '../state/load.ts';
import { CommandError, EXIT } from './exit.ts';
import type { OutputFormat } from './options.ts';
import { printJson, printLine } from './report.ts';
import type { ReportedIssue } from './report.ts';
import { oracleConfig } from './scene.ts';

/** Connections that are judged: the oracle is slow, and a thousand denials say what ten thousand would. */
const MAX_JUDGED = 5_000;

/** Denied connections that people see; the rest is counted. */
const MAX_PRINTED = 50;

export interface PreviewParts {
  readonly config: Config;
  readonly native: Native;
  /** Has taken the manifests. */
  readonly engine: Engine;
  readonly network: HostNetwork;
}

/** `--dry-run`. Reads the kernel and changes nothing. */
export async function preview(
  parts: PreviewParts,
  issues: readonly ReportedIssue[],
  output: OutputFormat,
): Promise<number> {
  const { config, native, engine } = parts;
  const desired = desiredTable(engine.compile());
  const changes = changesOf(await readTable(native, config.netns), desired);
  const connections = await withNetfilter(native, config.netns, listConnections);
  // Sockets of another namespace than ours are not to be seen.
  const standing = config.netns === '' ? establishedConnections(readText) : [];
  const tracked = await judgeAll(parts, connections);
  const untracked = await judgeAll(parts, withoutTracked(standing, connections));
  if (output === 'json') {
    printJson({ applied: false, changes, ...tracked, untracked, issues });
    return EXIT.good;
  }
  printText(changes, tracked, untracked);
  return EXIT.good;
}

interface Judged {
  readonly connections: number;
  readonly judged: number;
  readonly denied: readonly DeniedConnection[];
}

function judgeAll(parts: PreviewParts, connections: readonly Connection[]): Promise<Judged> {
  const some = connections.slice(0, MAX_JUDGED);
  return withJudge(parts, async (judge) => {
    const denied = await findDenied(judge, some);
    return { connections: connections.length, judged: some.length, denied };
  });
}

function printText(changes: readonly Change[], tracked: Judged, untracked: Judged): void {
  for (const line of printChanges(changes)) printLine(line);
  const objects = `${changes.length} object${changes.length === 1 ? '' : 's'}`;
  printLine(changes.length === 0 ? 'nothing would change' : `${objects} would change`);
  printDenied(tracked, 'tracked connections', '; those that stand go on:');
  if (untracked.connections > 0) {
    printDenied(untracked, 'TCP connections that are not tracked yet', ', and may be CUT:');
  }
}

function printDenied({ connections, judged, denied }: Judged, what: string, some: string): void {
  const of = judged === connections ? `${judged}` : `the first ${judged} of ${connections}`;
  const more = denied.length === 0 ? '' : some;
  printLine(`${denied.length} of ${of} ${what} would be denied if they were new${more}`);
  for (const { connection, by } of denied.slice(0, MAX_PRINTED)) {
    printLine(`  ${connection}: by ${by}`);
  }
  if (denied.length > MAX_PRINTED) printLine(`  … and ${denied.length - MAX_PRINTED} more`);
}

async function withJudge<T>(
  { config, native, engine }: PreviewParts,
  use: (judge: Judge) => Promise<T>,
): Promise<T> {
  const { node, netns } = config;
  const { reach, close } = await openReach(native, netns);
  // Which interfaces belong to workloads is known once their endpoints are.
  engine.compile();
  const { store } = engine;
  const interfaces = engine.interfaces();
  const oracle = oracleConfig(config);
  try {
    return await use(openJudge({ store, node, oracle, interfaces, reach }));
  } finally {
    close();
  }
}

/**
 * Throws CommandError with exit code 3 where the connection that the operator is on could not be made again. `isSafe` = the change is undone
 * by itself, or the operator insists: then it is said, and done. In another namespace than ours there is no operator.
 */
export async function checkOperator(parts: PreviewParts, isSafe: boolean): Promise<void> {
  if (parts.config.netns !== '') return;
  const said = findOperator(process.env);
  const connection = said === undefined ? undefined : toConnection(said);
  if (connection === undefined) return warnOfSshPort(parts);
  const denial = await withJudge(parts, async (judge) => {
    return (await judge.denialOf(connection)) ?? (await judge.denialOfReply(connection));
  });
  if (denial === undefined) return;
  const text = `the connection that you are on, ${printConnection(connection)}, would be denied by ${denial.by}`;
  if (isSafe) {
    process.stderr.write(`warning: ${text}\n`);
    return;
  }
  throw new CommandError(
    `nothing applied: ${text}. To try it all the same: --confirm 60s, which undoes it when you are cut off, or --force`,
    EXIT.denied,
  );
}

/** Nobody is here by ssh, but somebody may want to be: a connection from nowhere in particular. */
async function warnOfSshPort(parts: PreviewParts): Promise<void> {
  const address = [...parts.network.addresses]
    .filter(([name]) => name !== 'lo')
    .flatMap(([, texts]) => [...texts])
    .find((text) => /^\d+\.\d+\.\d+\.\d+$/.test(text));
  const connection =
    address === undefined || !listeningPorts(readText).has(SSH_PORT)
      ? undefined
      : toConnection(`${ANYBODY} 40000 ${address} ${SSH_PORT}`);
  if (connection === undefined) return;
  const denial = await withJudge(parts, (judge) => judge.denialOf(connection));
  if (denial === undefined) return;
  process.stderr.write(
    `warning: sshd listens here, and connections to it from addresses that no policy names would be denied by ${denial.by}\n`,
  );
}

/** TEST-NET-2 (RFC 5737). */
const ANYBODY = '198.51.100.1';

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
