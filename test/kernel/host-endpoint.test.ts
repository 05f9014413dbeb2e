/**
 * What the host itself sends and receives under host policy: default deny, failsafes, profiles, normal policy, tunnels between nodes.
 * Manifests in, real packets judged by the kernel. Specification sections 3.4, 3.5, 3.9, 6.1 and 6.2.
 */
import { DEFAULT_HOST_CONFIG } from '../../compiler/nft/host-config.ts';
import type { HostConfig } from '../../compiler/nft/host-config.ts';
import { toCidr } from '../../compiler/model/ip.ts';
import type { Cidr } from '../../compiler/model/ip.ts';
import { judge } from '../support/judge.ts';
import type { Row } from '../support/judge.ts';
import {
  globalPolicy,
  hostEndpoint,
  packetOf,
  reversed,
  withNode,
} from '../support/kernel-node.ts';
import type { KernelNode } from '../support/kernel-node.ts';
import { kernelTest } from '../support/needs.ts';

const NEEDS = ['netns', 'cc', 'addon'] as const;
const A = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'] };
const HOST4 = '192.0.2.1';
const HOST6 = '2001:db8:ffff::1';
const OUTSIDE4 = '203.0.113.9';
const OUTSIDE6 = '2001:db8::9';
const [IPIP, TCP, UDP, ICMPV6] = [4, 6, 17, 58] as const;
const ETH0 = hostEndpoint('eth0', { interfaceName: 'eth0' });
const DEFAULT_ALLOW = { profiles: ['projectcalico-default-allow'] };

function host(config: Partial<HostConfig>): { host: HostConfig } {
  return { host: { ...DEFAULT_HOST_CONFIG, ...config } };
}

function net(text: string): Cidr {
  const cidr = toCidr(text);
  if (cidr === undefined) throw new Error(`no prefix: ${text}`);
  return cidr;
}

/** From the outside to the host and back, in both families. */
function inbound(out: boolean, rest: Omit<Row, 'at' | 'from' | 'to' | 'out'> = {}): Row[] {
  return [
    { at: 'external', from: OUTSIDE4, to: HOST4, out, ...rest },
    { at: 'external', from: OUTSIDE6, to: HOST6, out, ...rest },
  ];
}

function outbound(out: boolean, rest: Omit<Row, 'at' | 'from' | 'to' | 'out'> = {}): Row[] {
  return [
    { at: 'router', from: HOST4, to: OUTSIDE4, out, ...rest },
    { at: 'router', from: HOST6, to: OUTSIDE6, out, ...rest },
  ];
}

kernelTest('a host endpoint without policy closes the host, but for failsafe ports', NEEDS, (t) =>
  withNode({ pods: [A] }, async (node) => {
    node.put(ETH0);
    await node.apply();
    await judge(t, node, [
      ...inbound(false),
      ...inbound(true, { dport: 22 }),
      ...inbound(false, { dport: 22, protocol: UDP }),
      ...inbound(true, { dport: 68, protocol: UDP }),
      ...inbound(true, { dport: 6443 }),
      // The source port of an answer opens nothing here.
      ...inbound(false, { sport: 53, dport: 5353, protocol: UDP }),
      ...outbound(false),
      ...outbound(true, { dport: 53, protocol: UDP }),
      ...outbound(false, { dport: 53 }),
      ...outbound(true, { dport: 6443 }),
      ...outbound(false, { dport: 22 }),
      { at: 'external', from: OUTSIDE6, to: HOST6, protocol: ICMPV6, icmp: [128, 0], out: false },
      // Forwarded traffic is none of normal policy's business.
      { at: 'external', from: OUTSIDE4, to: '10.0.0.1', out: true },
      { at: 'a', from: 'fd00::1', to: OUTSIDE6, out: true },
    ]);
  }),
);

