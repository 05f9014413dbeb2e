/**
 * What governs local workloads beside policy: connection tracking, unknown interfaces, the node itself, encapsulation, spoofed sources.
 * Manifests in, real packets judged by the kernel. Specification sections 3.9 and 6.2.
 */
import { judge } from '../support/judge.ts';
import type { Row } from '../support/judge.ts';
import { globalPolicy, packetOf, podObject, reversed, withNode } from '../support/kernel-node.ts';
import type { KernelNode, PodSpec } from '../support/kernel-node.ts';
import { kernelTest } from '../support/needs.ts';

const A: PodSpec = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'] };
const B: PodSpec = { name: 'b', addresses: ['10.0.0.2', 'fd00::2'] };
const ROUTER4 = '192.0.2.1';
const ROUTER6 = '2001:db8:ffff::1';
const OUTSIDE4 = '203.0.113.9';
const OUTSIDE6 = '2001:db8::9';
const NEEDS = ['netns', 'cc', 'addon'] as const;
const [ICMP, UDP, ICMPV6] = [1, 17, 58] as const;

const DENY_INGRESS = globalPolicy('deny-in', {
  selector: "app == 'b'",
  types: ['Ingress'],
  ingress: [],
});
const DENY_EGRESS = globalPolicy('deny-out', {
  selector: "app == 'a'",
  types: ['Egress'],
  egress: [],
});

kernelTest('established traffic goes on when policy tightens, new traffic does not', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.apply();
    for (const [source, destination] of [
      ['10.0.0.1', '10.0.0.2'],
      ['fd00::1', 'fd00::2'],
    ] as const) {
      const packet = packetOf({ from: source, to: destination });
      t.true(await node.passes('a', packet, { tcpFlags: 'syn' }));
      t.true(await node.passes('b', reversed(packet), { tcpFlags: 'syn-ack' }));
      node.put(DENY_INGRESS, DENY_EGRESS);
      await node.apply();
      t.true(await node.passes('a', packet, { tcpFlags: 'ack' }));
      t.true(await node.passes('b', reversed(packet), { tcpFlags: 'ack' }));
      const another = packetOf({ from: source, to: destination, sport: 40_001 });
      t.false(await node.passes('a', another, { tcpFlags: 'syn' }));
      node.remove(DENY_INGRESS, DENY_EGRESS);
      await node.apply();
      t.true(await node.passes('a', another, { tcpFlags: 'syn' }));
    }
  }),
);

kernelTest('replies pass though nothing else may leave', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    node.put(globalPolicy('deny-b-out', { selector: "app == 'b'", types: ['Egress'] }));
    await node.apply();
    const packet = packetOf({ from: '10.0.0.1', to: '10.0.0.2', protocol: UDP });
    t.false(await node.passes('b', reversed(packet)));
    t.true(await node.passes('a', packet));
    t.true(await node.passes('b', reversed(packet)));
  }),
);

for (const { dropInvalid, out } of [
  { dropInvalid: true, out: false },
  { dropInvalid: false, out: true },
]) {
  kernelTest(`invalid state, dropInvalid ${dropInvalid}`, NEEDS, (t) =>
    withNode({ pods: [A, B], base: { dropInvalid } }, async (node) => {
      await node.apply();
      for (const [from, to] of [
        ['10.0.0.1', '10.0.0.2'],
        ['fd00::1', 'fd00::2'],
        ['10.0.0.1', OUTSIDE4],
        ['10.0.0.1', ROUTER4],
      ] as const) {
        // Nobody asked for it.
        const answer = packetOf({ from, to, sport: 80, dport: 40_000 });
        t.is(await node.passes('a', answer, { tcpFlags: 'syn-ack' }), out, `${from} > ${to}`);
      }
      const transit = packetOf({ from: OUTSIDE4, to: '10.0.0.2', sport: 80, dport: 40_000 });
      t.is(await node.passes('external', transit, { tcpFlags: 'syn-ack' }), out);
    }),
  );
}

/** `x` is wired like a pod, and no object speaks of it. */
function unknownRows(isClosed: boolean): Row[] {
  const out = !isClosed;
  return [
    { at: 'x', from: '10.0.0.9', to: '10.0.0.1', out },
    { at: 'x', from: 'fd00::9', to: 'fd00::1', out },
    { at: 'x', from: '10.0.0.9', to: ROUTER4, out },
    { at: 'x', from: 'fd00::9', to: ROUTER6, protocol: ICMPV6, icmp: [135, 0], out },
    { at: 'x', from: '10.0.0.9', to: OUTSIDE4, out },
    { at: 'a', from: '10.0.0.1', to: '10.0.0.9', sport: 40_001, out },
    { at: 'a', from: 'fd00::1', to: 'fd00::9', sport: 40_001, out },
    { at: 'external', from: OUTSIDE4, to: '10.0.0.9', sport: 40_001, out },
    { at: 'external', from: OUTSIDE6, to: 'fd00::9', sport: 40_001, out },
    { at: 'a', from: '10.0.0.1', to: OUTSIDE4, out: true },
  ];
}

