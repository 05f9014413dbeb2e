/**
 * A running agent's next configuration. Comes in: SIGHUP, and changes of the configuration file. Goes out: a configuration that is good
 * and differs from the one in use; anything else leaves the one in use alone, and is said. Refuses to know: what is done with it.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config, ConfigName } from '../config/keys.ts';
import { rowOf } from '../config/keys.ts';
import { Wakeup } from '../engine/wakeup.ts';
import type { Log } from '../obs/log.ts';
import { followFile } from '../watch/one-file.ts';
import { CommandError } from './exit.ts';
import { DEFAULT_CONFIG_FILE } from './settings.ts';
import type { KeyFlags, SettingsOptions } from './settings.ts';
import { loadFollowSettings } from './sources.ts';

/** What locks, sockets and files of the running process hang on. */
const FIXED = ['netns', 'runDirectory', 'stateDirectory'] as const satisfies readonly ConfigName[];

export interface ReloadEvents {
  /** A reload was asked for, or a changed file takes effect; one of the others, or the end of `next`, follows. */
  begun(): void;
  /** Nothing differs from what is in use. */
  unchanged(): void;
  /** It cannot be used; the text says why. */
  refused(why: string): void;
}

export class ConfigReload {
  readonly #options: SettingsOptions & KeyFlags;
  readonly #log: Log;
  readonly #wakeup = new Wakeup();
  readonly #closing = new AbortController();
  #isAsked = false;
  #defaults: ReadonlyMap<ConfigName, unknown> = new Map();

  /** From now on SIGHUP does not end the process. */
  constructor(options: SettingsOptions & KeyFlags, log: Log) {
    this.#options = options;
    this.#log = log;
    process.on('SIGHUP', this.#ask);
    void this.#followFile(this.#closing.signal);
  }

  /** The next configuration to run with instead of `current`; `undefined` once `signal` aborts. */
  async next(
    current: Config,
    events: ReloadEvents,
    signal: AbortSignal,
  ): Promise<Config | undefined> {
    const wake = (): void => this.#wakeup.set();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        await this.#wakeup.wait();
        if (signal.aborted) break;
        if (this.#isAsked) events.begun();
        const next = this.#read(current, events);
        if (next !== undefined && !this.#isAsked) events.begun();
        this.#isAsked = false;
        if (next !== undefined) return next;
      }
      return undefined;
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  /** Values that the cluster gives all its nodes, from now on; answers the configuration to use instead, where one differs and is good. */
  withDefaults(
    values: ReadonlyMap<ConfigName, unknown>,
    current: Config,
    events: ReloadEvents,
  ): Config | undefined {
    if (isDeepStrictEqual(values, this.#defaults)) return undefined;
    this.#defaults = values;
    return this.#read(current, events);
  }

  close(): void {
    process.off('SIGHUP', this.#ask);
    this.#closing.abort();
  }

  readonly #ask = (): void => {
    this.#isAsked = true;
    this.#wakeup.set();
  };

  #read(current: Config, events: ReloadEvents): Config | undefined {
    try {
      const defaults = { source: 'FelixConfiguration', values: this.#defaults };
      const next = loadFollowSettings({ ...this.#options, defaults });
      const fixed = FIXED.filter((name) => next[name] !== current[name]);
      if (fixed.length > 0)
        events.refused(fixed.map((name) => printFixed(name, current)).join('; '));
      else if (isDeepStrictEqual(next, current)) events.unchanged();
      else return next;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      events.refused(error.message);
    }
    return undefined;
  }

  async #followFile(signal: AbortSignal): Promise<void> {
    const file = this.#options.config ?? DEFAULT_CONFIG_FILE;
    const unseen = (why: string): void => {
      const message = 'changes of the configuration are not seen, SIGHUP reads it again';
      if (this.#options.config !== undefined) this.#log.warn({ file, why }, message);
    };
    for await (const _ of followFile(file, signal, unseen)) this.#wakeup.set();
  }
}

function printFixed(name: ConfigName, current: Config): string {
  const inUse = rowOf(name).type.print(current[name]);
  return `${name} cannot change while running (in use: ${inUse}): restart picket run`;
}
