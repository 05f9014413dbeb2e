/**
 * `npm run demo`: builds four workloads around a router, lets `picket apply` enforce the policies of manifests/, tries every
 * pair with real sockets and shows what happened and who decided. Exit code 0 when all is as expected, 1 otherwise.
 * Leaves nothing behind, however it ends.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { loadNative } from '../agent/native/native.ts';
import { NetlinkSocket } from '../agent/netlink/socket.ts';
import { projectPath } from '../test/support/tools.ts';
import { COUNTERS_PROTOCOL, moved, readCounts } from './counters.ts';
import { describeDecision } from './decision.ts';
import { PodClient } from './pod-client.ts';
import {
  isExpected,
  LOG_RULES,
  NODE_NAME,
  STORY,
  WORKLOADS,
  type DemoWorkload,
  type Transport,
} from './scenario.ts';
import { isAsExpected, printTable, type Row } from './table.ts';
import { buildWorld, interfaceName } from './world.ts';

const MANIFESTS = projectPath('demo/manifests');

/** An answer takes well under a millisecond here; where one is expected, a busy machine gets more time. */
const PATIENCE_MS = { expected: 5000, unexpected: 250 } as const;

const LEGEND =
  'Decided by: the kernel counters that moved. knp = Kubernetes NetworkPolicy, gnp = GlobalNetworkPolicy, ' +
  '[n] = its rule, from 0.';

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

const colours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;

process.exitCode = await main().catch((error: unknown) => {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
});

async function main(): Promise<number> {
  // Namespaces and the programs inside end with this process.
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.once(signal, () => process.exit(code));
  }
  const world = await buildWorld(WORKLOADS);
  const clients = new Map<string, PodClient>();
  try {
    for (const workload of WORKLOADS) {
      const pod = world.pods.get(workload.name);
      if (pod !== undefined) clients.set(workload.name, await PodClient.start(pod, workload.port));
    }
    describeScene();
    await applyPolicies(world.router.path);
    const rows = await probeAll(clients, world.router.path);
    console.log(`\n${printTable(rows, colours)}\n\n${LEGEND}\n`);
    return conclude(rows);
  } finally {
    for (const client of clients.values()) client.close();
    await Promise.all([...world.pods.values(), world.router].map((netns) => netns.close()));
  }
}

function describeScene(): void {
  console.log('Workloads, each a network namespace with its own IP stack around one router:\n');
  for (const workload of WORKLOADS) {
    const name = `${workload.namespace}/${workload.name}`.padEnd(16);
    const addresses = workload.addresses.map((text) => text.padEnd(12)).join(' ');
    const port = String(workload.port).padEnd(5);
    console.log(`  ${name} ${addresses} port ${port}  ${interfaceName(workload)}`);
  }
  console.log('\nPolicies, in the order in which they are asked:\n');
  for (const line of STORY) console.log(`  ${line}`);
}

/** Runs the real command, as a person would. */
async function applyPolicies(netnsPath: string): Promise<void> {
  const args = ['apply', '--manifests', MANIFESTS, '--node', NODE_NAME, '--netns', netnsPath];
  console.log(`\n$ picket ${args.join(' ')}`);
  // The demo leaves nothing behind: a state for the next boot neither.
  const folder = mkdtempSync(join(tmpdir(), 'picket-demo-'));
  const env = { PICKET_RUN_DIRECTORY: folder, PICKET_STATE_DIRECTORY: folder };
  const apply = execa(projectPath('bin/picket'), args, { all: true, reject: false, env });
  const leave = (): void => {
    apply.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', leave);
  const result = await apply;
  leave();
  process.off('exit', leave);
  console.log(result.all);
  if (result.exitCode !== 0) throw new Error(`picket apply ended with ${result.exitCode}`);
}

async function probeAll(
  clients: ReadonlyMap<string, PodClient>,
  netnsPath: string,
): Promise<Row[]> {
  const socket = NetlinkSocket.open(loadNative(), { protocol: COUNTERS_PROTOCOL, netnsPath });
  try {
    const rows: Row[] = [];
    for (const [name, client] of clients) {
      for (const server of WORKLOADS.filter((workload) => workload.name !== name)) {
        rows.push(await probe(socket, name, client, server, 'TCP'));
        rows.push(await probe(socket, name, client, server, 'UDP'));
      }
    }
    return rows;
  } finally {
    socket.close();
  }
}

/** One row: both families at once, and the counters that moved meanwhile. */
async function probe(
  socket: NetlinkSocket,
  name: string,
  client: PodClient,
  server: DemoWorkload,
  transport: Transport,
): Promise<Row> {
  const expected = isExpected(name, server.name, transport);
  const timeoutMs = expected ? PATIENCE_MS.expected : PATIENCE_MS.unexpected;
  const before = await readCounts(socket);
  const [v4, v6] = await Promise.all(
    server.addresses.map((host) =>
      client.attempt({ transport, host, port: server.port, timeoutMs }),
    ),
  );
  const names = moved(before, await readCounts(socket));
  const both = v4 === true ? 'allowed' : 'blocked';
  return {
    client: name,
    server: server.name,
    service: `${transport} ${server.port}`,
    expected: expected ? 'allowed' : 'blocked',
    observed: v4 === v6 ? both : v4 === true ? 'only IPv4' : 'only IPv6',
    decidedBy: describeDecision(names, LOG_RULES),
  };
}

function conclude(rows: readonly Row[]): number {
  const wrong = rows.filter((row) => !isAsExpected(row));
  if (wrong.length === 0) {
    console.log(`All ${rows.length} rows, each over IPv4 and IPv6, are as the policies say.`);
    return 0;
  }
  console.log(`${wrong.length} of ${rows.length} rows are not as the policies say.`);
  return 1;
}
