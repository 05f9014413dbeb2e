/**
 * The figures of issue 5: `picket run --kubeconfig` as a child process, from sources and as the bundle, against a cluster served over HTTPS
 * by another process. Out: figures. Commits are seen by a listener of our own on nf_tables notifications, not told by the agent.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadNative } from '../agent/native/native.ts';
import { NetlinkSocket } from '../agent/netlink/socket.ts';
import { NFNLGRP_NFTABLES } from '../agent/netlink/uapi.generated.ts';
import { bundleAgent } from '../scripts/package/bundle.ts';
import { startAgent, until } from '../test/support/cli.ts';
import { openNetns } from '../test/support/netns.ts';
import type { Netns } from '../test/support/netns.ts';
import { projectPath } from '../test/support/tools.ts';
import type { Answer, Ask } from './kube-server.ts';
import { KUBE_SIZE, NODE, localNamespaces } from './kube-world.ts';
import { readCpuSeconds, readMemory } from './process-figures.ts';

/** Units as the figure's name says. */
export type Record = (name: string, value: number, unit: string, note?: string) => void;

const RATE = 100;
const POLICIES = 300;
const POLICY_PAUSE_MS = 100;
/** Deadline, not an aim. */
const START_MS = 180_000;
const SETTLE_MS = 15_000;
const CPU_UPDATES = 3_000;

