/** `picket confirm`: keeps a change that waits for it, or undoes it at once. */
import { Command, Option } from 'commander';
import {
  claimToKeep,
  claimToUndo,
  dropConfirmed,
  readConfirmed,
  readUndone,
} from '../guard/pending.ts';
import type { PendingSnapshot, Undone } from '../guard/pending.ts';
import { finishUndoing, isOfAnotherBoot, settleOverdue } from '../guard/undo.ts';
import type { UndoParts } from '../guard/undo.ts';
import type { Config } from '../config/keys.ts';
import { loadNative } from '../native/native.ts';
import { noteEnforcedOrigin } from '../state/origin.ts';
import { CommandError, EXIT } from './exit.ts';
import { describeUndone, settingsAnyway, undoParts, whoAmI } from './guarded.ts';
import { keepGoodState } from './keep.ts';
import { configOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';

interface ConfirmOptions extends ConfiguredOptions {
  readonly undo: boolean;
}

export function confirmCommand(): Command {
  return new Command('confirm')
    .summary('keep a change that waits for its confirmation, or undo it')
    .description(
      'After picket apply --confirm 60s, or a change that picket run makes with confirmHostPolicyChanges: says that you can\n' +
        'still reach the machine. The change stays, and becomes the state that is loaded at boot.',
    )
    .addOption(new Option('--undo', 'go back to the state before, now').default(false))
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 the change stays (with --undo: it is undone); 1 nothing waits, or it is too late.

Example:
  picket apply --manifests /etc/picket/policies --confirm 60s
  picket confirm                # from a new connection, before the 60 s are over`,
    )
    .action(async (options: ConfirmOptions) => {
      process.exitCode = await confirm(options);
    });
}

async function confirm(options: ConfirmOptions): Promise<number> {
  // What waits is undone where nobody can confirm it: a key that is misspelled since must not decide that.
  const config = settingsAnyway(options);
  const parts = undoParts(config, loadNative());
  const waiting = await settleOverdue(parts);
  if (waiting.kind === 'undone') throw tooLate(waiting.undone);
  if (waiting.kind === 'unusable') {
    throw new CommandError(`nothing is confirmed: ${waiting.message}; the rules in force stay`);
  }
  if (waiting.kind === 'nothing') {
    const confirmed = options.undo ? undefined : readConfirmed(parts.directories.run);
    if (confirmed === undefined || isOfAnotherBoot(confirmed)) throw nothingWaits(parts);
    return finish(config, parts, confirmed, options);
  }
  return options.undo
    ? undo(parts, waiting.pending, options)
    : keep(config, parts, waiting.pending, options);
}

async function keep(
  config: Config,
  parts: UndoParts,
  change: PendingSnapshot,
  options: ConfirmOptions,
): Promise<number> {
  const { id } = change.header.pending;
  if (!(await claimToKeep(parts.directories.run, id))) throw nothingWaits(parts);
  return finish(config, parts, change, options);
}

/** Also when whoever confirmed did not live to keep what was confirmed for the next boot. */
async function finish(
  config: Config,
  parts: UndoParts,
  { header }: PendingSnapshot,
  { output }: ConfirmOptions,
): Promise<number> {
  const { run } = parts.directories;
  const text = whoAmI('confirmed', config);
  await noteEnforcedOrigin(run, { source: 'apply', sinceMs: Date.now(), stateMs: undefined, text });
  await keepGoodState(config, parts, text, header.pending.tried.host);
  await dropConfirmed(run);
  if (output === 'json') printJson({ confirmed: true });
  else printLine('confirmed: the change stays');
  return EXIT.good;
}

async function undo(
  parts: UndoParts,
  { header }: PendingSnapshot,
  { output }: ConfirmOptions,
): Promise<number> {
  if (!(await claimToUndo(parts.directories.run, header.pending.id))) throw nothingWaits(parts);
  await finishUndoing(parts, 'asked');
  if (output === 'json') printJson({ undone: true });
  else printLine('undone: the kernel has the rules again that it had before the change');
  return EXIT.good;
}

function nothingWaits({ directories }: UndoParts): CommandError {
  const undone = readUndone(directories.run);
  return undone === undefined
    ? new CommandError('no change waits for its confirmation')
    : tooLate(undone);
}

function tooLate(undone: Undone): CommandError {
  return new CommandError(
    `no change waits for its confirmation: ${describeUndone(undone)}`,
    EXIT.failed,
    {
      details: { confirmed: false, undone },
    },
  );
}
