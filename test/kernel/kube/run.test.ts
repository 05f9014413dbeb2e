/**
 * `picket run --kubeconfig` against an API server over HTTPS: pods and policies come from there, real packets are judged. With KUBECONFIG
 * and KUBE_TEST=real the same steps run against a real kube-apiserver: test/support/api-server/README.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiServer } from '../../support/api-server/server.ts';
import { ObjectStore } from '../../support/api-server/object-store.ts';
import { BUILT_IN } from '../../support/api-server/resources.ts';
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

function podOf(name: Name): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels: { app: name } },
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

const CLUSTER = [NAMESPACE, ...NAMES.map(podOf)];

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

kernelTest(
  'pods and policies of the API are enforced, and followed; a server that is gone changes nothing',
  NEEDS,
  async (t) => {
    const first = await ApiServer.start({ store: new ObjectStore(BUILT_IN, 5000) });
    const { port, authority } = first;
    await Node.with(async (node) => {
      try {
        first.put(...CLUSTER, onlyFrom('web'));
        const agent = node.start('--kubeconfig', first.kubeconfig());
        await agent.logged(/^in sync/);
        t.is(await node.reaches(), 'web');
        first.put(onlyFrom('other'));
        await node.untilReaches('other');
        // A pod's new label lets it in.
        first.put({
          ...podOf('web'),
          metadata: { name: 'web', namespace: 'shop', labels: { app: 'other' } },
        });
        await node.untilReaches('web,other');
        first.put(podOf('web'));
        await node.untilReaches('other');
        await first.kill();
        const { file } = await agent.logged(/since .* what was known stays in force/);
        t.regex(String(file), /^api https:\/\/127\.0\.0\.1:/);
        t.is(await node.reaches(), 'other');
        // As after a restore: smaller versions, other content.
        const second = await ApiServer.start({ port, authority });
        try {
          second.put(...CLUSTER);
          second.put(onlyFrom('web'));
          await node.untilReaches('web');
          second.store.remove('networking.k8s.io/v1', 'NetworkPolicy', 'shop', 'db');
          await node.untilReaches('web,other');
        } finally {
          await second.close();
        }
        t.is((await agent.stop()).exitCode, 0);
      } finally {
        await first.close();
      }
    });
  },
);

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
