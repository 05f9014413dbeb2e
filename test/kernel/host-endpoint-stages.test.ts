/**
 * The other kinds of host policy: untracked, pre-DNAT, apply-on-forward, and egress after DNAT, with the nat rules that kube-proxy would
 * have. Manifests in, real packets judged by the kernel. Specification sections 3.6 to 3.8 and 6.2.2 to 6.2.6, examples A.5.
 */
import { judge } from '../support/judge.ts';
import type { Row } from '../support/judge.ts';
import { globalPolicy, hostEndpoint, withNode } from '../support/kernel-node.ts';
import type { KernelNode } from '../support/kernel-node.ts';
import { kernelTest } from '../support/needs.ts';
import { requireSystemTool } from '../support/tools.ts';

const NEEDS = ['netns', 'cc', 'addon', 'nft', 'conntrack'] as const;
const A = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'] };
const B = { name: 'b', addresses: ['10.0.0.2', 'fd00::2'] };
const LAN = {
  name: 'lan',
  ifname: 'eth1',
  nets: ['198.51.100.0/24', '2001:db8:1::/64'],
};
const HOST4 = '192.0.2.1';
const HOST6 = '2001:db8:ffff::1';
const OUTSIDE4 = '203.0.113.9';
const OUTSIDE6 = '2001:db8::9';
const LAN4 = '198.51.100.7';
const UDP = 17;

const ETH0 = hostEndpoint('eth0', { interfaceName: 'eth0' });
const ETH1 = hostEndpoint('eth1', { interfaceName: 'eth1' });
const ALL = hostEndpoint('all', { interfaceName: '*', profiles: ['projectcalico-default-allow'] });

async function nft(node: KernelNode, text: string): Promise<void> {
  await node.fabric.router.run(requireSystemTool('nft'), ['-f', '-'], text);
}

/** What connection tracking knows, a line each. */
async function connections({ fabric }: KernelNode): Promise<string[]> {
  const tool = requireSystemTool('conntrack');
  const families = ['ipv4', 'ipv6'].map((family) => fabric.router.run(tool, ['-L', '-f', family]));
  const lists = await Promise.all(families);
  return lists.flatMap((text) => text.split('\n')).filter((line) => /^(udp|tcp)/.test(line));
}

function ports(...list: readonly number[]): object {
  return { protocol: 'TCP', destination: { ports: list } };
}

kernelTest('untracked: both directions by rule, and no connection is known', NEEDS, (t) =>
  withNode({ pods: [A] }, async (node) => {
    node.put(
      ETH0,
      globalPolicy('dns', {
        selector: "host == 'eth0'",
        doNotTrack: true,
        applyOnForward: true,
        types: ['Ingress', 'Egress'],
        ingress: [
          { action: 'Allow', protocol: 'UDP', destination: { ports: [5353] } },
          {
            action: 'Deny',
            protocol: 'TCP',
            destination: { ports: [22] },
            source: { nets: ['203.0.113.64/26'] },
          },
          { action: 'Deny', protocol: 'UDP', destination: { ports: [81] } },
        ],
        egress: [{ action: 'Allow', protocol: 'UDP', source: { ports: [5353] } }],
      }),
    );
    await node.apply();
    const dns = { protocol: UDP, dport: 5353 };
    await judge(t, node, [
      { at: 'external', from: OUTSIDE4, to: HOST4, ...dns, out: true },
      { at: 'external', from: OUTSIDE6, to: HOST6, ...dns, out: true },
      {
        at: 'router',
        from: HOST4,
        to: OUTSIDE4,
        protocol: UDP,
        sport: 5353,
        dport: 40_000,
        out: true,
      },
      {
        at: 'router',
        from: HOST6,
        to: OUTSIDE6,
        protocol: UDP,
        sport: 5353,
        dport: 40_000,
        out: true,
      },
    ]);
    t.deepEqual(await connections(node), []);
    await judge(t, node, [
      // Nothing says it: normal policy denies.
      { at: 'external', from: OUTSIDE4, to: HOST4, protocol: UDP, dport: 80, out: false },
      // A failsafe port stays, whatever untracked policy says.
      { at: 'external', from: '203.0.113.70', to: HOST4, dport: 22, out: true },
      // Also what is forwarded; the workload still has its own say, here yes.
      { at: 'external', from: OUTSIDE4, to: '10.0.0.1', protocol: UDP, dport: 81, out: false },
      { at: 'external', from: OUTSIDE4, to: '10.0.0.1', protocol: UDP, dport: 82, out: true },
      { at: 'external', from: OUTSIDE4, to: '10.0.0.1', ...dns, out: true },
    ]);
    node.put(globalPolicy('closed', { selector: "app == 'a'", types: ['Ingress'] }));
    await node.apply();
    await judge(t, node, [{ at: 'external', from: OUTSIDE4, to: '10.0.0.1', ...dns, out: false }]);
  }),
);