kernelTest('an unknown workload interface is closed in both directions', NEEDS, (t) =>
  withNode({ pods: [A] }, async (node) => {
    const unknown = { name: 'x', ifname: 'cali0123456789a', addresses: ['10.0.0.9', 'fd00::9'] };
    await node.fabric.addWorkloads([unknown]);
    await judge(t, node, unknownRows(false));
    await node.apply();
    await judge(t, node, unknownRows(true));
    node.dataplane.close();
    await judge(t, node, unknownRows(true));
  }),
);

kernelTest(
  'an interface that appears while no agent runs is closed from its first packet',
  NEEDS,
  (t) =>
    withNode({ pods: [A] }, async (node) => {
      await node.apply();
      node.dataplane.close();
      const late = { name: 'x', ifname: 'calilate', addresses: ['10.0.0.9', 'fd00::9'] };
      await node.fabric.addWorkloads([late]);
      await judge(t, node, unknownRows(true));
    }),
);

kernelTest('without an interface prefix nothing unknown is touched', NEEDS, (t) =>
  withNode({ pods: [A], base: { interfacePrefixes: [] } }, async (node) => {
    const unknown = { name: 'x', ifname: 'cali0123456789a', addresses: ['10.0.0.9', 'fd00::9'] };
    await node.fabric.addWorkloads([unknown]);
    await node.apply();
    await judge(t, node, unknownRows(false));
  }),
);

kernelTest('the node reaches its pods whatever their policy says', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    node.put(DENY_INGRESS);
    await node.apply();
    await judge(t, node, [
      { at: 'router', from: ROUTER4, to: '10.0.0.2', out: true },
      { at: 'router', from: ROUTER6, to: 'fd00::2', out: true },
      { at: 'router', from: ROUTER4, to: '10.0.0.2', protocol: ICMP, out: true },
      { at: 'a', from: '10.0.0.1', to: '10.0.0.2', out: false },
      { at: 'external', from: OUTSIDE6, to: 'fd00::2', out: false },
    ]);
  }),
);

for (const action of ['accept', 'drop'] as const) {
  const out = action === 'accept';
  kernelTest(`pod to its node: egress policy, then endpointToHostAction ${action}`, NEEDS, (t) =>
    withNode({ pods: [A, B], base: { endpointToHostAction: action } }, async (node) => {
      node.put(
        globalPolicy('only-53', {
          selector: "app == 'a'",
          types: ['Egress'],
          egress: [{ action: 'Allow', protocol: 'UDP', destination: { ports: [53] } }],
        }),
      );
      await node.apply();
      await judge(t, node, [
        { at: 'a', from: '10.0.0.1', to: ROUTER4, protocol: UDP, dport: 53, out },
        { at: 'a', from: 'fd00::1', to: ROUTER6, protocol: UDP, dport: 53, out },
        { at: 'a', from: '10.0.0.1', to: ROUTER4, protocol: UDP, dport: 54, out: false },
        { at: 'b', from: '10.0.0.2', to: ROUTER4, protocol: UDP, dport: 54, out },
        { at: 'a', from: '10.0.0.1', to: OUTSIDE4, protocol: UDP, dport: 53, out: true },
        { at: 'external', from: OUTSIDE4, to: ROUTER4, out: true },
      ]);
    }),
  );

  kernelTest(`a pod answers its node, endpointToHostAction ${action}`, NEEDS, (t) =>
    withNode({ pods: [A], base: { endpointToHostAction: action } }, async (node) => {
      node.put(DENY_EGRESS);
      await node.apply();
      for (const [from, to] of [
        [ROUTER4, '10.0.0.1'],
        [ROUTER6, 'fd00::1'],
      ] as const) {
        const question = packetOf({ from, to, protocol: UDP });
        t.false(await node.passes('a', reversed(question)));
        t.true(await node.passes('router', question));
        t.true(await node.passes('a', reversed(question)));
      }
    }),
  );

  kernelTest(`neighbour discovery reaches the node, endpointToHostAction ${action}`, NEEDS, (t) =>
    withNode({ pods: [A], base: { endpointToHostAction: action } }, async (node) => {
      node.put(DENY_EGRESS);
      await node.apply();
      const row = { at: 'a', from: 'fd00::1', to: ROUTER6, protocol: ICMPV6 };
      await judge(t, node, [
        ...[130, 131, 132, 133, 135, 136].map((type) => ({
          ...row,
          icmp: [type, 0] as const,
          out: true,
        })),
        ...[128, 134, 137].map((type) => ({ ...row, icmp: [type, 0] as const, out: false })),
        { ...row, to: OUTSIDE6, icmp: [135, 0], out: false },
      ]);
    }),
  );
}

