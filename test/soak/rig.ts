/**
 * The host that is tormented: a fabric with wires and interfaces, the packaged agent on it, its manifests or its API server, its directories on small
 * disks of their own. Does what steps ask for; knows nothing of what should come of it. Everything is gone afterwards, but for what `keep` copies.
 */
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { calicoResources, BUILT_IN } from '../support/api-server/resources.ts';
import { ObjectStore } from '../support/api-server/object-store.ts';
import type { ManifestObject } from '../support/api-server/object-store.ts';
import { ApiServer } from '../support/api-server/server.ts';
import { startAgent, until } from '../support/cli.ts';
import type { LogLine, RunningAgent } from '../support/cli.ts';
import { Fabric } from '../support/fabric.ts';
import { GuardedHost } from '../support/guarded-host.ts';
import { HOST_FABRIC } from '../support/host-flows.ts';
import { packaged, packagedPicket } from '../support/packaged.ts';
import type { Stepped } from '../support/packaged.ts';
import { projectPath } from '../support/tools.ts';
import { NODE } from '../support/world.ts';
import type { Changes, Model, Written } from './model.ts';

/** Disks of runDirectory and stateDirectory. */
const DISK = 'size=8m';
const FILLER = 'filler';
const DIRECTORIES = ['run', 'state'] as const;

/** Crafted packets of odd kinds are invalid to connection tracking; what policy says of them is asked all the same. */
const CONFIGURATION = {
  PICKET_DISABLE_CONNTRACK_INVALID_CHECK: 'true',
  PICKET_FLOW_LOG_FLUSH_SECONDS: '1',
  SSH_CONNECTION: '',
};

export class Rig {
  readonly fabric: Fabric;
  readonly host: GuardedHost;
  server: ApiServer | undefined;
  #agent: RunningAgent | undefined;
  #program = '';
  readonly #logs: LogLine[][] = [];
  /** What was said on the command line, with what came of it. */
  readonly said: string[] = [];

  private constructor(fabric: Fabric, host: GuardedHost) {
    this.fabric = fabric;
    this.host = host;
  }

  static async with(isKube: boolean, use: (rig: Rig) => Promise<void>): Promise<void> {
    const fabric = await Fabric.create(HOST_FABRIC);
    try {
      await GuardedHost.with(
        {},
        async (host) => {
          const rig = new Rig(fabric, host);
          try {
            await rig.#open(isKube);
            await use(rig);
          } finally {
            await rig.#close();
          }
        },
        fabric.router,
      );
    } finally {
      await fabric.close();
    }
  }

  get env(): Record<string, string> {
    return { ...this.host.env, ...CONFIGURATION };
  }

  /** Log of all agents so far. */
  get log(): readonly LogLine[] {
    return this.#logs.flat();
  }

  get agent(): RunningAgent {
    if (this.#agent === undefined) throw new Error('no agent runs');
    return this.#agent;
  }

  /** Tells the source. Files are replaced as careful writers do, or written in two parts with `pauseMs` between. */
  async change(changes: Changes, pauseMs = 0): Promise<void> {
    for (const [key, change] of changes) {
      if (this.server !== undefined) this.#changeObject(this.server, key, change?.object);
      else if (change === undefined) this.host.bench.remove(fileOf(key));
      else await this.#write(fileOf(key), textOf(change), pauseMs);
    }
  }

  async #write(name: string, text: string, pauseMs: number): Promise<void> {
    const { bench } = this.host;
    if (pauseMs === 0) return bench.write(name, text);
    const middle = text.length >> 1;
    writeFileSync(bench.path(name), text.slice(0, middle));
    await delay(pauseMs);
    appendFileSync(bench.path(name), text.slice(middle));
  }

  /** Once it hears of that: before, SIGHUP ends any process. */
  async reload(): Promise<void> {
    const { pid } = this.agent;
    await until('the agent hears SIGHUP', () => catchesSighup(pid));
    process.kill(pid, 'SIGHUP');
  }

