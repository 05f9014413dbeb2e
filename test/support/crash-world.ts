/**
 * A host in the middle of a change, again and again: the rules before, those after, and the files around them, put there without a process.
 * Comes in: what the files are to say. Goes out: hosts of which every one is in that state.
 */
import { rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { monotonicMs, readBootId } from '../../agent/guard/clock.ts';
import { putPending } from '../../agent/guard/pending.ts';
import { encodeTable } from '../../agent/state/batch.ts';
import { keepLastGood, readHostDigest, readLastGood } from '../../agent/state/last-good.ts';
import { sendBatch, withNetfilter } from '../../agent/state/load.ts';
import type { Snapshot } from '../../agent/state/snapshot.ts';
import { testAddon } from './addon.ts';
import { GuardedHost, hostPolicy } from './guarded-host.ts';
import { killing, packagedPicket } from './packaged.ts';
import type { Kill, Killing, Stepped } from './packaged.ts';

/** One state of the rules, as bytes and as text to compare by. */
export interface Rules {
  readonly batch: Uint8Array;
  readonly text: string;
}

export interface World {
  readonly before: Rules;
  readonly after: Rules;
  /** Kept for the next boot: that before. */
  readonly kept: Snapshot;
  /** Of host policy before. */
  readonly digest: string;
}

export const [BEFORE, AFTER] = [hostPolicy('80'), hostPolicy('443')] as const;

/** By the real command, once. */
export async function makeWorld(): Promise<World> {
  const found: World[] = [];
  await GuardedHost.with({ 'host.yaml': AFTER }, async (host) => {
    const crash = new CrashHost(host);
    await crash.picket('apply', ...host.bench.options());
    const after = await rulesOf(host);
    host.bench.write('host.yaml', BEFORE);
    await crash.picket('apply', ...host.bench.options());
    const before = await rulesOf(host);
    const read = readLastGood(host.directory('state'));
    if (!read.ok) throw new Error(read.message);
    const digest = readHostDigest(host.directory('state'));
    found.push({ before, after, kept: read.snapshot, digest });
  });
  const [world] = found;
  if (world === undefined) throw new Error('no world');
  return world;
}

async function rulesOf(host: GuardedHost): Promise<Rules> {
  return { batch: encodeTable(await host.bench.table()), text: await host.ruleset() };
}

export class CrashHost {
  readonly host: GuardedHost;

  constructor(host: GuardedHost) {
    this.host = host;
  }

  static with<T>(use: (crash: CrashHost) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      GuardedHost.with({ 'host.yaml': AFTER }, async (host) => {
        resolve(await use(new CrashHost(host)));
      }).catch(reject);
    });
  }

  /** `before` is in force and kept for the next boot. */
  async quiet({ before, kept, digest }: World): Promise<void> {
    await this.send(before.batch);
    await keepLastGood(this.host.directory('state'), kept, digest);
  }

  /** `after` is in force and waits for its confirmation; `before` is kept. */
  async waiting(world: World, leftMs = 600_000): Promise<void> {
    await this.quiet(world);
    await this.send(world.after.batch);
    const tried = { host: 'tried', policy: 'tried' };
    const fields = { id: 'change', bootId: readBootId(), scope: 'all', tried } as const;
    const pending = { ...fields, deadlineMs: monotonicMs() + leftMs };
    const header = { ...world.kept.header, origin: 'the change', pending };
    await putPending(this.host.directory('run'), { header, batch: world.before.batch });
  }

  async send(batch: Uint8Array): Promise<void> {
    const { path } = this.host.bench.netns;
    await withNetfilter(testAddon(), path, (socket) => sendBatch(socket, batch));
  }

  /** Like a restart: nothing is in the kernel, nothing below runDirectory. */
  async restart(): Promise<void> {
    await this.send(encodeTable(undefined));
    rmSync(this.host.directory('run'), { recursive: true, force: true });
  }

  /** `before`, `after`, `none`, or what it is instead. */
  async state({ before, after }: World): Promise<string> {
    const text = await this.host.ruleset();
    if (text === before.text) return 'before';
    if (text === after.text) return 'after';
    return text.trim() === '' ? 'none' : text;
  }

  /** The package's command in this host's namespace and directories. */
  picket(...args: readonly string[]): Promise<Stepped> {
    return packagedPicket(args, this.host.env);
  }

  /** The same for commands that want the namespace alone. */
  say(...args: readonly string[]): Promise<Stepped> {
    return this.picket(...args, '--netns', this.host.bench.netns.path);
  }

  async kill(
    kill: Kill,
    args: readonly string[],
    more: { readonly env?: Readonly<Record<string, string>>; readonly until?: string } = {},
  ): Promise<Stepped & Killing> {
    const { env, ...killed } = await killing(kill);
    const all = { ...this.host.env, ...more.env, ...env };
    const ended = await packagedPicket(args, all, more.until);
    return { ...ended, ...killed, env };
  }

  /** Names of what is below runDirectory. */
  async files(): Promise<readonly string[]> {
    return (await readdir(this.host.directory('run'))).toSorted();
  }
}
