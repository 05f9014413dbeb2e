/**
 * A node whose flow logs are measured: a sender, a router with a running agent, a pod that takes whatever comes.
 *
 *   sender namespace          router namespace (the agent's)       pod namespace
 *     g0 ----------------------- eth0        cali... ----------------- p0 (not its MAC: counted, then dropped)
 *
 * Goes out: packets by test/tools/flood.c, what the agent says of itself, what the kernel counted.
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadNative } from '../agent/native/native.ts';
import { dumpCounters } from '../agent/netlink/request.ts';
import { NetlinkSocket } from '../agent/netlink/socket.ts';
import { NETLINK_NETFILTER } from '../agent/netlink/uapi.generated.ts';
import { buildTool } from '../test/support/c-tool.ts';
import { startAgent } from '../test/support/cli.ts';
import type { LogLine, RunningAgent } from '../test/support/cli.ts';
import { freeAddress, get } from '../test/support/http.ts';
import { globalPolicy, ifnameOf, podObject } from '../test/support/kernel-node.ts';
import { openNetns, runIp, writeSysctls } from '../test/support/netns.ts';
import type { Netns } from '../test/support/netns.ts';
import { NODE } from '../test/support/world.ts';

/** UDP packets to the pod. */
export interface Traffic {
  /** Distinct source addresses; each is a flow of its own. Default 1. */
  readonly sources?: number;
  /** Distinct source ports. Default 1. */
  readonly sports?: number;
  /** Port OPEN_PORT is allowed, all others are denied. Default DENIED_PORT. */
  readonly port?: number;
  /** Where every second packet goes. */
  readonly otherPort?: number;
  /** Packets a second; default as fast as the kernel takes them. */
  readonly rate?: number;
  readonly count: number;
}

export interface Sent {
  /** Packets a second. */
  readonly rate: number;
  /** Milliseconds since the epoch when each packet was sent; with a rate of at most 1,000. */
  readonly atMs: readonly number[];
}

export const OPEN_PORT = 80;
const DENIED_PORT = 81;
const FIRST_SOURCE = '20.0.0.0';

const POD_ADDRESS = '10.10.0.1';
const POD = { name: 'web', addresses: [POD_ADDRESS] };
const FIRST_SPORT = 1_024;
const ROUTER_MAC = 'ee:ee:ee:ee:ee:ee';

export class FlowNode {
  readonly router: Netns;
  readonly #sender: Netns;
  readonly #pod: Netns;
  readonly #folder: string;
  readonly #counters: NetlinkSocket;
  #agent: RunningAgent | undefined;
  #metrics = '';

