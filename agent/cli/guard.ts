/** `picket guard`: what apply and run start before a change that has to be confirmed. Not for people; its help says so. */
import { Command, Option } from 'commander';
import { guard } from '../guard/guard.ts';
import { loadNative } from '../native/native.ts';
import type { Native } from '../native/native.ts';
import { plainLine } from '../obs/plain-text.ts';
import { directoryOf } from '../state/files.ts';
import { EXIT } from './exit.ts';
import { printLine } from './report.ts';

interface GuardOptions {
  readonly id: string;
  readonly runDirectory: string;
  readonly stateDirectory: string;
  readonly netns: string;
}

export function guardCommand(): Command {
  return new Command('guard')
    .summary('undo a change that nobody confirms (started by apply and run)')
    .description(
      'Started by apply --confirm and by run, before the change: it waits outside of them, and brings back the state before\n' +
        'when nobody says picket confirm in time. Killing it confirms nothing: the next apply, confirm or run undoes the change.',
    )
    .addOption(new Option('--id <id>', 'the change').makeOptionMandatory())
    .addOption(new Option('--run-directory <dir>', 'where it waits').makeOptionMandatory())
    .addOption(
      new Option('--state-directory <dir>', 'of the last good state').makeOptionMandatory(),
    )
    .addOption(new Option('--netns <path>', 'network namespace to work in').default(''))
    .action(async ({ id, runDirectory, stateDirectory, netns }: GuardOptions) => {
      // Whoever locks out an operator closes the terminal too, and a service manager that stops an agent means the agent.
      for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
        process.on(signal, () => undefined);
      }
      // Whoever started it does not read on.
      for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
      const directories = {
        run: directoryOf(runDirectory, netns),
        state: directoryOf(stateDirectory, netns),
      };
      const native = loadNative();
      const parts = { native, netns, directories, now: Date.now };
      await guard(parts, id, sayReady, (text) => tellSystem(native, text));
      process.exitCode = EXIT.good;
    });
}

function sayReady(): void {
  printLine('ready');
}

/** RFC 3164: facility daemon, severity error. */
const SYSLOG_PRIORITY = 3 * 8 + 3;

/** Nobody reads what a detached process writes, so to the system's log too, where there is one. */
function tellSystem(native: Native, text: string): void {
  process.stderr.write(`${text}\n`);
  // A log that is not there, or full, is no reason to stop undoing.
  native.sendUnixDatagram(
    '/dev/log',
    Buffer.from(`<${SYSLOG_PRIORITY}>picket[${process.pid}]: ${plainLine(text)}`),
  );
}