function encapsulated(vxlan: boolean, ipip: boolean): Row[] {
  const at = 'a';
  return [
    { at, from: '10.0.0.1', to: OUTSIDE4, protocol: UDP, dport: 4789, out: vxlan },
    { at, from: 'fd00::1', to: OUTSIDE6, protocol: UDP, dport: 4789, out: vxlan },
    { at, from: '10.0.0.1', to: ROUTER4, protocol: UDP, dport: 4789, out: vxlan },
    { at, from: '10.0.0.1', to: OUTSIDE4, protocol: 4, out: ipip },
    { at, from: '10.0.0.1', to: '10.0.0.2', protocol: 4, out: ipip },
    { at, from: '10.0.0.1', to: OUTSIDE4, protocol: UDP, dport: 4788, out: true },
    { at, from: '10.0.0.1', to: OUTSIDE4, dport: 4789, out: true },
    { at: 'external', from: OUTSIDE4, to: '10.0.0.2', protocol: UDP, dport: 4789, out: true },
    { at: 'router', from: ROUTER4, to: '10.0.0.2', protocol: UDP, dport: 4789, out: true },
  ];
}

for (const [banVxlan, banIpip] of [
  [true, true],
  [false, true],
  [true, false],
] as const) {
  kernelTest(`tunnels out of pods, banVxlan ${banVxlan}, banIpip ${banIpip}`, NEEDS, (t) =>
    withNode({ pods: [A, B], base: { banVxlan, banIpip } }, async (node) => {
      await node.apply();
      await judge(t, node, encapsulated(!banVxlan, !banIpip));
    }),
  );
}

kernelTest('a pod sends from its own addresses only', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.apply();
    await judge(t, node, [
      { at: 'a', from: '10.0.0.1', to: OUTSIDE4, out: true },
      { at: 'a', from: 'fd00::1', to: OUTSIDE6, out: true },
      { at: 'a', from: '10.0.0.2', to: OUTSIDE4, out: false },
      { at: 'a', from: '10.9.9.9', to: OUTSIDE4, out: false },
      { at: 'a', from: '10.9.9.9', to: '10.0.0.2', out: false },
      { at: 'a', from: '10.9.9.9', to: ROUTER4, out: false },
      { at: 'a', from: ROUTER4, to: '10.0.0.2', out: false },
      { at: 'a', from: 'fd00::2', to: OUTSIDE6, out: false },
      { at: 'a', from: 'fd09::9', to: 'fd00::2', out: false },
      { at: 'a', from: 'fd09::9', to: ROUTER6, protocol: ICMPV6, icmp: [135, 0], out: false },
      { at: 'external', from: '10.9.9.9', to: '10.0.0.2', out: true },
    ]);
  }),
);

kernelTest('a link-local source is no spoofed one, and policy still governs it', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    node.put(DENY_EGRESS);
    await node.apply();
    const [from, to] = ['fe80::1234', ROUTER6];
    await judge(t, node, [
      { at: 'a', from, to, protocol: ICMPV6, icmp: [135, 0], out: true },
      { at: 'a', from, to, protocol: ICMPV6, icmp: [136, 0], out: true },
      { at: 'a', from, to, protocol: ICMPV6, icmp: [128, 0], out: false },
      { at: 'a', from, to, protocol: UDP, out: false },
      { at: 'b', from, to, protocol: UDP, out: true },
    ]);
  }),
);

const SOURCE_PREFIXES = 'cni.projectcalico.org/allowedSourcePrefixes';

const PREFIXES = { annotations: { [SOURCE_PREFIXES]: '["10.9.0.0/16","fd09::/64"]' } };