export async function kubeFigures(record: Record): Promise<void> {
  const server = await startServer();
  try {
    const folder = mkdtempSync(join(tmpdir(), 'picket-bench-'));
    try {
      await measure('from sources', projectPath('bin/picket'), server, record);
      await measure('bundle', await writeBundle(folder), server, record);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } finally {
    server.close();
  }
}

async function measure(name: string, program: string, server: Server, record: Record) {
  const netns = await openNetns();
  const args = ['--kubeconfig', server.kubeconfig, '--node', NODE, '--netns', netns.path];
  const started = performance.now();
  const agent = startAgent([...args, '-o', 'json'], {}, program);
  try {
    await until(
      'in sync',
      () => agent.log().some(({ msg }) => msg === 'in sync with the kernel'),
      START_MS,
    );
    const figure = (what: string, value: number, unit: string, note?: string): void =>
      record(`${name}: ${what}`, value, unit, note);
    figure('cold start to enforced', (performance.now() - started) / 1000, 's');
    await delay(SETTLE_MS);
    figure('memory, at rest after the start', readMemory(agent.pid).now, 'MiB');
    figure('CPU for 1,000 pod updates', await cpuOfUpdates(agent.pid, server), 's', MIX);
    const delays = await policyDelays(netns, server);
    figure('policy event to commit, median', quantile(delays, 0.5), 'ms', NOTE);
    figure('policy event to commit, p99', quantile(delays, 0.99), 'ms', NOTE);
    figure('policy event to commit, maximum', quantile(delays, 1), 'ms', NOTE);
    await delay(SETTLE_MS);
    figure('memory, at rest after all updates', readMemory(agent.pid).now, 'MiB', 'aim: 200');
    figure('memory, peak', readMemory(agent.pid).peak, 'MiB');
  } finally {
    await agent.stop('SIGKILL');
    await netns.close();
  }
}

const MIX = 'a third each: nothing relevant, label, address';
const NOTE = `of ${POLICIES}, with ${RATE} pod updates a second`;

async function cpuOfUpdates(pid: number, server: Server): Promise<number> {
  const before = { cpu: readCpuSeconds(pid), count: await server.changed() };
  await server.setRate(RATE);
  await delay((CPU_UPDATES / RATE) * 1000);
  await server.setRate(0);
  await delay(1000);
  const count = (await server.changed()) - before.count;
  return ((readCpuSeconds(pid) - before.cpu) / count) * 1000;
}

/** Milliseconds, sorted. */
async function policyDelays(netns: Netns, server: Server): Promise<number[]> {
  const listener = new CommitListener(netns);
  const namespaces = localNamespaces(KUBE_SIZE);
  const delays: number[] = [];
  await server.setRate(RATE);
  await delay(1000);
  try {
    for (let i = 0; i < POLICIES; i += 1) {
      const address = [203, 0, 112 + (i >> 8), i & 255] as const;
      const seen = listener.seen(Buffer.from(address));
      const namespace = namespaces[i % namespaces.length] ?? 0;
      const atNs = await server.setPolicy(namespace, `${address.join('.')}/32`);
      delays.push(Number((await seen) - atNs) / 1e6);
      await delay(POLICY_PAUSE_MS);
    }
  } finally {
    await server.setRate(0);
    listener.close();
  }
  return delays.sort((a, b) => a - b);
}

/** When a commit with certain bytes in it was told, by a clock that all processes share. */
class CommitListener {
  readonly #socket: NetlinkSocket;
  #wanted: { readonly bytes: Buffer; readonly resolve: (atNs: bigint) => void } | undefined;

  constructor(netns: Netns) {
    const rcvbufBytes = 64 << 20;
    this.#socket = NetlinkSocket.open(loadNative(), {
      protocol: 12,
      netnsPath: netns.path,
      rcvbufBytes,
    });
    this.#socket.read([NFNLGRP_NFTABLES], (bytes, lost) => {
      if (lost > 0) throw new Error('notifications were lost');
      if (this.#wanted === undefined || !Buffer.from(bytes).includes(this.#wanted.bytes)) return;
      this.#wanted.resolve(process.hrtime.bigint());
      this.#wanted = undefined;
    });
  }

  seen(bytes: Buffer): Promise<bigint> {
    return new Promise((resolve) => (this.#wanted = { bytes, resolve }));
  }

  close(): void {
    this.#socket.close();
  }
}

interface Server {
  readonly kubeconfig: string;
  changed(): Promise<number>;
  setRate(perSecond: number): Promise<void>;
  /** Returns when it was set, nanoseconds. */
  setPolicy(namespace: number, net: string): Promise<bigint>;
  close(): void;
}

async function startServer(): Promise<Server> {
  const child = fork(projectPath('bench/kube-server.ts'), { execArgv: [] });
  const ready = await nextOf(child, 'ready');
  const ask = <K extends Ask['ask']>(asked: Ask & { ask: K }): Promise<AnswerOf<K>> => {
    child.send(asked);
    return nextOf(child, asked.ask);
  };
  return {
    kubeconfig: ready.kubeconfig,
    changed: async () => (await ask({ ask: 'changed' })).count,
    setRate: async (perSecond) => void (await ask({ ask: 'rate', perSecond })),
    setPolicy: async (namespace, net) =>
      BigInt((await ask({ ask: 'policy', namespace, net })).atNs),
    close: () => child.disconnect(),
  };
}

type AnswerOf<K extends string> = Answer & { readonly answer: K };

async function nextOf<K extends Answer['answer']>(
  child: ChildProcess,
  kind: K,
): Promise<AnswerOf<K>> {
  const [message] = (await once(child, 'message')) as [Answer];
  if (message.answer !== kind) throw new Error(`the server answered ${message.answer} to ${kind}`);
  return message as AnswerOf<K>;
}

/** The files of a package, as bin/picket looks for them. Returns the program. */
async function writeBundle(folder: string): Promise<string> {
  for (const name of ['bin', 'build', 'agent/cli'])
    mkdirSync(join(folder, name), { recursive: true });
  symlinkSync(process.execPath, join(folder, 'bin/node'));
  copyFileSync(projectPath('bin/picket'), join(folder, 'bin/picket'));
  copyFileSync(projectPath('build/picket.node'), join(folder, 'build/picket.node'));
  writeFileSync(join(folder, 'agent/cli/main.mjs'), (await bundleAgent(projectPath('.'))).text);
  return join(folder, 'bin/picket');
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}
