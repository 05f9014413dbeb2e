/**
 * Workloads wherever they are: behind a real Linux bridge, on an interface of any name, on one that appears or moves while the agent
 * follows. Manifests and links in, real packets judged by the kernel. Design section 7.
 */
import type { ExecutionContext } from 'ava';
import type { Placement } from '../../compiler/nft/dispatch.ts';
import { withFollowed } from '../support/followed.ts';
import {
  globalPolicy,
  ifnameOf,
  packetOf,
  podObject,
  reversed,
  withNode,
} from '../support/kernel-node.ts';
import type { KernelNode, PacketSpec, PodSpec } from '../support/kernel-node.ts';
import { kernelTest } from '../support/needs.ts';
import { runIp } from '../support/netns.ts';
import { requireSystemTool } from '../support/tools.ts';

const A: PodSpec = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'], ifname: 'vetha' };
const B: PodSpec = { name: 'b', addresses: ['10.0.0.2', 'fd00::2'], ifname: 'vethb' };
const C: PodSpec = { name: 'c', addresses: ['10.0.1.3', 'fd01::3'] };
const ROUTER = ['192.0.2.1', '2001:db8:ffff::1'] as const;
const OUTSIDE = ['203.0.113.9', '2001:db8::9'] as const;
const NEEDS = ['netns', 'cc', 'addon'] as const;

/** `a` reaches only port 80 of anything, and is reached only on port 81. */
const POLICY = globalPolicy('a', {
  selector: "app == 'a'",
  types: ['Ingress', 'Egress'],
  ingress: [{ action: 'Allow', protocol: 'TCP', destination: { ports: [81] } }],
  egress: [{ action: 'Allow', protocol: 'TCP', destination: { ports: [80] } }],
});

interface Row extends PacketSpec {
  readonly at: string;
  readonly out: boolean;
}

/** Everything that POLICY says, in both families; `toHost` = an allowed packet to the node arrives. */
function policyRows(a: PodSpec, toHost: boolean): Row[] {
  return [0, 1].flatMap((family): Row[] => {
    const own = a.addresses[family] ?? '';
    const c = C.addresses[family] ?? '';
    const outside = OUTSIDE[family] ?? '';
    const router = ROUTER[family] ?? '';
    return [
      { at: 'a', from: own, to: outside, dport: 80, out: true },
      { at: 'a', from: own, to: outside, dport: 82, out: false },
      { at: 'a', from: own, to: c, dport: 80, out: true },
      { at: 'a', from: own, to: c, dport: 82, out: false },
      { at: 'a', from: own, to: router, dport: 80, out: toHost },
      { at: 'a', from: own, to: router, dport: 82, out: false },
      { at: 'external', from: outside, to: own, dport: 81, out: true },
      { at: 'external', from: outside, to: own, dport: 83, out: false },
      { at: 'c', from: c, to: own, dport: 81, out: true },
      { at: 'c', from: c, to: own, dport: 83, out: false },
      { at: 'router', from: router, to: own, dport: 83, out: true },
    ];
  });
}

async function judge(t: ExecutionContext, node: KernelNode, rows: readonly Row[]): Promise<void> {
  await node.fabric.forgetConnections();
  const arrived = await node.fabric.probe(
    rows.map((row) => ({ from: row.at, packet: packetOf(row) })),
  );
  const wrong = rows.filter((row, index) => row.out !== arrived[index]);
  t.deepEqual(
    wrong.map(({ at, from, to, dport, out }) => `${at}: ${from} > ${to} ${dport} is not ${out}`),
    [],
  );
}

/** Puts the pods' wires behind `br0`: `routes` = host routes to the bridge, `subnet` = only its connected subnets. */
async function bridge(
  node: KernelNode,
  pods: readonly PodSpec[],
  how: 'routes' | 'subnet',
): Promise<void> {
  const { router } = node.fabric;
  const neighbours = await router.run(requireSystemTool('ip'), ['-j', 'neigh', 'show']);
  const known = JSON.parse(neighbours) as { dst: string; lladdr: string }[];
  const macOf = (address: string): string =>
    known.find(({ dst }) => dst === address)?.lladdr ?? `no neighbour ${address}`;
  await runIp(router, [
    'link add br0 address ee:ee:ee:ee:ee:ee type bridge mcast_snooping 0',
    ...pods.map(({ ifname = '' }) => `link set ${ifname} master br0`),
    // Now that it has a carrier, its queue opens with it and not a moment later.
    'link set br0 up',
    ...pods.flatMap(({ ifname = '', addresses }) =>
      addresses.flatMap((address) => [
        `route del ${address} dev ${ifname}`,
        `neigh add ${address} lladdr ${macOf(address)} dev br0 nud permanent`,
        ...(how === 'routes' ? [`route add ${address} dev br0`] : []),
      ]),
    ),
    ...(how === 'subnet'
      ? ['addr add 10.0.0.254/24 dev br0', 'addr add fd00::fe/64 dev br0 nodad']
      : []),
  ]);
}

