/**
 * Beside the rules of others, before and after them: nothing of theirs changes, byte for byte; packet marks survive; a packet arrives
 * when both sides let it, and only then. What the others' rules look like is in neighbours/.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { caliInterfaceName } from '../../../agent/endpoints/placement.ts';
import { printAddress } from '../../../compiler/model/ip.ts';
import { readTruthTable } from '../../support/case-packets.ts';
import type { CasePacket } from '../../support/case-packets.ts';
import { picket, startAgent, until } from '../../support/cli.ts';
import { Fabric } from '../../support/fabric.ts';
import type { Probe } from '../../support/fabric.ts';
import { kernelTest } from '../../support/needs.ts';
import { projectPath, requireSystemTool } from '../../support/tools.ts';
import { CLOSING, MANIFESTS, NODE } from './manifests.ts';

const CAPS = ['root', 'netns', 'addon', 'cc', 'nft', 'iptables'] as const;

const WORKLOADS = [
  { name: 'web', addresses: ['10.0.0.1'] },
  { name: 'db', addresses: ['10.0.0.2'] },
].map((pod) => ({ ...pod, ifname: caliInterfaceName('cali', 'shop', pod.name) }));

const CONTAINER = { name: 'container', ifname: 'docker0', nets: ['172.17.0.2/32'] };

/** What policy says, which every neighbour lets through that it does not name below. Lines as in packets.txt of the cases. */
const OURS = `
  allow tcp 203.0.113.9 -> 10.0.0.1:8080
  deny  tcp 203.0.113.9 -> 10.0.0.1:22
  deny  tcp 203.0.113.9 -> 10.0.0.2:5432
  allow tcp 10.0.0.1 -> 10.0.0.2:5432
  deny  tcp 10.0.0.1 -> 10.0.0.2:22
  allow tcp 10.0.0.2 -> 10.0.0.1:8080
  allow tcp 10.0.0.1 -> 203.0.113.9:443
  allow tcp 203.0.113.9 -> 192.0.2.1:22
  deny  tcp 203.0.113.9 -> 192.0.2.1:25
  deny  tcp 203.0.113.9 -> 192.0.2.1:5432
  deny  tcp 203.0.113.66 -> 192.0.2.1:80        # untracked
  deny  tcp 203.0.113.66 -> 10.0.0.1:8080
  deny  tcp 203.0.113.9 -> 192.0.2.1:9090       # pre-DNAT
  allow udp 192.0.2.1 -> 203.0.113.9:123
  allow tcp 192.0.2.1 -> 10.0.0.1:8080`;

const HOST_WEB = 'tcp 203.0.113.9 -> 192.0.2.1:80';

interface Neighbour {
  readonly name: string;
  readonly file: string;
  readonly packets: string;
}

const NEIGHBOURS: readonly Neighbour[] = [
  {
    name: 'kube-proxy',
    file: 'kube-proxy.nft',
    packets: `
      allow ${HOST_WEB}
      allow tcp 10.0.0.2 -> 10.0.0.1:8080 via 10.96.0.10:80
      allow tcp 10.0.0.1 -> 10.0.0.2:5432 via 10.96.0.12:5432
      deny  tcp 203.0.113.9 -> 10.0.0.2:5432 via 10.96.0.12:5432
      deny  tcp 10.0.0.2 -> 10.96.0.11:80       # no endpoints: kube-proxy's`,
  },
  {
    name: 'Docker',
    file: 'docker.iptables',
    packets: `
      allow ${HOST_WEB}
      allow tcp 203.0.113.9 -> 172.17.0.2:80 via 192.0.2.1:8080
      deny  tcp 203.0.113.9 -> 172.17.0.2:90 via 192.0.2.1:9090
      deny  tcp 203.0.113.9 -> 172.17.0.2:22    # Docker's policy`,
  },
  {
    name: 'firewalld',
    file: 'firewalld.nft',
    packets: `
      deny  ${HOST_WEB}                         # its zone public`,
  },
  {
    name: 'packet marks',
    file: 'marks.iptables',
    packets: `
      allow ${HOST_WEB}`,
  },
];

/** Before the others at "filter", among them, and after firewalld, which is at 10; with what nft prints. */
const PRIORITIES = [
  [-10, 'filter - 10'],
  [0, 'filter'],
  [20, '20'],
] as const;

for (const neighbour of NEIGHBOURS) {
  kernelTest(`beside ${neighbour.name}: nothing of it changes, and both hold`, CAPS, (t) =>
    withNode(neighbour, async (node) => {
      const untouched = await node.others();
      t.true(untouched.length > 500, untouched);
      const applied = await picket(['apply', ...node.options]);
      t.deepEqual([applied.exitCode, applied.stderr], [0, '']);
      t.is(await node.others(), untouched, 'apply');

      await runThrough(t, node, neighbour);
      const before = await node.others();
      t.is((await picket(['cleanup', '--netns', node.fabric.router.path])).exitCode, 0);
      t.is(await node.others(), before, 'cleanup');
      t.notRegex(await node.nft('list', 'tables'), /picket/);
      t.is(withoutCounts(before), withoutCounts(untouched), 'packets change counters alone');
    }),
  );
}

