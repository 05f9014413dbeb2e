/** The command line: runs the command that was given, and turns whatever ends it into an exit code and a message. */
import { writeFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import type { Command } from 'commander';
import { AgentError } from '../errors.ts';
import { ApplyError } from '../engine/engine.ts';
import { plainText } from '../obs/plain-text.ts';
import { isSystemError } from '../state/files.ts';
import { CommandError, EXIT } from './exit.ts';
import { program } from './program.ts';
import { printLine } from './report.ts';

/** The command that was given was told to answer as JSON. */
function wantsJson(root: Command): boolean {
  const command = root.commands.find((each) => each.name() === root.args[0]);
  return command?.opts()['output'] === 'json';
}

/** Exit code and text of anything that ends a command early. */
function ending(error: unknown): { exitCode: number; message: string | undefined } {
  if (error instanceof CommanderError) {
    return { exitCode: error.exitCode === 0 ? EXIT.good : EXIT.usage, message: undefined };
  }
  if (error instanceof CommandError) return { exitCode: error.exitCode, message: error.message };
  if (error instanceof AgentError) return { exitCode: EXIT.failed, message: error.message };
  if (error instanceof ApplyError) {
    const message = `the kernel refused the transaction, the rules in force are unchanged: ${error.message}`;
    return { exitCode: EXIT.failed, message };
  }
  if (isSystemError(error)) return { exitCode: EXIT.failed, message: explainRefused(error) };
  throw error;
}

/** `EACCES: permission denied, unlink '/run/picket/pending'; run as root`. */
function explainRefused({ code, message }: NodeJS.ErrnoException): string {
  const isRight = code === 'EACCES' || code === 'EPERM';
  return isRight ? `${message}; run as root` : message;
}

/**
 * Under our own name in `ps` and in what the kernel says of who changed a table; Node.js calls itself MainThread. Not by process.title, which
 * writes over the arguments.
 */
function takeName(): void {
  try {
    writeFileSync('/proc/self/comm', 'picket');
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

// Whoever reads our output may stop early, like `picket compile … | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

takeName();
const root = program();
try {
  if (process.argv.length <= 2) {
    root.outputHelp();
    process.exitCode = EXIT.usage;
  } else await root.parseAsync();
} catch (error) {
  const { exitCode, message } = ending(error);
  if (message !== undefined) {
    process.stderr.write(`picket: ${plainText(message)}\n`);
    const details = error instanceof CommandError ? error.details : {};
    // One line, so that it fits behind the log of `run` too.
    if (wantsJson(root)) printLine(JSON.stringify({ error: message, ...details }));
  }
  process.exitCode = exitCode;
}
