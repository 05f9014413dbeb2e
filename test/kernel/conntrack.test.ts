/** What the kernel remembers of connections goes with the endpoint, and only that. Real packets, the real connection table. */
import type { ExecutionContext } from 'ava';
import { openConnectionSweep } from '../../agent/dataplane/connection-sweep.ts';
import { NetlinkSocket } from '../../agent/netlink/socket.ts';
import { deleteConnections, deleteOneByOne } from '../../agent/netlink/conntrack.ts';
import { messages, readAck } from '../../agent/netlink/message.ts';
import type { Exchanger } from '../../agent/netlink/request.ts';
import { loadNative } from '../../agent/native/native.ts';
import type { Address } from '../../compiler/model/ip.ts';
import { KernelNode, packetOf, podObject, reversed, withNode } from '../support/kernel-node.ts';
import { kernelTest } from '../support/needs.ts';
import { requireSystemTool } from '../support/tools.ts';
import { address } from '../support/world.ts';

const A = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'] };
const B = { name: 'b', addresses: ['10.0.0.2', 'fd00::2'] };
const C = { name: 'c', addresses: ['10.0.0.3', 'fd00::3'] };
const NEEDS = ['netns', 'cc', 'addon', 'conntrack'] as const;

/** A TCP connection through the router, opened to the end of its handshake. */
async function connect(
  node: KernelNode,
  t: ExecutionContext,
  [from, source]: readonly [string, string],
  [to, destination]: readonly [string, string],
  sport: number,
): Promise<void> {
  const packet = packetOf({ from: source, to: destination, sport });
  t.true(await node.passes(from, packet, { tcpFlags: 'syn' }));
  t.true(await node.passes(to, reversed(packet), { tcpFlags: 'syn-ack' }));
  t.true(await node.passes(from, packet, { tcpFlags: 'ack' }));
}

/** Source ports of the opening direction, sorted: who is still known. */
async function tracked(node: KernelNode): Promise<number[]> {
  const conntrack = requireSystemTool('conntrack');
  const lists = await Promise.all(
    ['ipv4', 'ipv6'].map((family) => node.fabric.router.run(conntrack, ['-L', '-f', family])),
  );
  const ports = lists
    .join('\n')
    .split('\n')
    .flatMap((line) => /^tcp .*?sport=(\d+)/.exec(line)?.[1] ?? []);
  return ports.map(Number).sort((x, y) => x - y);
}

async function connectAll(node: KernelNode, t: ExecutionContext): Promise<void> {
  await connect(node, t, ['a', '10.0.0.1'], ['b', '10.0.0.2'], 41_001);
  await connect(node, t, ['b', '10.0.0.2'], ['a', '10.0.0.1'], 41_002);
  await connect(node, t, ['a', 'fd00::1'], ['b', 'fd00::2'], 41_003);
  await connect(node, t, ['b', 'fd00::2'], ['a', 'fd00::1'], 41_004);
  await connect(node, t, ['b', '10.0.0.2'], ['c', '10.0.0.3'], 41_005);
  await connect(node, t, ['c', 'fd00::3'], ['b', 'fd00::2'], 41_006);
}

async function forget(node: KernelNode, released: readonly Address[]): Promise<void> {
  const { signal } = new AbortController();
  const sweep = openConnectionSweep(loadNative(), node.fabric.router.path, signal, ({ error }) => {
    throw error;
  });
  sweep.add(released);
  await sweep.idle();
}

kernelTest('a deleted pod takes its connections along, and no others', NEEDS, (t) =>
  withNode({ pods: [A, B, C] }, async (node) => {
    t.deepEqual((await node.apply()).released, []);
    await connectAll(node, t);
    t.deepEqual(await tracked(node), [41_001, 41_002, 41_003, 41_004, 41_005, 41_006]);
    node.remove(podObject(A));
    const { released } = await node.apply();
    t.deepEqual(released, A.addresses.map(address));
    await forget(node, released);
    t.deepEqual(await tracked(node), [41_005, 41_006]);
  }),
);

kernelTest("a pod that gets a dead pod's address inherits none of its connections", NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.apply();
    await connect(node, t, ['a', '10.0.0.1'], ['b', '10.0.0.2'], 41_001);
    const late = packetOf({ from: '10.0.0.2', to: '10.0.0.1', sport: 80, dport: 41_001 });
    node.put(denyAll());
    node.remove(podObject(A));
    await forget(node, (await node.apply()).released);
    // A pod of the same name and address comes back on the same interface.
    node.put(podObject({ ...A, created: '2026-02-02T00:00:00Z' }));
    t.deepEqual((await node.apply()).released, []);
    t.false(await node.passes('b', late, { tcpFlags: 'ack' }), 'policy judges it anew');
  }),
);

kernelTest('a pod replaced under the same name and address at once inherits nothing', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.apply();
    node.put(podObject({ ...A, created: '2026-02-02T00:00:00Z' }));
    const { released, transactions } = await node.apply();
    t.is(transactions, 0, 'the rules are the same');
    t.deepEqual(released, A.addresses.map(address));
  }),
);

kernelTest('an address that a newer pod takes over is released by the older one', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.apply();
    const thief = { name: 'b', addresses: [...B.addresses, '10.0.0.1'] };
    node.put(podObject({ ...thief, created: '2026-02-02T00:00:00Z' }));
    const { released } = await node.apply();
    t.deepEqual(
      released.filter(({ value }) => value === address('10.0.0.1').value),
      [address('10.0.0.1')],
    );
  }),
);