  private constructor(router: Netns, sender: Netns, pod: Netns) {
    this.router = router;
    this.#sender = sender;
    this.#pod = pod;
    this.#counters = NetlinkSocket.open(loadNative(), {
      protocol: NETLINK_NETFILTER,
      netnsPath: router.path,
    });
    this.#folder = mkdtempSync(join(tmpdir(), 'picket-flows-'));
  }

  /** Wires, and an agent with these settings that enforces; runs `use` and cleans up. */
  static async with<T>(
    settings: Readonly<Record<string, string>>,
    use: (node: FlowNode) => Promise<T>,
  ): Promise<T> {
    const node = new FlowNode(await openNetns(), await openNetns(), await openNetns());
    try {
      await node.#plug();
      await node.#start(settings);
      return await use(node);
    } finally {
      await node.#close();
    }
  }

  get pid(): number {
    return this.#agent?.pid ?? 0;
  }

  /** The agent's log so far. */
  log(): readonly LogLine[] {
    return this.#agent?.log() ?? [];
  }

  /** Environment in which commands find the agent. */
  get env(): Record<string, string> {
    const [run, state] = [join(this.#folder, 'run'), join(this.#folder, 'state')];
    return { PICKET_RUN_DIRECTORY: run, PICKET_STATE_DIRECTORY: state };
  }

  /** Replaces a manifest. */
  write(name: string, objects: readonly object[]): void {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    writeFileSync(join(this.#folder, 'manifests', name), JSON.stringify(list));
  }

  async send(traffic: Traffic): Promise<Sent> {
    const { sources = 1, sports = 1, port = DENIED_PORT, otherPort = 0, rate = 0, count } = traffic;
    const source = [FIRST_SOURCE, sources, FIRST_SPORT, sports];
    const sent = [POD_ADDRESS, port, otherPort, rate, count];
    const lines = await flood(this.#sender, ['g0', ROUTER_MAC, ...source, ...sent]);
    const [, , ns = Number.NaN] = (lines.pop() ?? '').split(' ').map(Number);
    return {
      rate: count / (ns / 1e9),
      atMs: lines.map((line) => Number(line.split(' ')[1]) / 1e6),
    };
  }

  /** The pod answers the first packet to OPEN_PORT, which makes it an established connection. */
  async answer(): Promise<void> {
    const source = [POD_ADDRESS, 1, OPEN_PORT, 1];
    const sent = [FIRST_SOURCE, FIRST_SPORT, 0, 0, 1];
    await flood(this.#pod, ['p0', ROUTER_MAC, ...source, ...sent]);
  }

  /** Values by name and labels, as the exposition has them. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const { body } = await get(this.#metrics, '/metrics');
    const samples = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      samples.map((line) => {
        const at = line.lastIndexOf(' ');
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  /** Packets that the kernel has denied at the end of the pod's policies. */
  async denied(): Promise<number> {
    const counters = await dumpCounters(this.#counters);
    const ends = [...counters].filter(([name]) => name.startsWith('ingress/end-of-tier'));
    return ends.reduce((sum, [, { packets }]) => sum + Number(packets), 0);
  }

  /** Datagrams that the kernel could not put into the agent's netlink sockets. */
  async socketDrops(): Promise<number> {
    const table = await this.router.run('cat', ['/proc/net/netlink']);
    const rows = table.split('\n').slice(1);
    return rows.reduce((sum, row) => sum + Number(row.trim().split(/\s+/)[8] ?? 0), 0);
  }

  /** New packets are new connections. */
  async forgetConnections(): Promise<void> {
    const prober = this.router.start(await buildTool('netprobe'), []);
    const ended = once(prober, 'exit');
    prober.stdin?.end(`forget ${this.router.path}\n`);
    await ended;
  }

  async #plug(): Promise<void> {
    const ifname = ifnameOf(POD.name);
    await writeSysctls(this.router, {
      'ipv4/ip_forward': '1',
      'ipv4/conf/all/rp_filter': '0',
      'ipv4/conf/default/rp_filter': '0',
    });
    await runIp(this.router, [
      'link set lo up',
      `link add eth0 address ${ROUTER_MAC} type veth peer name g0 netns ${this.#sender.pid}`,
      `link add ${ifname} address ${ROUTER_MAC} type veth peer name p0 netns ${this.#pod.pid}`,
      'link set eth0 up',
      `link set ${ifname} up`,
      `neigh add ${POD_ADDRESS} lladdr 02:00:00:00:00:99 dev ${ifname} nud permanent`,
      `route add ${POD_ADDRESS} dev ${ifname}`,
      'neigh add 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent',
      'route add default via 169.254.1.1 dev eth0 onlink',
    ]);
    await runIp(this.#sender, ['link set g0 up']);
    await runIp(this.#pod, ['link set p0 up']);
  }

  async #start(settings: Readonly<Record<string, string>>): Promise<void> {
    mkdirSync(join(this.#folder, 'manifests'));
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
    const open = { action: 'Allow', protocol: 'UDP', destination: { ports: [OPEN_PORT] } };
    const allowed = globalPolicy('allow-some', { selector: 'all()', ingress: [open] });
    this.write('all.json', [namespace, podObject(POD), allowed]);
    this.#metrics = await freeAddress();
    const where = ['--manifests', join(this.#folder, 'manifests'), '--netns', this.router.path];
    this.#agent = startAgent([...where, '--node', NODE, '-o', 'json'], {
      ...this.env,
      PICKET_METRICS_ADDRESS: this.#metrics,
      PICKET_FLOW_LOG_OUTPUTS: '[]',
      ...settings,
    });
    await this.#agent.logged(/^in sync/);
  }

  async #close(): Promise<void> {
    await this.#agent?.stop('SIGKILL');
    this.#counters.close();
    await Promise.all([this.router.close(), this.#sender.close(), this.#pod.close()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Runs test/tools/flood.c to its end; returns what it says. */
async function flood(netns: Netns, args: readonly (string | number)[]): Promise<string[]> {
  const said = await netns.run(await buildTool('flood'), args.map(String));
  return said.trim().split('\n');
}