for (const workloadSourceSpoofing of ['Any', 'Disabled'] as const) {
  const out = workloadSourceSpoofing === 'Any';
  kernelTest(
    `allowed source prefixes, workloadSourceSpoofing ${workloadSourceSpoofing}`,
    NEEDS,
    (t) =>
      withNode(
        { pods: [{ ...A, ...PREFIXES }, B], parse: { workloadSourceSpoofing } },
        async (node) => {
          await node.apply();
          await judge(t, node, [
            { at: 'a', from: '10.9.0.0', to: OUTSIDE4, out },
            { at: 'a', from: '10.9.255.255', to: '10.0.0.2', out },
            { at: 'a', from: 'fd09::9', to: OUTSIDE6, out },
            { at: 'a', from: '10.8.255.255', to: OUTSIDE4, out: false },
            { at: 'a', from: '10.10.0.0', to: OUTSIDE4, out: false },
            { at: 'a', from: 'fd09:0:0:1::', to: OUTSIDE6, out: false },
            { at: 'b', from: '10.9.0.1', to: OUTSIDE4, out: false },
            { at: 'a', from: '10.0.0.1', to: OUTSIDE4, out: true },
          ]);
        },
      ),
  );
}

/** One pod's annotation, as it is edited: prefixes that contain each other, that repeat, of everything. */
const NESTED_PREFIXES = [
  ['10.9.0.0/16', '10.0.0.0/8', '10.9.1.0/24', '10.9.0.0/16', 'fd09::/64', 'fd00::/8'],
  ['10.9.0.0/16', '10.9.0.0/24', 'fd09::/64'],
  ['0.0.0.0/0', '10.9.0.0/16', '::/0', 'fd09::/64'],
  ['10.9.128.0/17', '10.9.0.0/17', '10.9.0.9/32', 'fd09::/65', 'fd09::8000:0:0:0/65'],
];

kernelTest('allowed source prefixes may contain each other', NEEDS, async (t) => {
  const options = { pods: [A, B], parse: { workloadSourceSpoofing: 'Any' } } as const;
  await withNode(options, async (node) => {
    for (const prefixes of NESTED_PREFIXES) {
      const annotations = { [SOURCE_PREFIXES]: JSON.stringify(prefixes) };
      node.put(podObject({ ...A, annotations }));
      const { quarantined } = await node.apply();
      t.deepEqual(quarantined, []);
      await judge(t, node, [
        { at: 'a', from: '10.9.0.9', to: OUTSIDE4, out: true },
        { at: 'a', from: 'fd09::9', to: OUTSIDE6, out: true },
        { at: 'b', from: '10.9.0.9', to: OUTSIDE4, out: false },
      ]);
    }
  });
});

kernelTest('reject answers, drop does not', NEEDS, async (t) => {
  for (const denyAction of ['drop', 'reject'] as const) {
    await withNode({ pods: [A, B], base: { denyAction } }, async (node) => {
      node.put(DENY_INGRESS);
      await node.apply();
      const before = await unreachables(node);
      await judge(t, node, [
        { at: 'a', from: '10.0.0.1', to: '10.0.0.2', out: false },
        { at: 'external', from: OUTSIDE4, to: '10.0.0.2', protocol: UDP, out: false },
        { at: 'a', from: 'fd00::1', to: 'fd00::2', out: false },
      ]);
      const after = await unreachables(node);
      t.deepEqual(
        after.map((count, index) => count - (before[index] ?? 0)),
        denyAction === 'reject' ? [2, 1] : [0, 0],
      );
    });
  }
});

/** ICMP and ICMPv6 "destination unreachable" that the router has sent. */
async function unreachables(node: KernelNode): Promise<number[]> {
  const [four, six] = await Promise.all(
    ['/proc/net/snmp', '/proc/net/snmp6'].map((file) => node.fabric.router.run('cat', [file])),
  );
  const [names, values] = (four ?? '').split('\n').filter((line) => line.startsWith('Icmp:'));
  const column = names?.split(' ').indexOf('OutDestUnreachs') ?? 0;
  const count6 = /Icmp6OutDestUnreachs\s+(\d+)/.exec(six ?? '')?.[1];
  return [Number(values?.split(' ')[column]), Number(count6)];
}

function finishedRows(out: boolean): Row[] {
  return [
    { at: 'a', from: '10.0.0.1', to: '10.0.0.2', out },
    { at: 'a', from: 'fd00::1', to: 'fd00::2', out },
    { at: 'a', from: '10.0.0.1', to: ROUTER4, out },
    { at: 'b', from: '10.0.0.2', to: '10.0.0.1', sport: 40_001, out },
    { at: 'external', from: OUTSIDE6, to: 'fd00::1', out },
  ];
}

kernelTest('a finished pod is closed, as if nobody knew it', NEEDS, (t) =>
  withNode({ pods: [A, B] }, async (node) => {
    await node.apply();
    await judge(t, node, finishedRows(true));
    node.put(podObject({ ...A, phase: 'Failed' }));
    await node.apply();
    await judge(t, node, finishedRows(false));
    node.put(podObject(A));
    await node.apply();
    await judge(t, node, finishedRows(true));
  }),
);