kernelTest('untracked: an answer without a rule is judged as a new connection', NEEDS, (t) =>
  withNode({ pods: [] }, async (node) => {
    node.put(
      ETH0,
      globalPolicy('dns', {
        selector: "host == 'eth0'",
        doNotTrack: true,
        applyOnForward: true,
        types: ['Ingress'],
        ingress: [{ action: 'Allow', protocol: 'UDP', destination: { ports: [5353] } }],
      }),
    );
    await node.apply();
    const answer = { from: HOST4, to: OUTSIDE4, protocol: UDP, sport: 5353, dport: 40_000 };
    await judge(t, node, [
      { at: 'external', from: OUTSIDE4, to: HOST4, protocol: UDP, dport: 5353, out: true },
      { at: 'router', ...answer, out: false },
    ]);
  }),
);

kernelTest('untracked policy is not for *', NEEDS, (t) =>
  withNode({ pods: [] }, async (node) => {
    node.put(
      ALL,
      globalPolicy('deny', {
        selector: "host == 'all'",
        doNotTrack: true,
        applyOnForward: true,
        types: ['Ingress'],
        ingress: [{ action: 'Deny' }],
      }),
    );
    await node.apply();
    await judge(t, node, [{ at: 'external', from: OUTSIDE4, to: HOST4, out: true }]);
  }),
);

/** Port 30080 of the host is port 80 of pod a; port 30081 is port 81 of the host itself. */
const NODE_PORTS = `table inet nat {
  chain prerouting {
    type nat hook prerouting priority -100;
    ip daddr ${HOST4} tcp dport 30080 dnat ip to 10.0.0.1:80
    ip6 daddr ${HOST6} tcp dport 30080 dnat ip6 to [fd00::1]:80
    ip daddr ${HOST4} tcp dport 30081 dnat ip to ${HOST4}:81
  }
}
`;

function nodePort(at: string, from: string, out: boolean, dport = 30_080): Row {
  const to = from.includes(':') ? HOST6 : HOST4;
  const pod = from.includes(':') ? 'fd00::1' : '10.0.0.1';
  const arrivesAs = dport === 30_080 ? { from, to: pod, dport: 80 } : { from, to, dport: 81 };
  return { at, from, to, dport, arrivesAs, out };
}

kernelTest('pre-DNAT sees the port as it was sent', NEEDS, (t) =>
  withNode({ pods: [A], hostInterfaces: [LAN] }, async (node) => {
    await nft(node, NODE_PORTS);
    node.put(
      ETH0,
      hostEndpoint('eth1', { interfaceName: 'eth1', profiles: ['projectcalico-default-allow'] }),
      globalPolicy('node-ports', {
        selector: "host == 'eth0'",
        preDNAT: true,
        applyOnForward: true,
        types: ['Ingress'],
        ingress: [
          { action: 'Allow', ...ports(30_080, 30_081), source: { nets: ['203.0.113.8/29'] } },
          { action: 'Allow', ...ports(30_080), source: { nets: ['2001:db8::9/128'] } },
          { action: 'Deny', ...ports(30_080, 30_081) },
          { action: 'Deny', ...ports(22) },
        ],
      }),
    );
    await node.apply();
    await judge(t, node, [
      nodePort('external', OUTSIDE4, true),
      nodePort('external', OUTSIDE6, true),
      // Allowed here is allowed by the normal policy of the host too, which would deny.
      nodePort('external', OUTSIDE4, true, 30_081),
      nodePort('external', '203.0.113.16', false),
      nodePort('external', '2001:db8::10', false),
      // Another interface, without pre-DNAT policy.
      nodePort('lan', LAN4, true),
      { at: 'external', from: OUTSIDE4, to: HOST4, dport: 81, sport: 40_001, out: false },
      { at: 'external', from: '203.0.113.16', to: HOST4, dport: 22, out: true },
    ]);
    node.put(globalPolicy('closed', { selector: "app == 'a'", types: ['Ingress'] }));
    await node.apply();
    await judge(t, node, [nodePort('external', OUTSIDE4, false)]);
  }),
);

