/**
 * `picket run --kubeconfig` against an API server over HTTPS: pods and policies come from there, real packets are judged. With
 * KUBEBUILDER_ASSETS the same steps run against a real kube-apiserver and etcd, too.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { ObjectStore } from '../../support/api-server/object-store.ts';
import type { ManifestObject } from '../../support/api-server/object-store.ts';
import { RealApiServer } from '../../support/api-server/real-server.ts';
import { BUILT_IN } from '../../support/api-server/resources.ts';
import { ApiServer } from '../../support/api-server/server.ts';
import { startAgent, until } from '../../support/cli.ts';
import type { RunningAgent } from '../../support/cli.ts';
import { Fabric } from '../../support/fabric.ts';
import { ifnameOf, packetOf } from '../../support/kernel-node.ts';
import { kernelTest } from '../../support/needs.ts';

const NEEDS = ['root', 'netns', 'cc', 'addon'] as const;

const ADDRESSES = { web: '10.0.0.1', db: '10.0.0.2', other: '10.0.0.3' } as const;
type Name = keyof typeof ADDRESSES;
const NAMES = ['web', 'db', 'other'] as const;

const NAMESPACE = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };

function podOf(name: Name, app: Name = name): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels: { app } },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
    status: { phase: 'Running', podIP: ADDRESSES[name], podIPs: [{ ip: ADDRESSES[name] }] },
  };
}

/** `db` is reached from pods with label app = `from` only. */
function onlyFrom(from: Name): Record<string, unknown> {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'db', namespace: 'shop' },
    spec: {
      podSelector: { matchLabels: { app: 'db' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: from } } }] }],
    },
  };
}

const CLUSTER = [NAMESPACE, ...NAMES.map((name) => podOf(name))];

class Node {
  readonly folder = mkdtempSync(join(tmpdir(), 'picket-kube-'));
  readonly fabric: Fabric;
  #agent: RunningAgent | undefined;

  private constructor(fabric: Fabric) {
    this.fabric = fabric;
  }

  static async with(use: (node: Node) => Promise<void>): Promise<void> {
    const workloads = NAMES.map((name) => ({
      name,
      ifname: ifnameOf(name),
      addresses: [ADDRESSES[name]],
    }));
    const node = new Node(await Fabric.create({ workloads }));
    try {
      await use(node);
    } finally {
      await node.#agent?.stop('SIGKILL');
      await node.fabric.close();
      rmSync(node.folder, { recursive: true, force: true });
    }
  }

  start(...args: readonly string[]): RunningAgent {
    const where = ['--node', 'n1', '--netns', this.fabric.router.path, '-o', 'json'];
    this.#agent = startAgent([...args, ...where], {
      PICKET_RUN_DIRECTORY: join(this.folder, 'run'),
    });
    return this.#agent;
  }

  /** Who reaches `db`. */
  async reaches(): Promise<string> {
    await this.fabric.forgetConnections();
    const senders = NAMES.filter((name) => name !== 'db');
    const arrived = await this.fabric.probe(
      senders.map((from) => ({
        from,
        packet: packetOf({ from: ADDRESSES[from], to: ADDRESSES.db }),
      })),
    );
    return senders.filter((_, index) => arrived[index]).join();
  }

  /** Polls: the kernel follows the API as fast as it can, which is not at once. */
  async untilReaches(names: string): Promise<void> {
    await until(`db is reached by "${names}"`, async () => (await this.reaches()) === names);
  }
}