function placementOf(node: KernelNode, pod: string): Placement | undefined {
  return node.engine.compiler.endpoint(`shop/${pod}`)?.placement;
}

const BY_ADDRESS: Placement = { interfaces: [ifnameOf('a')], byAddress: true };

for (const how of ['routes', 'subnet'] as const) {
  for (const pods of [[A], [A, B]]) {
    for (const endpointToHostAction of ['accept', 'drop'] as const) {
      const title = `${pods.length} pods behind a bridge, ${how}, to the node: ${endpointToHostAction}`;
      kernelTest(title, NEEDS, (t) =>
        withNode({ pods: [...pods, C], base: { endpointToHostAction } }, async (node) => {
          await bridge(node, pods, how);
          node.put(POLICY);
          await node.apply();
          t.deepEqual(placementOf(node, 'a'), BY_ADDRESS);
          await judge(t, node, policyRows(A, endpointToHostAction === 'accept'));
        }),
      );
    }
  }
}

kernelTest('behind a bridge replies pass, and a deleted pod is governed no more', NEEDS, (t) =>
  withNode({ pods: [A, B, C], base: { endpointToHostAction: 'drop' } }, async (node) => {
    await bridge(node, [A, B], 'routes');
    node.put(POLICY);
    await node.apply();
    for (const family of [0, 1]) {
      const [router = '', own = ''] = [ROUTER[family], A.addresses[family]];
      const question = packetOf({ from: router, to: own, dport: 90 });
      t.true(await node.passes('router', question, { tcpFlags: 'syn' }));
      t.true(await node.passes('a', reversed(question), { tcpFlags: 'syn-ack' }));
    }
    node.remove(podObject(A));
    const { released } = await node.apply();
    t.is(released.length, 2);
    const sets = ['addresses4', 'addresses6', 'from-address4', 'to-address6'];
    t.deepEqual(
      sets.map((set) => node.engine.table.elementsOf(set).length),
      [1, 1, 1, 1],
      'only b is left',
    );
    await judge(t, node, [
      { at: 'a', from: '10.0.0.1', to: OUTSIDE[0], dport: 82, out: true },
      { at: 'external', from: OUTSIDE[1], to: 'fd00::1', dport: 83, out: true },
    ]);
  }),
);

kernelTest('a neighbour on the bridge that is no pod stays untouched', NEEDS, (t) =>
  withNode({ pods: [A, C] }, async (node) => {
    await node.fabric.addWorkloads([
      { name: 'vm', ifname: 'vethv', addresses: ['10.0.0.7', 'fd00::7'] },
    ]);
    await bridge(
      node,
      [A, { name: 'vm', addresses: ['10.0.0.7', 'fd00::7'], ifname: 'vethv' }],
      'routes',
    );
    node.put(POLICY);
    await node.apply();
    await judge(t, node, [
      { at: 'vm', from: '10.0.0.7', to: OUTSIDE[0], dport: 82, out: true },
      { at: 'vm', from: 'fd00::7', to: 'fd01::3', dport: 82, out: true },
      { at: 'external', from: OUTSIDE[0], to: '10.0.0.7', dport: 83, out: true },
      { at: 'a', from: '10.0.0.1', to: OUTSIDE[0], dport: 82, out: false },
    ]);
  }),
);

kernelTest(
  "the device of a host route is the pod's own, by IPv4, by IPv6, by either",
  NEEDS,
  async (t) => {
    for (const addresses of [A.addresses, ['10.0.0.1'], ['fd00::1']]) {
      await withNode({ pods: [{ ...A, addresses }, C] }, async (node) => {
        node.put(POLICY);
        await node.apply();
        t.deepEqual(placementOf(node, 'a'), { interfaces: ['vetha'], byAddress: false });
        const own = policyRows(A, true).filter(
          ({ from, to }) => addresses.includes(from) || addresses.includes(to),
        );
        await judge(t, node, own);
        await judge(t, node, [
          { at: 'a', from: '10.0.0.77', to: OUTSIDE[0], dport: 80, out: false },
          { at: 'a', from: 'fd00::77', to: OUTSIDE[1], dport: 80, out: false },
        ]);
      });
    }
  },
);

kernelTest("a host route through a gateway makes no interface a pod's own", NEEDS, (t) =>
  withNode({ pods: [A, C] }, async (node) => {
    await runIp(node.fabric.router, [
      ...A.addresses.map((address) => `route del ${address} dev vetha`),
      'route add 10.0.0.1 via 169.254.1.1 dev eth0 onlink',
      'route add fd00::1 via fe80::1 dev eth0',
    ]);
    await node.apply();
    t.deepEqual(placementOf(node, 'a'), BY_ADDRESS);
    await judge(t, node, [
      { at: 'external', from: OUTSIDE[0], to: C.addresses[0] ?? '', out: true },
      { at: 'external', from: OUTSIDE[1], to: C.addresses[1] ?? '', out: true },
    ]);
  }),
);

