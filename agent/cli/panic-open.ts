/**
 * `picket panic-open`: opens at once, whatever else is broken, and keeps it open until it is undone. Wants no valid configuration, no running
 * agent, no room on any disk; without the addon it falls back to the nft command.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Command, Option } from 'commander';
import type { Config } from '../config/keys.ts';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { dropPending, dropUndoing, isPending, isUndoing } from '../guard/pending.ts';
import { loadNative } from '../native/native.ts';
import { explainSystemError } from '../state/files.ts';
import { readLastGood } from '../state/last-good.ts';
import { readTable, sendBatch, withNetfilter } from '../state/load.ts';
import { noteEnforcedOrigin } from '../state/origin.ts';
import { leavePanicMark, readPanicMark, removePanicMark } from '../state/panic.ts';
import type { Directories } from '../state/panic.ts';
import { CommandError, EXIT } from './exit.ts';
import { directoriesOf, settingsAnyway } from './guarded.ts';
import { runningAgent } from './lock.ts';
import { configOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';

interface PanicOptions extends ConfiguredOptions {
  readonly undo: boolean;
}

/** Where the nft command is, the likely place first. */
const NFT = ['/usr/sbin/nft', '/sbin/nft', 'nft'];

export function panicOpenCommand(): Command {
  return new Command('panic-open')
    .summary('emergency: open everything at once, until it is undone')
    .description(
      'Deletes the table "inet picket" and leaves a mark: a running picket run does not repair, picket apply refuses, and\n' +
        'nothing is loaded at boot, until picket panic-open --undo. From then on Picket protects nothing on this machine.\n' +
        'Works with a broken configuration, without a running agent, on a full disk. Changes that wait for their\n' +
        'confirmation are forgotten. Other tables are not touched.',
    )
    .addOption(new Option('--undo', 'enforce again: the last good state at once').default(false))
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 open (with --undo: enforced again); 1 not so, see the message.`,
    )
    .action(async (options: PanicOptions) => {
      // The connection that it was said on may be cut, and its terminal with it.
      process.on('SIGHUP', () => undefined);
      process.stderr.on('error', () => undefined);
      const config = settingsAnyway(options);
      process.exitCode = await (options.undo ? close(config, options) : open(config, options));
    });
}

async function open(config: Config, { output }: PanicOptions): Promise<number> {
  const directories = directoriesOf(config);
  // The mark first: an agent that sees the table go looks for it.
  const mark = leavePanicMark(directories);
  for (const failure of mark.failures) process.stderr.write(`warning: no mark at ${failure}\n`);
  await openTable(config, directories);
  process.stderr.write(
    '\nPICKET IS OPEN: nothing is enforced on this machine any more.\n' +
      'To enforce the last good state again: picket panic-open --undo\n\n',
  );
  const agent = await runningAgent(config.netns).catch(() => undefined);
  if (mark.path === undefined) process.stderr.write(`warning: ${notMarked(agent)}\n`);
  if (output === 'json') printJson({ open: true, mark: mark.path, agent });
  else printLine('open: table inet picket is gone');
  return EXIT.good;
}

function notMarked(agent: number | undefined): string {
  const again =
    agent === undefined ? 'the next picket run' : `picket run (process ${agent}) is there, it`;
  return `no mark could be left: ${again} puts the rules back. Stop it: systemctl stop picket`;
}

/** In this order: until it is open, a change that waits has a guard, which looks for the mark and opens too. */
async function openTable({ netns }: Config, directories: Directories): Promise<void> {
  await deleteTable(netns);
  await forgetPending(directories);
}

/** The guard of a change ends by itself without its file. */
async function forgetPending({ run }: Directories): Promise<void> {
  try {
    await dropPending(run);
    await dropUndoing(run);
  } catch (error) {
    const why = explainSystemError(error);
    process.stderr.write(`warning: a change that waits for its confirmation stays: ${why}\n`);
  }
}

async function deleteTable(netns: string): Promise<void> {
  let problem: unknown;
  try {
    const dataplane = new NetlinkDataplane(loadNative(), netns);
    try {
      const result = await dataplane.commit([{ op: 'delete-table', origin: 'table inet picket' }]);
      if (result.ok || result.refusals.every(({ errnoName }) => errnoName === 'ENOENT')) return;
      problem = result.refusals[0]?.errnoName;
    } finally {
      dataplane.close();
    }
  } catch (error) {
    problem = error;
  }
  process.stderr.write(`warning: not by netlink (${firstLine(problem)}), trying the nft command\n`);
  await deleteByNft(netns, problem);
}

async function deleteByNft(netns: string, before: unknown): Promise<void> {
  const enter = netns === '' ? [] : ['nsenter', `--net=${netns}`];
  let problem = before;
  for (const nft of NFT) {
    // Added first, so that it can be deleted.
    const words = [...enter, nft, 'add table inet picket; delete table inet picket'];
    const [file = nft, ...args] = words;
    try {
      await promisify(execFile)(file, args);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') problem = error;
    }
  }
  throw new CommandError(
    `table inet picket is still there: ${firstLine(problem)}. By hand: nft delete table inet picket`,
    EXIT.failed,
    { cause: problem },
  );
}

function firstLine(problem: unknown): string {
  const text = problem instanceof Error ? problem.message : String(problem);
  return text.split('\n')[0] ?? '';
}

const AGAIN = 'enforced again: the last good state';
const NOT_OPEN = 'it was not opened by panic-open: rules are in force';

async function close(config: Config, { output }: PanicOptions): Promise<number> {
  const directories = directoriesOf(config);
  const { run } = directories;
  const wasOpen = readPanicMark(directories) !== undefined;
  // Opened by half: what is in force is a change that nobody confirmed.
  if (wasOpen && (isPending(run) || isUndoing(run))) await openTable(config, directories);
  // First the rules: nobody would be told of an opening without a mark.
  const restored = await restoreLastGood(config, directories).catch(firstLine);
  try {
    removePanicMark(directories);
  } catch (error) {
    const why = `the mark cannot be removed, so that picket run and apply are held: ${explainSystemError(error)}`;
    const now = restored === undefined ? 'the last good state is enforced, but ' : 'still open: ';
    throw new CommandError(`${now}${why}`, EXIT.failed, { cause: error });
  }
  const agent = await runningAgent(config.netns);
  if (output === 'json')
    printJson({ open: false, wasOpen, restored: restored === undefined, agent });
  else if (restored === undefined) printLine(wasOpen ? AGAIN : NOT_OPEN);
  if (restored === undefined) return EXIT.good;
  if (agent !== undefined) {
    if (output === 'text') printLine(`picket run (process ${agent}) enforces again by itself`);
    return EXIT.good;
  }
  const now = wasOpen
    ? 'no longer open, but nothing'
    : 'it was not opened by panic-open, and nothing';
  throw new CommandError(`${now} is enforced: ${restored}. Say: picket apply`);
}

/** Why it was not; `undefined` = it was, or there are rules already. */
async function restoreLastGood(
  { netns }: Config,
  directories: Directories,
): Promise<string | undefined> {
  const native = loadNative();
  if ((await readTable(native, netns)) !== undefined) return undefined;
  const read = readLastGood(directories.state);
  if (!read.ok) return `there is no usable last good state: ${read.message}`;
  const { header, batch } = read.snapshot;
  await withNetfilter(native, netns, (socket) => sendBatch(socket, batch));
  const { createdMs: stateMs, origin: text } = header;
  await noteEnforcedOrigin(directories.run, { source: 'undo', sinceMs: Date.now(), stateMs, text });
  return undefined;
}
