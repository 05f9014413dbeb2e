/** What the commands around confirmation have in common: where the files are, how the guard is started, what is said of it. */
import manifest from '../../package.json' with { type: 'json' };
import { printConfigIssue, resolveConfig } from '../config/config.ts';
import type { ResolvedConfig } from '../config/config.ts';
import type { Config } from '../config/keys.ts';
import type { UndoParts, Waiting } from '../guard/undo.ts';
import type { Undone } from '../guard/pending.ts';
import { spawnSelf } from '../guard/arm.ts';
import type { StartGuard } from '../guard/arm.ts';
import type { Native } from '../native/native.ts';
import { directoryOf } from '../state/files.ts';
import type { Directories } from '../state/panic.ts';
import type { SnapshotHeader } from '../state/snapshot.ts';
import { CommandError } from './exit.ts';
import { readSettings } from './settings.ts';
import type { KeyFlags, SettingsOptions } from './settings.ts';

export function directoriesOf(config: Config): Directories {
  const { runDirectory, stateDirectory, netns } = config;
  return { run: directoryOf(runDirectory, netns), state: directoryOf(stateDirectory, netns) };
}

export function undoParts(config: Config, native: Native): UndoParts {
  return { native, netns: config.netns, directories: directoriesOf(config), now: Date.now };
}

/** `origin` is like `apply by uid 0 on /etc/picket/policies`. */
export function headerOf({ node }: Config, origin: string): SnapshotHeader {
  return { version: manifest.version, node, createdMs: Date.now(), origin };
}

export function whoAmI(command: string, { manifests }: Config): string {
  return `${command} by uid ${process.getuid?.() ?? '?'} on ${manifests}`;
}

/** The guard gets its directories and namespace by its command line alone: what configuration says may change meanwhile. */
export function guardStarter(config: Config): StartGuard {
  const { runDirectory, stateDirectory, netns } = config;
  const where = ['--run-directory', runDirectory, '--state-directory', stateDirectory];
  return (id) =>
    spawnSelf(['guard', '--id', id, ...where, ...(netns === '' ? [] : ['--netns', netns])]);
}

/** Throws where a change still waits: nothing else may be changed meanwhile. Tells of what was found undone. */
export function refuseWhileWaiting(waiting: Waiting): void {
  if (waiting.kind === 'waiting') {
    const { origin } = waiting.pending.header;
    throw new CommandError(
      `nothing applied: another change (${origin}) waits for its confirmation, ${seconds(waiting.leftMs)} more. ` +
        'Say first: picket confirm, or picket confirm --undo',
    );
  }
  warnOf(waiting);
}

function warnOf(waiting: Waiting): void {
  if (waiting.kind === 'undone')
    process.stderr.write(`warning: ${describeUndone(waiting.undone)}\n`);
  if (waiting.kind === 'unusable') {
    process.stderr.write(
      `warning: a change that waited for its confirmation is forgotten: ${waiting.message}\n`,
    );
  }
}

export function describeUndone({ why, atMs }: Undone): string {
  const reason =
    why === 'deadline' ? 'nobody confirmed it in time' : 'picket confirm --undo was said';
  return `the last change was undone at ${new Date(atMs).toISOString()}: ${reason}`;
}

export function seconds(ms: number): string {
  return `${Math.max(0, Math.ceil(ms / 1000))} s`;
}

/**
 * For commands that must work when nothing else does: what is wrong with the configuration is told, and the default counts instead. A file
 * that cannot be read is as good as none.
 */
export function settingsAnyway(options: SettingsOptions & KeyFlags): Config {
  const { config, issues } = readAnyway(options);
  for (const issue of issues) process.stderr.write(`warning: ${printConfigIssue(issue)}\n`);
  return config;
}

function readAnyway(options: SettingsOptions & KeyFlags): ResolvedConfig {
  try {
    return readSettings(options);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    process.stderr.write(`warning: ${error.message}; what it would say counts as not said\n`);
    const { node, manifests, netns } = options;
    return resolveConfig({ file: undefined, env: process.env, flags: { node, manifests, netns } });
  }
}