  /** Stops it, and lets it go on after so long, while others go on. */
  freeze(ms: number): void {
    const { pid } = this.agent;
    process.kill(pid, 'SIGSTOP');
    setTimeout(() => {
      if (this.#agent?.pid === pid) process.kill(pid, 'SIGCONT');
    }, ms);
  }

  start(clockShiftMs = 0): RunningAgent {
    const { bench } = this.host;
    const source =
      this.server === undefined
        ? ['--manifests', bench.manifests]
        : ['--kubeconfig', this.#kubeconfig];
    const clock = {
      NODE_OPTIONS: `--import=${projectPath('test/support/shift-clock.ts')}`,
      PICKET_TEST_CLOCK_SHIFT_MS: String(clockShiftMs),
    };
    const args = [...source, '--node', NODE, '--netns', bench.netns.path, '-o', 'json'];
    const agent = startAgent(
      args,
      { ...this.env, ...(clockShiftMs === 0 ? {} : clock) },
      this.#program,
    );
    this.#agent = agent;
    this.#logs.push(agent.log() as LogLine[]);
    return agent;
  }

  /** Resolves when it has ended; one that is asked to end ends well. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    // Should it be frozen: it ends once it goes on.
    process.kill(this.agent.pid, 'SIGCONT');
    const { exitCode, stderr } = await this.agent.stop(signal);
    this.#agent = undefined;
    if (signal === 'SIGTERM' && exitCode !== 0)
      throw new Error(`picket run ended with ${exitCode}: ${stderr}`);
  }

  get isRunning(): boolean {
    return this.#agent !== undefined;
  }

  /** The command in this namespace and these directories. */
  async picket(...args: readonly string[]): Promise<Stepped> {
    const ended = await packagedPicket([...args, '--netns', this.host.bench.netns.path], this.env);
    this.said.push(
      `picket ${args.join(' ')}: ${ended.exitCode} ${ended.stdout}${ended.stderr}`.slice(0, 2000),
    );
    return ended;
  }

  /** Throws unless it ends with one of `codes`. */
  async say(codes: readonly number[], ...args: readonly string[]): Promise<Stepped> {
    const ended = await this.picket(...args);
    if (!codes.includes(ended.exitCode ?? -1)) {
      throw new Error(
        `picket ${args.join(' ')} ended with ${ended.exitCode}: ${ended.stdout}${ended.stderr}`,
      );
    }
    return ended;
  }

  apply(codes: readonly number[], ...args: readonly string[]): Promise<Stepped> {
    return this.say(
      codes,
      'apply',
      '--manifests',
      this.host.bench.manifests,
      '--node',
      NODE,
      ...args,
    );
  }

  nft(...args: readonly string[]): Promise<string> {
    return this.host.bench.nft(...args);
  }

  /** Waits until no table of ours is there. */
  async untilOpen(): Promise<void> {
    await until('nothing is enforced', async () => (await this.host.bench.table()) === undefined);
  }

  /** What a restart of the machine takes away. */
  async forgetBoot(): Promise<void> {
    await this.nft('add table inet picket; delete table inet picket');
    rmSync(this.host.directory('run'), { recursive: true, force: true });
  }

  fillDisks(): void {
    for (const name of DIRECTORIES) {
      try {
        writeFileSync(join(this.#directory(name), FILLER), Buffer.alloc(9 * 1024 * 1024));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  }

  freeDisks(): void {
    for (const name of DIRECTORIES) rmSync(join(this.#directory(name), FILLER), { force: true });
  }

  /** Everything below runDirectory and stateDirectory. */
  files(): readonly string[] {
    return DIRECTORIES.flatMap((name) =>
      readdirSync(this.#directory(name), { recursive: true, encoding: 'utf8' }).map(
        (file) => `${name}/${file}`,
      ),
    );
  }

  /** Resident memory of the agent, MiB. */
  residentMib(): number {
    return Number(/^VmRSS:\s+(\d+)/m.exec(statusOf(this.agent.pid))?.[1] ?? 0) / 1024;
  }

  /** The API server ends and begins anew where it was, with what it had. */
  async restartServer(whileGone: () => Promise<void>): Promise<void> {
    const old = this.server;
    if (old === undefined) throw new Error('no API server');
    const { port, authority, store } = old;
    await old.kill();
    await whileGone();
    this.#servers.push((this.server = await ApiServer.start({ port, authority, store })));
  }

  /** Copies what somebody needs who wants to know what went wrong. */
  async keep(folder: string, model: Model): Promise<void> {
    mkdirSync(folder, { recursive: true });
    cpSync(this.host.bench.manifests, join(folder, 'manifests'), { recursive: true });
    const objects = [...model.written.values()].map(({ object }) => object);
    writeFileSync(
      join(folder, 'objects.json'),
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    );
    writeFileSync(
      join(folder, 'agent.log'),
      this.log.map((line) => JSON.stringify(line)).join('\n'),
    );
    writeFileSync(join(folder, 'commands.log'), this.said.join('\n'));
    writeFileSync(join(folder, 'ruleset.nft'), await this.nft('list', 'ruleset'));
  }

  readonly #servers: ApiServer[] = [];
  #kubeconfig = '';

  async #open(isKube: boolean): Promise<void> {
    const { main, folder } = await packaged();
    this.#program = join(folder, 'picket');
    writeFileSync(this.#program, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
    chmodSync(this.#program, 0o755);
    for (const name of DIRECTORIES) {
      await execa('mount', ['-t', 'tmpfs', '-o', DISK, 'tmpfs', this.#directory(name)]);
    }
    if (!isKube) return;
    const store = new ObjectStore([...BUILT_IN, ...calicoResources('projectcalico.org/v3')]);
    this.server = await ApiServer.start({ store });
    this.#servers.push(this.server);
    this.#kubeconfig = this.server.kubeconfig();
  }

  async #close(): Promise<void> {
    await this.#agent?.stop('SIGKILL');
    for (const name of DIRECTORIES)
      await execa('umount', ['--lazy', this.#directory(name)], { reject: false });
    for (const server of this.#servers) await server.close();
  }

  #changeObject(server: ApiServer, key: string, object: ManifestObject | undefined): void {
    if (object !== undefined) return server.put(object);
    const [group = '', kind = '', namespace = '', name = ''] = key.split('/');
    const resource = server.store.resources.find(
      (each) => each.group === group && each.kind === kind,
    );
    const apiVersion = group === '' ? 'v1' : `${group}/${resource?.version ?? ''}`;
    server.store.remove(apiVersion, kind, namespace, name);
  }

  #directory(name: (typeof DIRECTORIES)[number]): string {
    return join(this.host.bench.manifests, '..', name);
  }
}

function textOf({ object, isReadable }: Written): string {
  const text = JSON.stringify(object);
  return isReadable ? text : `{ "spoilt": ${text}`;
}

function fileOf(key: string): string {
  return `${key.replaceAll('/', '_')}.json`;
}

/** Throws when it is not there. */
function statusOf(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8');
}

/** Lowest bit: signal 1 (proc_pid_status(5)). */
function catchesSighup(pid: number): boolean {
  const caught = /^SigCgt:\t([\da-f]+)$/m.exec(statusOf(pid))?.[1];
  return caught !== undefined && (BigInt(`0x${caught}`) & 1n) === 1n;
}

/** Polls until the agent says that the kernel has everything. */
export async function untilInSync(rig: Rig, deadlineMs: number): Promise<void> {
  await until(
    'the agent is in sync',
    async () => {
      const { stdout } = await rig.say([0, 4, 1], 'status', '-o', 'json');
      // One that has ended will never be.
      statusOf(rig.agent.pid);
      return /"state":\s*"in-sync"/.test(stdout);
    },
    deadlineMs,
  );
}