kernelTest('failsafe ports for a prefix, and none at all', NEEDS, (t) =>
  withNode(
    {
      pods: [],
      base: host({
        failsafeInbound: [
          { protocol: TCP, port: 22, net: net('203.0.113.8/29') },
          { protocol: TCP, port: 22, net: net('2001:db8::8/125') },
          { protocol: UDP, port: 68, net: undefined },
        ],
        failsafeOutbound: [{ protocol: UDP, port: 53, net: net('203.0.113.8/29') }],
      }),
    },
    async (node) => {
      node.put(ETH0);
      await node.apply();
      await judge(t, node, [
        ...inbound(true, { dport: 22 }),
        { at: 'external', from: '203.0.113.16', to: HOST4, dport: 22, out: false },
        { at: 'external', from: '2001:db8::10', to: HOST6, dport: 22, out: false },
        ...inbound(true, { dport: 68, protocol: UDP }),
        { at: 'router', from: HOST4, to: OUTSIDE4, dport: 53, protocol: UDP, out: true },
        { at: 'router', from: HOST4, to: '203.0.113.16', dport: 53, protocol: UDP, out: false },
        // An entry of one family says nothing about the other.
        { at: 'router', from: HOST6, to: OUTSIDE6, dport: 53, protocol: UDP, out: false },
      ]);
    },
  ),
);

kernelTest('no failsafe ports at all', NEEDS, (t) =>
  withNode(
    { pods: [], base: host({ failsafeInbound: [], failsafeOutbound: [] }) },
    async (node) => {
      node.put(ETH0);
      await node.apply();
      const closed = { dport: 53, protocol: UDP };
      await judge(t, node, [...inbound(false, { dport: 22 }), ...outbound(false, closed)]);
    },
  ),
);

kernelTest('policy, then profiles, then nothing', NEEDS, (t) =>
  withNode({ pods: [A] }, async (node) => {
    const web = globalPolicy('web', {
      selector: "host == 'eth0'",
      types: ['Ingress'],
      ingress: [
        { action: 'Allow', protocol: 'TCP', destination: { ports: [80] } },
        { action: 'Pass', protocol: 'TCP', destination: { ports: [81] } },
      ],
    });
    node.put(hostEndpoint('eth0', { interfaceName: 'eth0', ...DEFAULT_ALLOW }));
    await node.apply();
    await judge(t, node, [...inbound(true), ...outbound(true)]);
    node.put(web);
    await node.apply();
    // An ingress policy says nothing about egress.
    await judge(t, node, [
      ...inbound(true),
      ...inbound(true, { dport: 81 }),
      ...inbound(false, { dport: 82 }),
      ...outbound(true, { dport: 82 }),
    ]);
    node.put(hostEndpoint('eth0', { interfaceName: 'eth0' }));
    await node.apply();
    await judge(t, node, [
      ...inbound(true),
      ...inbound(false, { dport: 81 }),
      ...outbound(false, { dport: 82 }),
    ]);
    node.remove(ETH0, web);
    await node.apply();
    await judge(t, node, [...inbound(true, { dport: 82 }), ...outbound(true, { dport: 82 })]);
  }),
);

kernelTest('who a rule may name: labels of hosts, of pods and of profiles', NEEDS, (t) =>
  withNode({ pods: [A] }, async (node) => {
    node.put(
      hostEndpoint('eth0', { interfaceName: 'eth0', profiles: ['role'] }),
      {
        apiVersion: 'projectcalico.org/v3',
        kind: 'Profile',
        metadata: { name: 'role' },
        spec: { labelsToApply: { role: 'gateway' } },
      },
      {
        apiVersion: 'projectcalico.org/v3',
        kind: 'HostEndpoint',
        metadata: { name: 'other', labels: { role: 'peer' } },
        spec: { node: 'elsewhere', interfaceName: 'eth0', expectedIPs: [OUTSIDE4] },
      },
      globalPolicy('peers', {
        selector: "role == 'gateway'",
        types: ['Ingress'],
        ingress: [{ action: 'Allow', source: { selector: "role == 'peer'" } }],
      }),
      // Of a namespace: never for a host endpoint.
      {
        apiVersion: 'projectcalico.org/v3',
        kind: 'NetworkPolicy',
        metadata: { name: 'all', namespace: 'shop' },
        spec: { selector: 'all()', ingress: [{ action: 'Allow' }] },
      },
    );
    await node.apply();
    await judge(t, node, [
      { at: 'external', from: OUTSIDE4, to: HOST4, out: true },
      { at: 'external', from: '203.0.113.10', to: HOST4, out: false },
    ]);
  }),
);

