/** Questions of a command to the running agent: errors become those of the command line. */
import { askAgent, ControlError, followAgent } from '../control/client.ts';
import { controlSocketPath } from '../control/socket-path.ts';
import type { Config } from '../config/keys.ts';
import { CommandError, EXIT } from './exit.ts';

export type Query = Readonly<Record<string, string | undefined>>;

export function socketOf({ runDirectory, netns }: Config): string {
  return controlSocketPath(runDirectory, netns);
}

/** Throws CommandError. `hint` says what helps when no agent runs. */
export async function ask(
  config: Config,
  path: string,
  query: Query = {},
  hint = 'start one with picket run',
): Promise<unknown> {
  try {
    return await askAgent(socketOf(config), path, query);
  } catch (error) {
    throw toCommandError(error, hint);
  }
}

/** All rows of a long answer. Throws CommandError. */
export async function askRows(
  config: Config,
  path: string,
  hint: string,
  query: Query = {},
): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const row of streamRows(config, path, query, hint)) rows.push(row);
  return rows;
}

/** Each row of a long answer, as it comes. Throws CommandError. */
export async function* streamRows(
  config: Config,
  path: string,
  query: Query,
  hint: string,
): AsyncGenerator {
  const { signal } = new AbortController();
  try {
    yield* followAgent(socketOf(config), path, query, signal);
  } catch (error) {
    throw toCommandError(error, hint);
  }
}

/** As `ask` does; anything else than a ControlError is our own bug and goes on. */
export function toCommandError(error: unknown, hint: string): unknown {
  if (!(error instanceof ControlError)) return error;
  const more = error.fault === 'not-running' ? `; ${hint}` : '';
  return new CommandError(`${error.message}${more}`, EXIT.failed, { cause: error });
}
