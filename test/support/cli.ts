/**
 * The `picket` command as a user runs it: a child process, a directory of manifests, a network namespace of its own. Reads the
 * kernel through our own netlink code. Whatever a test does, processes, namespace and directory are gone afterwards.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { readGenerationId } from '../../agent/netlink/request.ts';
import { NetlinkSocket } from '../../agent/netlink/socket.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';
import { testAddon } from './addon.ts';
import { openNetns, type Netns } from './netns.ts';
import { importing, projectPath, requireSystemTool } from './tools.ts';

export const NODE = 'n1';

/** A namespace and a running pod `shop/web` of NODE at 10.0.0.1. */
export const WEB = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: ${NODE}, containers: [{name: c, image: i}]}
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}
`;

/** A policy that lets TCP port 80 of `shop/web` be reached from `net`. */
export function policy(name: string, net = '10.1.0.0/24'): string {
  return `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: ${name}}
spec:
  selector: app == 'web'
  ingress:
  - {action: Allow, protocol: TCP, source: {nets: [${net}]}, destination: {ports: [80]}}
`;
}

export interface Ended {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

/** A `picket run -o json` that is still there. */
export interface RunningAgent {
  readonly pid: number;
  /** Its log so far. */
  log(): readonly LogLine[];
  /** Resolves with the first matching line from line `from` on; rejects when the agent ends or the deadline passes. */
  logged(pattern: RegExp, from?: number): Promise<LogLine>;
  /** Resolves when it has ended. */
  readonly ended: Promise<Ended>;
  /** Signals it and resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

/** Deadline of everything that is waited for. Generous: only a test that fails takes as long. */
const DEADLINE_MS = 120_000;

/** Polls until `probe` says true. */
export async function until(
  what: string,
  probe: () => boolean | Promise<boolean>,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await probe())) {
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await delay(5);
  }
}

/** By SIGSTOP, which takes a moment to arrive (proc_pid_stat(5)). */
export function isStopped(pid: number): boolean {
  const [, state] = /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
  return state === 'T';
}

/** No capability at all, not even to read what permission bits forbid; as good as an ordinary user, and can still find the project. */
export const POWERLESS = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'] as const;

/** Where commands keep what they keep, so that no test leaves anything on the machine; gone with the process. */
const HOME = mkdtempSync(join(tmpdir(), 'picket-home-'));
process.once('exit', () => rmSync(HOME, { recursive: true, force: true }));

export const DIRECTORIES = {
  PICKET_RUN_DIRECTORY: join(HOME, 'run'),
  PICKET_STATE_DIRECTORY: join(HOME, 'state'),
  // Ports are the machine's: tests that want them say which.
  PICKET_HEALTH_ADDRESS: '',
  PICKET_METRICS_ADDRESS: '',
} as const;

export class Bench {
  readonly netns: Netns;
  /** The directory of manifests, below a directory of the test's own. */
  readonly manifests: string;
  readonly #folder: string;
  readonly #dataplane: NetlinkDataplane;
  readonly #agents = new Set<RunningAgent>();

  private constructor(netns: Netns) {
    this.netns = netns;
    this.#folder = mkdtempSync(join(tmpdir(), 'picket-cli-'));
    this.manifests = join(this.#folder, 'manifests');
    mkdirSync(this.manifests);
    this.#dataplane = new NetlinkDataplane(testAddon(), netns.path);
  }

  /** Runs `use` and cleans up. The directory starts with `files`; `netns` is its to close. */
  static async with(
    files: Readonly<Record<string, string>>,
    use: (bench: Bench) => Promise<void>,
    netns?: Netns,
  ): Promise<void> {
    const bench = new Bench(netns ?? (await openNetns()));
    try {
      for (const [name, text] of Object.entries(files)) bench.write(name, text);
      await use(bench);
    } finally {
      await bench.#close();
    }
  }

  /** Absolute path of a manifest. */
  path(name: string): string {
    return join(this.manifests, name);
  }

  /** Adds or replaces a manifest as careful writers do: by rename. */
  write(name: string, text: string | Uint8Array): void {
    const temporary = join(this.#folder, 'unfinished');
    writeFileSync(temporary, text);
    mkdirSync(dirname(this.path(name)), { recursive: true });
    renameSync(temporary, this.path(name));
  }

  remove(name: string): void {
    rmSync(this.path(name), { recursive: true });
  }

  /** `picket apply` with this bench's directory and namespace. */
  apply(...args: readonly string[]): Promise<Ended> {
    return picket(['apply', ...this.options(), ...args]);
  }

  /** Environment in which the kernel refuses the rules of this origin, until the manifest `flag` is gone. */
  spoiling(origin: string, flag: string): Record<string, string> {
    return {
      NODE_OPTIONS: importing(projectPath('test/support/spoil.ts')),
      PICKET_TEST_SPOIL: origin,
      PICKET_TEST_SPOIL_WHILE: this.path(flag),
    };
  }

  /** What `apply` and `run` need. */
  options(): string[] {
    return ['--manifests', this.manifests, '--node', NODE, '--netns', this.netns.path];
  }

  /** Starts `picket run -o json`; it need not have applied anything yet. */
  start(env: Readonly<Record<string, string>> = {}): RunningAgent {
    const agent = startAgent([...this.options(), '-o', 'json'], env);
    this.#agents.add(agent);
    return agent;
  }

  /** Starts it and waits until the kernel is up to date. */
  async startApplied(): Promise<RunningAgent> {
    const agent = this.start();
    await agent.logged(/^applied/);
    return agent;
  }

  nft(...args: readonly string[]): Promise<string> {
    return this.netns.run(requireSystemTool('nft'), args);
  }

  /** `inet picket` as the kernel has it. */
  table(): Promise<KernelTable | undefined> {
    return this.#dataplane.dump();
  }

  /** Ruleset generation: every transaction of anybody raises it. */
  async generation(): Promise<number> {
    const socket = NetlinkSocket.open(testAddon(), { protocol: 12, netnsPath: this.netns.path });
    try {
      return await readGenerationId(socket);
    } finally {
      socket.close();
    }
  }

  /** Names of the policies of `shop/web` in the kernel, in order. */
  async policies(): Promise<string[]> {
    const table = await this.table();
    return policiesOf(table);
  }

  /** Waits until exactly these are in the kernel. */
  async untilPolicies(...names: readonly string[]): Promise<void> {
    const wanted = names.toSorted().join();
    await until(`policies ${wanted}`, async () => (await this.policies()).join() === wanted);
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#agents].map((agent) => agent.stop('SIGKILL')));
    this.#dataplane.close();
    await this.netns.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** By the chains that hold their rules, which must not be empty. */
export function policiesOf(table: KernelTable | undefined): string[] {
  const names = [...(table?.chains.values() ?? [])].flatMap(({ rules }) =>
    rules.flatMap((rule) => rule.exprs.flatMap((e) => (e.kind === 'counter' ? [e.name] : []))),
  );
  const found = names.flatMap((name) => /^ingress\/gnp\/(.*)\/0$/.exec(name)?.[1] ?? []);
  return [...new Set(found)].toSorted();
}

/** Runs the command to its end. */
export async function picket(
  args: readonly string[],
  wrapper: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const [file = '', ...rest] = [...wrapper, projectPath('bin/picket'), ...args];
  const { exitCode, stdout, stderr } = await execa(file, rest, {
    reject: false,
    timeout: DEADLINE_MS,
    env: { ...DIRECTORIES, ...env },
  });
  return { exitCode, stdout, stderr };
}

export function startAgent(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  program = projectPath('bin/picket'),
): RunningAgent {
  const child = execa(program, ['run', ...args], {
    reject: false,
    env: { ...DIRECTORIES, ...env },
  });
  const lines: LogLine[] = [];
  const decoder = new TextDecoder();
  let rest = '';
  let hasEnded = false;
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.map((part) => JSON.parse(part) as LogLine));
  });
  const ended = child.then(({ exitCode, stdout, stderr }): Ended => {
    hasEnded = true;
    return { exitCode, stdout, stderr };
  });
  return {
    pid: child.pid ?? 0,
    ended,
    log: () => lines,
    logged: async (pattern, from = 0) => {
      const find = (): LogLine | undefined =>
        lines.slice(from).find(({ msg }) => pattern.test(msg ?? ''));
      await until(`a log line ${String(pattern)}`, () => hasEnded || find() !== undefined);
      const line = find();
      if (line === undefined) throw new Error(`picket run ended: ${(await ended).stderr}`);
      return line;
    },
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
}