kernelTest('established connections of the host go on, invalid packets do not', NEEDS, (t) =>
  withNode({ pods: [] }, async (node) => {
    await node.apply();
    const known = packetOf({ from: OUTSIDE4, to: HOST4, protocol: UDP, dport: 9999 });
    t.true(await node.passes('external', known));
    t.true(await node.passes('router', reversed(known)));
    node.put(ETH0);
    await node.apply();
    t.true(await node.passes('external', known));
    t.true(await node.passes('router', reversed(known)));
    const another = packetOf({ from: OUTSIDE4, to: HOST4, protocol: UDP, dport: 9998 });
    t.false(await node.passes('external', another));
    // Not even to a failsafe port.
    const unasked = packetOf({ from: OUTSIDE4, to: HOST4, sport: 22, dport: 6443 });
    t.false(await node.passes('external', unasked, { tcpFlags: 'syn-ack' }));
  }),
);

for (const [name, hosts] of [
  ['named', [ETH0]],
  ['*', [hostEndpoint('all', { interfaceName: '*' })]],
] as const) {
  kernelTest(`workloads and their host, ${name}`, NEEDS, (t) =>
    withNode({ pods: [A] }, async (node) => {
      node.put(...hosts);
      await node.apply();
      await judge(t, node, [
        { at: 'a', from: '10.0.0.1', to: HOST4, out: true },
        { at: 'a', from: 'fd00::1', to: HOST6, out: true },
        { at: 'router', from: HOST4, to: '10.0.0.1', dport: 81, out: true },
        { at: 'router', from: HOST6, to: 'fd00::1', dport: 81, out: true },
        // To itself, by `lo`, which a wildcard does not have.
        { at: 'router', from: HOST4, to: '192.0.2.1', dport: 82, out: true },
        { at: 'router', from: HOST6, to: HOST6, dport: 82, out: true },
        ...inbound(false, { dport: 83 }),
        ...outbound(false, { dport: 83 }),
      ]);
    }),
  );
}

/** Two pods behind one device, as on a bridge: they are found by address. */
async function addSharedPods(node: KernelNode): Promise<void> {
  await node.fabric.addWorkloads([
    {
      name: 'shared',
      ifname: 'br0',
      addresses: ['10.0.9.1', '10.0.9.2', 'fd00:9::1', 'fd00:9::2'],
    },
  ]);
  for (const index of [1, 2]) {
    node.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `shared-${index}`, namespace: 'shop', labels: {} },
      spec: { nodeName: 'node-a' },
      status: { phase: 'Running', podIPs: [{ ip: `10.0.9.${index}` }, { ip: `fd00:9::${index}` }] },
    });
  }
}

kernelTest(
  'a workload known by its address is let to its host, who only says so is not',
  NEEDS,
  (t) =>
    withNode({ pods: [] }, async (node) => {
      await addSharedPods(node);
      node.put(hostEndpoint('all', { interfaceName: '*' }));
      await node.apply();
      await judge(t, node, [
        { at: 'shared', from: '10.0.9.1', to: HOST4, out: true },
        { at: 'shared', from: 'fd00:9::2', to: HOST6, out: true },
        { at: 'router', from: HOST4, to: '10.0.9.2', dport: 81, out: true },
        { at: 'shared', from: '10.0.9.3', to: HOST4, out: false },
        { at: 'external', from: '10.0.9.2', to: HOST4, dport: 82, out: false },
        { at: 'external', from: 'fd00:9::1', to: HOST6, dport: 82, out: false },
      ]);
    }),
);