/** A running agent at every priority, a change of policy, and the end. */
async function runThrough(t: ExecutionContext, node: Node, neighbour: Neighbour): Promise<void> {
  const agent = startAgent([...node.options, '-o', 'json'], {});
  try {
    await agent.logged(/^in sync/);
    for (const [priority, printed] of PRIORITIES) {
      const before = await node.others();
      const from = agent.log().length;
      node.configure(priority);
      process.kill(agent.pid, 'SIGHUP');
      await agent.logged(/^in sync/, from);
      t.is(await node.others(), before, `reload at ${priority}`);
      const ours = await node.nft('list', 'table', 'inet', 'picket');
      t.true(ours.includes(`hook output priority ${printed};`), ours);
      await node.judge(t, OURS, `at ${priority}`);
      await node.judge(t, neighbour.packets, `at ${priority}`);
    }
    const before = await node.others();
    node.write('closing.yaml', CLOSING);
    await until('a change', () => node.hasPolicy('closing'));
    t.is(await node.others(), before, 'a change');
    await node.judge(t, 'deny tcp 203.0.113.9 -> 10.0.0.1:8080', 'after a change');
    const counted = await node.others();
    t.is((await agent.stop()).exitCode, 0);
    t.is(await node.others(), counted, 'the end of run');
  } finally {
    await agent.stop('SIGKILL');
  }
}

interface Node {
  readonly fabric: Fabric;
  readonly options: readonly string[];
  configure(priority: number): void;
  write(name: string, text: string): void;
  /** Everything that is not ours, as nft lists it. */
  others(): Promise<string>;
  nft(...args: readonly string[]): Promise<string>;
  hasPolicy(name: string): Promise<boolean>;
  /** Sends packets, each of which opens a connection of its own. */
  judge(t: ExecutionContext, packets: string, when: string): Promise<void>;
}

async function withNode({ file }: Neighbour, use: (node: Node) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'picket-coexistence-'));
  const fabric = await Fabric.create({
    workloads: WORKLOADS,
    routerAddresses: [],
    externalAddresses: ['192.0.2.1'],
    hostInterfaces: [CONTAINER],
  });
  const { router } = fabric;
  // By rename: half a file would be read as one.
  const put = (path: string, text: string): void => {
    writeFileSync(join(folder, 'unfinished'), text);
    renameSync(join(folder, 'unfinished'), path);
  };
  const nft = (...args: readonly string[]): Promise<string> =>
    router.run(requireSystemTool('nft'), args);
  const node: Node = {
    fabric,
    options: ['-c', join(folder, 'picket.yaml'), '--netns', router.path],
    configure: (priority) => {
      const text = `node: ${NODE}\nmanifests: ${folder}/policies.d\nfilterPriority: ${priority}\n`;
      put(join(folder, 'picket.yaml'), text);
    },
    write: (name, text) => put(join(folder, 'policies.d', name), text),
    others: async () => {
      const tables = (await nft('list', 'tables')).split('\n').filter((line) => line !== '');
      const theirs = tables.filter((line) => line !== 'table inet picket');
      const texts = theirs.map((line) => nft('list', ...line.split(' ')));
      return (await Promise.all(texts)).join('\n');
    },
    nft,
    hasPolicy: async (name) =>
      (await nft('list', 'table', 'inet', 'picket')).includes(`gnp/${name}`),
    judge: async (t, packets, when) => {
      const sent = readTruthTable(packets).packets;
      await fabric.forgetConnections();
      const arrived = await fabric.probe(sent.map(probeOf));
      const told = sent.map(({ text }, at) => `${text}: ${String(arrived[at])}`);
      const expected = sent.map(({ text, verdict }) => `${text}: ${String(verdict === 'allow')}`);
      t.deepEqual(told, expected, when);
    },
  };
  try {
    const rules = readFileSync(projectPath(`test/kernel/coexistence/neighbours/${file}`), 'utf8');
    if (file.endsWith('.nft')) await router.run(requireSystemTool('nft'), ['-f', '-'], rules);
    else await router.run(requireSystemTool('iptables-nft-restore'), [], rules);
    node.configure(0);
    mkdirSync(join(folder, 'policies.d'));
    node.write('all.yaml', MANIFESTS);
    await use(node);
  } finally {
    await fabric.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function probeOf({ packet, before }: CasePacket): Probe {
  return { from: placeOf(packet.saddr), packet: before?.packet ?? packet, arrivesAs: packet };
}

function placeOf(address: CasePacket['packet']['saddr']): string {
  const source = printAddress(address);
  const pod = WORKLOADS.find(({ addresses }) => addresses.includes(source));
  return pod?.name ?? (source === '192.0.2.1' ? 'router' : 'external');
}

function withoutCounts(listing: string): string {
  return listing.replaceAll(/packets \d+ bytes \d+/g, 'packets 0 bytes 0');
}