/** What the test needs of an API server, ours or a real one. */
interface Cluster {
  kubeconfig(): string;
  put(...objects: readonly ManifestObject[]): Promise<void>;
  remove(object: ManifestObject): Promise<void>;
  kill(): Promise<void>;
  /** Runs again, empty, its versions smaller than before, as after a disaster. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

class TestCluster implements Cluster {
  #server: ApiServer;
  readonly #first: ApiServer;
  readonly #port: number;

  constructor(server: ApiServer) {
    this.#first = server;
    this.#server = server;
    this.#port = server.port;
  }

  kubeconfig(): string {
    return this.#first.kubeconfig();
  }

  put(...objects: readonly ManifestObject[]): Promise<void> {
    this.#server.put(...objects);
    return Promise.resolve();
  }

  remove({ apiVersion, kind, metadata }: ManifestObject): Promise<void> {
    const { namespace, name } = metadata as { readonly namespace: string; readonly name: string };
    this.#server.store.remove(String(apiVersion), String(kind), namespace, name);
    return Promise.resolve();
  }

  kill(): Promise<void> {
    return this.#server.kill();
  }

  async lose(): Promise<void> {
    const { authority } = this.#first;
    this.#server = await ApiServer.start({ port: this.#port, authority });
  }

  async close(): Promise<void> {
    await this.#server.close();
    if (this.#server !== this.#first) await this.#first.close();
  }
}

async function judge(t: ExecutionContext, cluster: Cluster): Promise<void> {
  await Node.with(async (node) => {
    await cluster.put(...CLUSTER, onlyFrom('web'));
    const agent = node.start('--kubeconfig', cluster.kubeconfig());
    await agent.logged(/^in sync/);
    t.is(await node.reaches(), 'web');
    await cluster.put(onlyFrom('other'));
    await node.untilReaches('other');
    // A pod's new label lets it in.
    await cluster.put(podOf('web', 'other'));
    await node.untilReaches('web,other');
    await cluster.put(podOf('web'));
    await node.untilReaches('other');
    await cluster.kill();
    const { file } = await agent.logged(/since .* what was known stays in force/);
    t.regex(String(file), /^api https:\/\/127\.0\.0\.1:/);
    t.is(await node.reaches(), 'other');
    await cluster.lose();
    await cluster.put(...CLUSTER, onlyFrom('web'));
    await node.untilReaches('web');
    const { source } = await agent.logged(/^nothing is wrong with it any more/);
    t.is(source, 'kubernetes');
    await cluster.remove(onlyFrom('web'));
    await node.untilReaches('web,other');
    t.is((await agent.stop()).exitCode, 0);
  });
}

async function judgeOn(t: ExecutionContext, cluster: Cluster): Promise<void> {
  try {
    await judge(t, cluster);
  } finally {
    await cluster.close();
  }
}

const TITLE =
  'pods and policies of the API are enforced and followed; a server that goes changes nothing';

kernelTest(TITLE, NEEDS, async (t) => {
  const server = await ApiServer.start({ store: new ObjectStore(BUILT_IN, 5000) });
  await judgeOn(t, new TestCluster(server));
});

// Only where somebody has put the binaries of kube-apiserver and etcd: no package brings them.
const ASSETS = process.env['KUBEBUILDER_ASSETS'];
for (const hasStreamingLists of ASSETS === undefined ? [] : [true, false]) {
  kernelTest(`kube-apiserver, WatchList=${hasStreamingLists}: ${TITLE}`, NEEDS, async (t) => {
    await judgeOn(t, await RealApiServer.start(ASSETS ?? '', hasStreamingLists));
  });
}

kernelTest(
  'nothing is applied before the API is complete; the directory counts more',
  NEEDS,
  async (t) => {
    const server = await ApiServer.start();
    await Node.with(async (node) => {
      try {
        server.put(...CLUSTER, onlyFrom('web'));
        server.forbidden.add('networkpolicies');
        writeFileSync(join(node.folder, 'np.json'), JSON.stringify(onlyFrom('other')));
        const agent = node.start('--kubeconfig', server.kubeconfig(), '--manifests', node.folder);
        const { file } = await agent.logged(/the RBAC rule .* is missing/);
        t.is(file, 'api networking.k8s.io/networkpolicies');
        t.is(await node.reaches(), 'web,other');
        t.false(agent.log().some(({ msg }) => msg === 'applied'));
        server.forbidden.clear();
        await agent.logged(/^in sync/);
        t.is(await node.reaches(), 'other');
        rmSync(join(node.folder, 'np.json'));
        await node.untilReaches('web');
        t.is((await agent.stop()).exitCode, 0);
      } finally {
        await server.close();
      }
    });
  },
);