const NODE_OBJECT = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'elsewhere' },
  status: { addresses: [{ type: 'InternalIP', address: OUTSIDE4 }] },
};

kernelTest('tunnels between nodes', NEEDS, (t) =>
  withNode(
    {
      pods: [],
      base: host({
        encapsulation: {
          ipip: true,
          vxlan: true,
          wireguardPorts: { 4: 51_820, 6: undefined },
          externalNodes: [net('203.0.113.64/26')],
        },
      }),
    },
    async (node) => {
      const vxlan = { protocol: UDP, dport: 4789 };
      const from = (address: string, out: boolean, rest: object): Row => {
        return { at: 'external', from: address, to: HOST4, out, ...rest };
      };
      node.put(ETH0, NODE_OBJECT);
      await node.apply();
      await judge(t, node, [
        from(OUTSIDE4, true, vxlan),
        from('203.0.113.70', true, vxlan),
        from('203.0.113.10', false, vxlan),
        from(OUTSIDE4, true, { protocol: IPIP }),
        from('203.0.113.10', false, { protocol: IPIP }),
        from('203.0.113.10', true, { protocol: UDP, dport: 51_820 }),
        { at: 'router', from: HOST4, to: OUTSIDE4, ...vxlan, sport: 40_001, out: true },
        { at: 'router', from: HOST4, to: '203.0.113.10', ...vxlan, sport: 40_001, out: false },
      ]);
      // Who is no node may not tunnel, policy or not.
      node.put(hostEndpoint('eth0', { interfaceName: 'eth0', ...DEFAULT_ALLOW }));
      node.remove(NODE_OBJECT);
      const { operations } = await node.apply();
      t.is(operations['delete-elements'], 1);
      await judge(t, node, [
        from(OUTSIDE4, false, vxlan),
        from('203.0.113.70', true, vxlan),
        from(OUTSIDE4, false, { protocol: IPIP }),
      ]);
    },
  ),
);

kernelTest('with denyAction reject every hook takes what is denied there', NEEDS, (t) =>
  withNode({ pods: [A], base: { denyAction: 'reject' } }, async (node) => {
    node.put(
      ETH0,
      globalPolicy('deny', {
        selector: "host == 'eth0'",
        applyOnForward: true,
        ingress: [{ action: 'Deny' }],
        egress: [{ action: 'Deny' }],
        types: ['Ingress', 'Egress'],
      }),
      globalPolicy('early', {
        selector: "host == 'eth0'",
        preDNAT: true,
        applyOnForward: true,
        ingress: [{ action: 'Deny', protocol: 'TCP', destination: { ports: [90] } }],
        types: ['Ingress'],
      }),
      globalPolicy('earliest', {
        selector: "host == 'eth0'",
        doNotTrack: true,
        applyOnForward: true,
        ingress: [{ action: 'Deny', protocol: 'TCP', destination: { ports: [91] } }],
        egress: [{ action: 'Deny', protocol: 'TCP', destination: { ports: [91] } }],
        types: ['Ingress', 'Egress'],
      }),
    );
    const { quarantined } = await node.apply();
    t.deepEqual(quarantined, []);
    await judge(t, node, [
      ...inbound(false),
      ...inbound(false, { dport: 90 }),
      ...inbound(false, { dport: 91 }),
      ...outbound(false),
      ...outbound(false, { dport: 91 }),
      { at: 'external', from: OUTSIDE4, to: '10.0.0.1', out: false },
      { at: 'a', from: '10.0.0.1', to: OUTSIDE4, dport: 81, out: false },
    ]);
  }),
);