kernelTest('a pod that went while the agent was down is released at the next start', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.apply();
    const next = KernelNode.reopen(node, [B]);
    const { released } = await next.apply();
    t.deepEqual(
      released.toSorted((x, y) => x.family - y.family),
      A.addresses.map(address),
    );
    t.deepEqual((await next.apply()).released, []);
  }),
);

kernelTest('an unchanged restart releases nothing', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.apply();
    const next = KernelNode.reopen(node, [A, B]);
    const { released, transactions } = await next.apply();
    t.deepEqual({ released, transactions }, { released: [], transactions: 0 });
  }),
);

for (const way of [
  { name: 'by filter', remove: deleteConnections },
  { name: 'one by one, as before Linux 6.8', remove: deleteOneByOne },
  {
    name: 'one by one, when the kernel refuses the filter',
    remove: (socket: Exchanger, addresses: readonly Address[]) =>
      deleteConnections(withoutFilter(socket), addresses),
  },
]) {
  kernelTest(`connections are deleted ${way.name}`, NEEDS, (t) =>
    withNode({ pods: [A, B, C] }, async (node) => {
      await node.apply();
      await connectAll(node, t);
      const options = { protocol: 12, netnsPath: node.fabric.router.path };
      const socket = NetlinkSocket.open(loadNative(), options);
      try {
        await way.remove(socket, [address('10.0.0.1')]);
        t.deepEqual(await tracked(node), [41_003, 41_004, 41_005, 41_006]);
        await way.remove(socket, [address('fd00::1'), address('10.9.9.9')]);
        t.deepEqual(await tracked(node), [41_005, 41_006]);
        await way.remove(socket, [address('fd00::3')]);
        t.deepEqual(await tracked(node), [41_005]);
        await way.remove(socket, []);
        await way.remove(socket, [address('10.0.0.3')]);
        t.deepEqual(await tracked(node), []);
      } finally {
        socket.close();
      }
    }),
  );
}

kernelTest('many addresses at once', NEEDS, (t) =>
  withNode({ pods: [A, B, C] }, async (node) => {
    await node.apply();
    await connectAll(node, t);
    const strangers = Array.from({ length: 100 }, (_, index) => address(`10.9.0.${index}`));
    await forget(node, [...strangers, address('10.0.0.1'), address('fd00::3')]);
    t.deepEqual(await tracked(node), [41_003, 41_004, 41_005]);
  }),
);

kernelTest('addresses that NAT gave away or brought in are found too', [...NEEDS, 'nft'], (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.fabric.router.run(
      requireSystemTool('nft'),
      ['-f', '-'],
      `table ip nat {
        chain pre { type nat hook prerouting priority -100; ip daddr 10.96.0.1 dnat to 10.0.0.2; }
        chain post { type nat hook postrouting priority 100; ip daddr 203.0.113.9 snat to 192.0.2.1; }
      }`,
    );
    await node.apply();
    await node.fabric.observe([
      { from: 'a', packet: packetOf({ from: '10.0.0.1', to: '10.96.0.1', sport: 41_001 }) },
      { from: 'a', packet: packetOf({ from: '10.0.0.1', to: '203.0.113.9', sport: 41_002 }) },
      { from: 'b', packet: packetOf({ from: '10.0.0.2', to: '203.0.113.9', sport: 41_003 }) },
    ]);
    t.deepEqual(await tracked(node), [41_001, 41_002, 41_003]);
    await forget(node, [address('10.0.0.2')]);
    t.deepEqual(await tracked(node), [41_002], 'as DNAT target and as source');
    await forget(node, [address('192.0.2.1')]);
    t.deepEqual(await tracked(node), [], 'as the address that SNAT put');
  }),
);

/** A kernel that takes a tuple for that of one connection, as those before 6.8 do. */
function withoutFilter(socket: Exchanger): Exchanger {
  return {
    exchange: (bytes, expect, lastSeq, timeoutMs) => {
      const isFilter = Buffer.from(bytes).includes(FILTER_ATTRIBUTE);
      const answer = socket.exchange(isFilter ? garbled(bytes) : bytes, expect, lastSeq, timeoutMs);
      return isFilter ? answer.then(requireRefusal) : answer;
    },
  };
}

function requireRefusal(answer: Uint8Array): Uint8Array {
  const errnos = [...messages(answer)].map((message) => readAck(message)?.errno);
  if (!errnos.includes(EINVAL)) throw new Error(`answered ${errnos.join()}`);
  return answer;
}

const EINVAL = 22;

/** CTA_FILTER, nested, of one u32. */
const FILTER_ATTRIBUTE = Buffer.from([12, 0, 25, 0x80]);

/** CTA_FILTER under a number that no kernel knows: ignored, as older kernels do. */
function garbled(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(FILTER_ATTRIBUTE); at >= 0; at = copy.indexOf(FILTER_ATTRIBUTE, at)) {
    copy.writeUInt8(200, at + 2);
  }
  return copy;
}

function denyAll(): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'deny', namespace: 'shop' },
    spec: { podSelector: {}, policyTypes: ['Ingress'] },
  };
}