kernelTest(
  "a cali interface that appears later becomes the pod's own, governed all along",
  NEEDS,
  (t) =>
    withNode({ pods: [C] }, (node) =>
      withFollowed(node, async (followed) => {
        const late = { name: 'a', addresses: A.addresses };
        const cali = ifnameOf('a');
        node.put(POLICY, podObject(late));
        await node.apply(await followed.current());
        t.deepEqual(placementOf(node, 'a'), BY_ADDRESS);
        await node.fabric.addWorkloads([{ ...late, ifname: cali }]);
        await judge(t, node, policyRows(A, true));
        await node.apply(await followed.until(({ links }) => links.has(cali)));
        t.deepEqual(placementOf(node, 'a'), { interfaces: [cali], byAddress: false });
        t.deepEqual(node.engine.table.elementsOf('from-address4'), []);
        await judge(t, node, policyRows(A, true));
        await runIp(node.fabric.router, [`link del ${cali}`]);
        await node.apply(await followed.until(({ links }) => !links.has(cali)));
        t.deepEqual(placementOf(node, 'a'), BY_ADDRESS);
      }),
    ),
);

kernelTest('placement follows a bridge: plugged in, and out again', NEEDS, (t) =>
  withNode({ pods: [A, B, C] }, (node) =>
    withFollowed(node, async (followed) => {
      node.put(POLICY);
      await node.apply(await followed.current());
      const own = { interfaces: ['vetha'], byAddress: false };
      t.deepEqual(placementOf(node, 'a'), own);
      await bridge(node, [A, B], 'routes');
      await node.apply(
        await followed.until(({ hostRoutes }) => !A.addresses.some((ip) => hostRoutes.has(ip))),
      );
      t.deepEqual(placementOf(node, 'a'), BY_ADDRESS);
      await judge(t, node, policyRows(A, true));
      await runIp(node.fabric.router, [
        'link set vetha nomaster',
        'neigh flush dev br0',
        ...A.addresses.map((address) => `route del ${address} dev br0`),
        ...A.addresses.map((address) => `route add ${address} dev vetha`),
      ]);
      await node.apply(
        await followed.until(({ hostRoutes }) =>
          A.addresses.every((ip) => hostRoutes.get(ip) === 'vetha'),
        ),
      );
      t.deepEqual(placementOf(node, 'a'), own);
      await judge(t, node, policyRows(A, true));
    }),
  ),
);

kernelTest(
  'a host route that moves takes the pod along; one that turns to a gateway lets go',
  NEEDS,
  (t) =>
    withNode({ pods: [A, C] }, (node) =>
      withFollowed(node, async (followed) => {
        await node.apply(await followed.current());
        await node.fabric.addWorkloads([{ name: 'new', ifname: 'vethn', addresses: [] }]);
        const moved = A.addresses.map((address) => `route replace ${address} dev vethn`);
        await runIp(node.fabric.router, [
          ...moved.slice(0, 1),
          'route del fd00::1 dev vetha',
          'route add fd00::1 dev vethn',
        ]);
        await node.apply(
          await followed.until(({ hostRoutes }) =>
            A.addresses.every((ip) => hostRoutes.get(ip) === 'vethn'),
          ),
        );
        t.deepEqual(placementOf(node, 'a'), { interfaces: ['vethn'], byAddress: false });
        await runIp(node.fabric.router, [
          'route replace 10.0.0.1 via 169.254.1.1 dev eth0 onlink',
          'route del fd00::1 dev vethn',
        ]);
        await node.apply(
          await followed.until(({ hostRoutes }) => !A.addresses.some((ip) => hostRoutes.has(ip))),
        );
        t.deepEqual(placementOf(node, 'a'), BY_ADDRESS);
      }),
    ),
);

kernelTest("a link that goes down is a pod's own no more: its routes are gone", NEEDS, (t) =>
  withNode({ pods: [{ ...A, addresses: ['10.0.0.1'] }, C] }, (node) =>
    withFollowed(node, async (followed) => {
      await node.apply(await followed.current());
      t.deepEqual(placementOf(node, 'a'), { interfaces: ['vetha'], byAddress: false });
      await runIp(node.fabric.router, ['link set vetha down']);
      await node.apply(await followed.until(({ hostRoutes }) => !hostRoutes.has('10.0.0.1')));
      t.deepEqual(placementOf(node, 'a'), BY_ADDRESS);
    }),
  ),
);
