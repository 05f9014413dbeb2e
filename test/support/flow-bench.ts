/**
 * A running agent whose flow logs are looked at: workloads on wires, a directory of manifests, `picket run` in the router's namespace, and
 * `picket flows` asking it. Whatever a test does, all of it is gone afterwards.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { followAgent } from '../../agent/control/client.ts';
import { OBJECTS_PATH, readObjects } from '../../agent/control/objects.ts';
import { controlSocketPath } from '../../agent/control/socket-path.ts';
import { answer } from '../../agent/explain/answer.ts';
import { readRecord } from '../../agent/explain/record-question.ts';
import { sceneOf } from '../../agent/explain/scene.ts';
import type { FlowRecord } from '../../agent/flowlog/record.ts';
import { FLOWS_PATH, isFlowsEnd } from '../../agent/flowlog/routes.ts';
import type { FlowsRow } from '../../agent/flowlog/routes.ts';
import { projectPath } from './tools.ts';
import { NODE } from './world.ts';
import { picket, startAgent, until } from './cli.ts';
import type { Ended, RunningAgent } from './cli.ts';
import { Fabric } from './fabric.ts';
import { ifnameOf, packetOf, podObject } from './kernel-node.ts';
import type { PacketSpec, PodSpec } from './kernel-node.ts';

export class FlowBench {
  readonly fabric: Fabric;
  /** Of the test's own. */
  readonly folder: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #agents: RunningAgent[] = [];

  private constructor(fabric: Fabric, folder: string) {
    this.fabric = fabric;
    this.folder = folder;
    this.#env = {
      PICKET_RUN_DIRECTORY: join(folder, 'run'),
      PICKET_STATE_DIRECTORY: join(folder, 'state'),
      PICKET_FLOW_LOG_FLUSH_SECONDS: '1',
      PICKET_FLOW_LOG_OUTPUTS: '[]',
    };
  }

  /** Pods are those of namespace `shop`; `objects` are manifests beside them. */
  static async with(
    pods: readonly PodSpec[],
    objects: readonly object[],
    use: (bench: FlowBench) => Promise<void>,
  ): Promise<void> {
    const workloads = pods.map(({ name, addresses }) => ({
      name,
      addresses,
      ifname: ifnameOf(name),
    }));
    const fabric = await Fabric.create({ workloads });
    const bench = new FlowBench(fabric, mkdtempSync(join(tmpdir(), 'picket-flows-')));
    try {
      mkdirSync(join(bench.folder, 'manifests'));
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
      bench.write('all.json', [namespace, ...pods.map(podObject), ...objects]);
      await use(bench);
    } finally {
      await bench.#close();
    }
  }

  /** Replaces a manifest file, by rename: half a file would be read as one. */
  write(name: string, objects: readonly object[]): void {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    const temporary = join(this.folder, 'unfinished');
    writeFileSync(temporary, JSON.stringify(list));
    renameSync(temporary, join(this.folder, 'manifests', name));
  }

  /** Starts `picket run` and waits until it enforces and reads the log group. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<RunningAgent> {
    const manifests = join(this.folder, 'manifests');
    const args = ['--manifests', manifests, '--node', NODE, '--netns', this.fabric.router.path];
    const agent = startAgent([...args, '-o', 'json'], { ...this.#env, ...env });
    this.#agents.push(agent);
    await agent.logged(/^in sync/);
    return agent;
  }

  /** Sends a packet of a workload or of `external`; true when it arrives. */
  async send(from: string, packet: PacketSpec): Promise<boolean> {
    const [arrived = false] = await this.sendAll(from, [packet]);
    return arrived;
  }

  /** One right after the other. */
  sendAll(from: string, packets: readonly PacketSpec[]): Promise<boolean[]> {
    return this.fabric.probe(packets.map((packet) => ({ from, packet: packetOf(packet) })));
  }

  flows(...args: readonly string[]): Promise<Ended> {
    return this.ask('flows', ...args);
  }

  /** Any other command that asks the agent. */
  ask(command: string, ...args: readonly string[]): Promise<Ended> {
    return picket([command, '--netns', this.fabric.router.path, ...args], [], this.#env);
  }

  /** Starts `picket flows --follow -o json`; `lines` grows. */
  follow(...args: readonly string[]): { readonly lines: string[]; readonly ended: Promise<Ended> } {
    const all = ['flows', '--follow', '-o', 'json', '--netns', this.fabric.router.path, ...args];
    const child = execa(projectPath('bin/picket'), all, { reject: false, env: this.#env });
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    return {
      lines,
      ended: child.then(({ exitCode, stdout, stderr }) => ({ exitCode, stdout, stderr })),
    };
  }

  /** What the agent answers `picket flows` with these filters: `--port`, `81`. */
  async records(...filters: readonly string[]): Promise<FlowRecord[]> {
    const path = controlSocketPath(join(this.folder, 'run'), this.fabric.router.path);
    const query: Record<string, string> = {};
    for (let at = 0; at < filters.length; at += 2) {
      query[(filters[at] ?? '').replace(/^--/, '')] = filters[at + 1] ?? '';
    }
    const rows: FlowsRow[] = [];
    const { signal } = new AbortController();
    for await (const row of followAgent(path, FLOWS_PATH, query, signal))
      rows.push(row as FlowsRow);
    return rows.filter((row): row is FlowRecord => !isFlowsEnd(row));
  }

  /** Waits until there are `count` records that the filters let through. */
  async recorded(count: number, ...filters: readonly string[]): Promise<FlowRecord[]> {
    let found: FlowRecord[] = [];
    await until(`${count} records ${filters.join(' ')}`, async () => {
      found = await this.records(...filters);
      return found.length >= count;
    });
    return found;
  }

  /** What `picket explain` of a record says: why its last stage decides so, as `deny end-of-tier` or `deny gnp/web[0]`. */
  async explain(record: FlowRecord): Promise<string> {
    const path = controlSocketPath(join(this.folder, 'run'), this.fabric.router.path);
    const { signal } = new AbortController();
    const rows: unknown[] = [];
    for await (const row of followAgent(path, OBJECTS_PATH, {}, signal)) rows.push(row);
    const running = readObjects(rows);
    const question = readRecord(JSON.stringify(record));
    if (running === undefined || 'wrong' in question)
      throw new TypeError('no objects, or no record');
    const { objects, oracle, node, interfaces } = running;
    const scene = sceneOf(objects, { config: oracle, node: undefined, live: { node, interfaces } });
    const answered = answer(scene, question.value);
    if ('wrong' in answered) return answered.wrong;
    const { verdict, flows } = answered.value;
    const decisive = flows.at(-1)?.stages.at(-1)?.decision.decisive;
    if (decisive?.kind !== 'rule') return `${verdict} ${decisive?.reason ?? '?'}`;
    return `${verdict} ${decisive.rule.policy}[${decisive.rule.index}]`;
  }

  async #close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.stop('SIGKILL')));
    await this.fabric.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