kernelTest(
  'pre-DNAT of * is for every interface without an endpoint, workloads included',
  NEEDS,
  (t) =>
    withNode({ pods: [A, B], hostInterfaces: [LAN] }, async (node) => {
      await nft(node, NODE_PORTS);
      node.put(
        ETH1,
        ALL,
        globalPolicy('node-ports', {
          selector: "host == 'all'",
          preDNAT: true,
          applyOnForward: true,
          types: ['Ingress'],
          ingress: [{ action: 'Deny', ...ports(30_080) }],
        }),
      );
      await node.apply();
      await judge(t, node, [
        nodePort('external', OUTSIDE4, false),
        nodePort('b', '10.0.0.2', false),
        nodePort('lan', LAN4, true),
      ]);
    }),
);

kernelTest('forward: judged by the endpoint it enters and by the one it leaves', NEEDS, (t) =>
  withNode({ pods: [A], hostInterfaces: [LAN] }, async (node) => {
    node.put(
      ETH0,
      ETH1,
      globalPolicy('in', {
        selector: "host == 'eth0'",
        applyOnForward: true,
        order: 1,
        types: ['Ingress'],
        ingress: [{ action: 'Allow', ...ports(80, 81) }],
      }),
      globalPolicy('out', {
        selector: "host == 'eth1'",
        applyOnForward: true,
        order: 2,
        types: ['Egress'],
        egress: [{ action: 'Allow', ...ports(80, 82) }],
      }),
      // Not for forwarded packets.
      globalPolicy('normal', { selector: "host == 'eth1'", types: ['Ingress'], order: 3 }),
    );
    await node.apply();
    const through = (dport: number, out: boolean): Row => {
      return { at: 'external', from: OUTSIDE4, to: LAN4, dport, out };
    };
    await judge(t, node, [
      through(80, true),
      through(81, false),
      through(82, false),
      // Failsafe ports are the host's own.
      through(22, false),
      { at: 'external', from: OUTSIDE6, to: 'fd00::1', dport: 81, out: true },
      { at: 'external', from: OUTSIDE6, to: 'fd00::1', dport: 82, out: false },
      { at: 'a', from: '10.0.0.1', to: LAN4, dport: 82, out: true },
      { at: 'a', from: '10.0.0.1', to: LAN4, dport: 83, out: false },
      // No policy for that direction: goes on.
      { at: 'a', from: '10.0.0.1', to: OUTSIDE4, dport: 83, out: true },
      { at: 'lan', from: LAN4, to: '10.0.0.1', dport: 84, out: true },
      // The same policies are the host's own too.
      { at: 'external', from: OUTSIDE4, to: HOST4, dport: 81, out: true },
      { at: 'external', from: OUTSIDE4, to: HOST4, dport: 82, out: false },
    ]);
  }),
);

kernelTest('forward: a wildcard endpoint judges between workloads', NEEDS, (t) =>
  withNode({ pods: [A, B], hostInterfaces: [LAN] }, async (node) => {
    node.put(
      ALL,
      ETH1,
      globalPolicy('deny', {
        selector: "host == 'all'",
        applyOnForward: true,
        types: ['Ingress'],
        ingress: [{ action: 'Deny', ...ports(80) }],
      }),
    );
    await node.apply();
    await judge(t, node, [
      { at: 'a', from: '10.0.0.1', to: '10.0.0.2', out: false },
      { at: 'a', from: 'fd00::1', to: 'fd00::2', out: false },
      { at: 'external', from: OUTSIDE4, to: '10.0.0.2', out: false },
      // eth1 has an endpoint of its own, without policy on forward.
      { at: 'lan', from: LAN4, to: '10.0.0.2', out: true },
      // To the host itself a workload is not judged by host policy.
      { at: 'a', from: '10.0.0.1', to: HOST4, out: true },
    ]);
  }),
);

