/** `picket boot`: brings back the last good state before the network comes up. Reads no manifests; knows no policies. */
import { Command } from 'commander';
import type { Config } from '../config/keys.ts';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { ApplyError } from '../engine/engine.ts';
import { AgentError } from '../errors.ts';
import { fallbackOperations } from '../guard/fallback.ts';
import { loadNative } from '../native/native.ts';
import type { Native } from '../native/native.ts';
import { governedHost, readLastGood } from '../state/last-good.ts';
import { readTable, sendBatch, withNetfilter } from '../state/load.ts';
import { noteEnforcedOrigin } from '../state/origin.ts';
import { readPanicMark } from '../state/panic.ts';
import type { Directories } from '../state/panic.ts';
import { CommandError, EXIT } from './exit.ts';
import { directoriesOf, settingsAnyway } from './guarded.ts';
import { configOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';
import { engineConfig } from './settings.ts';

export function bootCommand(): Command {
  return new Command('boot')
    .summary('load the last good state, before the network comes up')
    .description(
      'Loads what picket apply and picket run kept below stateDirectory, in one transaction; needs no manifests. A table\n' +
        '"inet picket" that is there already is left alone. Where the state is missing or damaged and the host itself was\n' +
        'governed, built-in rules are loaded: failsafe ports, ping, DHCP and what keeps IPv6 alive, until picket run or\n' +
        'apply takes over. Where it was not governed, nothing is.',
    )
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 the state is loaded, or nothing was to do; 1 nothing could be loaded; 4 the built-in rules are loaded, or an
            emergency opening is in force (picket panic-open --undo).`,
    )
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await boot(options);
    });
}

export interface Booted {
  readonly loaded: 'state' | 'fallback' | 'nothing';
  readonly why: string;
  readonly exitCode: number;
  /** Of a state. */
  readonly ageMs?: number;
  readonly origin?: string;
  readonly node?: string;
}

async function boot(options: ConfiguredOptions): Promise<number> {
  const config = settingsAnyway(options);
  const booted = await bootFrom(config, directoriesOf(config), loadNative());
  const { exitCode, ...told } = booted;
  if (options.output === 'json') printJson(told);
  else printLine(`${booted.loaded} loaded: ${booted.why}`);
  return exitCode;
}

/** Whatever the files below `directories` are like. Throws AgentError and CommandError of the kernel alone. */
export async function bootFrom(
  config: Config,
  directories: Directories,
  native: Native,
): Promise<Booted> {
  const { netns } = config;
  const panic = readPanicMark(directories);
  if (panic !== undefined) {
    const since = new Date(panic.sinceMs).toISOString();
    const why = `opened in an emergency at ${since} (${panic.path}); to enforce again: picket panic-open --undo`;
    return { loaded: 'nothing', why, exitCode: EXIT.degraded };
  }
  if ((await readTable(native, netns)) !== undefined) {
    return { loaded: 'nothing', why: 'table inet picket is there already', exitCode: EXIT.good };
  }
  const read = readLastGood(directories.state);
  if (!read.ok) return loadFallback(config, directories, native, read);
  const { header, batch } = read.snapshot;
  try {
    await withNetfilter(native, netns, (socket) => sendBatch(socket, batch));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return loadFallback(config, directories, native, { reason: 'refused', message: error.message });
  }
  const { createdMs: stateMs, origin, node } = header;
  const sinceMs = Date.now();
  await noteEnforcedOrigin(directories.run, { source: 'boot', sinceMs, stateMs, text: origin });
  const ageMs = sinceMs - stateMs;
  const why = `the state of ${new Date(stateMs).toISOString()}, ${describeAge(ageMs)}, node ${node}: ${origin}`;
  return { loaded: 'state', why, exitCode: EXIT.good, ageMs, origin, node };
}

async function loadFallback(
  config: Config,
  { run, state }: Directories,
  native: Native,
  { reason, message }: { readonly reason: string; readonly message: string },
): Promise<Booted> {
  if (!governedHost(state)) {
    const why = `${message}; the host itself was not governed, so it stays as it is`;
    return { loaded: 'nothing', why, exitCode: reason === 'missing' ? EXIT.good : EXIT.failed };
  }
  const dataplane = new NetlinkDataplane(native, config.netns);
  try {
    const result = await dataplane.commit(await fallbackOperations(engineConfig(config)));
    if (!result.ok) {
      const refused = new ApplyError(result.refusals).message;
      throw new CommandError(`${message}; the kernel refused the built-in rules too: ${refused}`);
    }
  } finally {
    dataplane.close();
  }
  const text = `no usable state: ${message}`;
  const origin = { source: 'fallback', sinceMs: Date.now(), stateMs: undefined, text } as const;
  await noteEnforcedOrigin(run, origin);
  const why = `${message}; only failsafe ports, ping, DHCP and established connections are let through`;
  return { loaded: 'fallback', why, exitCode: EXIT.degraded };
}

/** The clock may have been set meanwhile: a state from the future has no age. */
function describeAge(ageMs: number): string {
  if (ageMs < 0) return 'from the future by this clock';
  const minutes = Math.floor(ageMs / 60_000);
  if (minutes < 120) return `${minutes} minutes old`;
  return minutes < 2 * 24 * 60
    ? `${Math.floor(minutes / 60)} hours old`
    : `${Math.floor(minutes / 1440)} days old`;
}