/** A service address: the route to it is through eth0, the server behind it is on eth1; and one whose server is pod a. */
const SERVICES = `table inet nat {
  chain output {
    type nat hook output priority -100;
    ip daddr 10.96.0.1 tcp dport 80 dnat ip to 198.51.100.9:8080
    ip6 daddr fd00:96::1 tcp dport 80 dnat ip6 to [2001:db8:1::9]:8080
    ip daddr 10.96.0.2 tcp dport 80 dnat ip to 10.0.0.1:8080
    ip daddr 10.96.0.3 tcp dport 80 dnat ip to 203.0.113.30:8080
  }
  chain prerouting {
    type nat hook prerouting priority -100;
    ip daddr ${HOST4} tcp dport 30082 dnat ip to 198.51.100.9:8082
  }
}
`;

/** The host sends to a service, which the server's address stands for on the way. */
function service(from: string, to: string, server: string, out: boolean): Row {
  return { at: 'router', from, to, arrivesAs: { from, to: server, dport: 8080 }, out };
}

kernelTest('Q10: egress after DNAT is judged by where the packet goes then', NEEDS, (t) =>
  withNode({ pods: [A], hostInterfaces: [LAN] }, async (node) => {
    await nft(node, SERVICES);
    node.put(
      ETH0,
      ETH1,
      globalPolicy('out', {
        selector: "host == 'eth1'",
        types: ['Egress'],
        egress: [{ action: 'Allow', ...ports(8080) }],
      }),
    );
    await node.apply();
    await judge(t, node, [
      service(HOST4, '10.96.0.1', '198.51.100.9', true),
      service(HOST6, 'fd00:96::1', '2001:db8:1::9', true),
      service(HOST4, '10.96.0.2', '10.0.0.1', true),
      service(HOST4, '10.96.0.3', '203.0.113.30', false),
      { at: 'router', from: HOST4, to: '198.51.100.9', dport: 8081, out: false },
      // Forwarded, so none of the host's own egress.
      {
        at: 'external',
        from: OUTSIDE4,
        to: HOST4,
        dport: 30_082,
        arrivesAs: { from: OUTSIDE4, to: '198.51.100.9', dport: 8082 },
        out: true,
      },
    ]);
    node.put(globalPolicy('out', { selector: "host == 'eth1'", types: ['Egress'] }));
    await node.apply();
    await judge(t, node, [
      service(HOST4, '10.96.0.1', '198.51.100.9', false),
      service(HOST6, 'fd00:96::1', '2001:db8:1::9', false),
      service(HOST4, '10.96.0.2', '10.0.0.1', true),
    ]);
  }),
);

/** Marks packets before us, counts after us which of their marks are left. */
const MARKER = `table inet others {
  counter kept { }
  counter ours { }
  chain before { type filter hook prerouting priority -310; meta mark set 0x1000ffff; }
  chain after {
    type filter hook input priority 300;
    meta mark & 0x0000ffff == 0x0000ffff counter name kept
    meta mark & 0x10000000 == 0x10000000 counter name ours
  }
}
`;

kernelTest('one bit of the mark is ours while it is needed, all others stay', NEEDS, (t) =>
  withNode({ pods: [] }, async (node) => {
    const counted = async (name: string): Promise<number> => {
      const args = ['-j', 'list', 'counter', 'inet', 'others', name];
      const text = await node.fabric.router.run(requireSystemTool('nft'), args);
      return Number(/"packets": (\d+)/.exec(text)?.[1]);
    };
    await nft(node, MARKER);
    const early = globalPolicy('early', {
      selector: "host == 'eth0'",
      preDNAT: true,
      applyOnForward: true,
      types: ['Ingress'],
      ingress: [{ action: 'Allow', ...ports(80) }],
    });
    node.put(ETH0, early);
    await node.apply();
    await judge(t, node, [
      { at: 'external', from: OUTSIDE4, to: HOST4, out: true },
      // Who sends our bit along gains nothing.
      { at: 'external', from: OUTSIDE4, to: HOST4, dport: 81, out: false },
      { at: 'external', from: OUTSIDE4, to: HOST4, dport: 22, out: true },
    ]);
    t.is(await counted('kept'), 2);
    t.is(await counted('ours'), 1);
    node.remove(early);
    await node.apply();
    await judge(t, node, [
      { at: 'external', from: OUTSIDE4, to: HOST4, out: false },
      { at: 'external', from: OUTSIDE4, to: HOST4, dport: 22, out: true },
    ]);
    // Nobody needs it any more: it stays as it came.
    t.is(await counted('kept'), 3);
    t.is(await counted('ours'), 2);
  }),
);
