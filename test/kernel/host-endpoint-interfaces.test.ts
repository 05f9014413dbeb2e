/**
 * Which host endpoint governs an interface, and what happens to interfaces that come, go, are renamed and change addresses under traffic.
 * Manifests and links in, real packets judged by the kernel. Specification section 1.6.
 */
import { FaultyDataplane, withOverlongLoad } from '../support/faults.ts';
import { withFollowed } from '../support/followed.ts';
import { judge } from '../support/judge.ts';
import type { Row } from '../support/judge.ts';
import {
  globalPolicy,
  hostEndpoint,
  ifnameOf,
  packetOf,
  reversed,
  withNode,
} from '../support/kernel-node.ts';
import { kernelTest } from '../support/needs.ts';
import { runIp } from '../support/netns.ts';

const NEEDS = ['netns', 'cc', 'addon'] as const;
const HOST4 = '192.0.2.1';
const OUTSIDE4 = '203.0.113.9';
const LAN4 = '198.51.100.7';
const UDP = 17;
const A = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'] };
const LAN = {
  name: 'lan',
  ifname: 'eth1',
  nets: ['198.51.100.0/24', '2001:db8:1::/64'],
  addresses: ['192.0.2.20', '2001:db8:ffff::20'],
};

/** The host endpoint, and the one port of the host that it leaves open. */
function open(name: string, spec: object, port: number): object[] {
  const allow = { action: 'Allow', protocol: 'TCP', destination: { ports: [port] } };
  const selector = `host == '${name}'`;
  const policy = globalPolicy(`open-${name}`, { selector, types: ['Ingress'], ingress: [allow] });
  return [hostEndpoint(name, spec), policy];
}

const ENDS = { external: OUTSIDE4, lan: LAN4 } as const;

/** Of these ports of the host only `reached` is open from there; `undefined` = all are. */
function ports(at: keyof typeof ENDS, reached: number | undefined): Row[] {
  return [81, 82, 83].map((dport) => ({
    at,
    from: ENDS[at],
    to: HOST4,
    dport,
    out: reached === undefined || dport === reached,
  }));
}

interface Selection {
  readonly name: string;
  readonly hosts: readonly object[][];
  /** Open port of the endpoint that governs the interface; `undefined` = none does. */
  readonly eth0: number | undefined;
  readonly eth1: number | undefined;
}

const SELECTIONS: readonly Selection[] = [
  {
    name: 'by name, the others have none',
    hosts: [open('one', { interfaceName: 'eth1' }, 81)],
    eth0: undefined,
    eth1: 81,
  },
  {
    name: 'by an expected address',
    hosts: [open('one', { expectedIPs: ['203.0.113.77', '2001:db8:ffff::20'] }, 81)],
    eth0: undefined,
    eth1: 81,
  },
  {
    name: 'the name counts, where there is one',
    hosts: [open('one', { interfaceName: 'eth0', expectedIPs: ['192.0.2.20'] }, 81)],
    eth0: 81,
    eth1: undefined,
  },
  {
    name: 'the lowest name shadows the others, however it matches',
    hosts: [
      open('b', { interfaceName: 'eth1' }, 82),
      open('a', { expectedIPs: ['192.0.2.20'] }, 81),
      open('c', { interfaceName: 'eth0' }, 83),
    ],
    eth0: 83,
    eth1: 81,
  },
  {
    name: 'the lowest * has what is left',
    hosts: [
      open('x', { interfaceName: '*' }, 82),
      open('y', { interfaceName: '*' }, 83),
      open('z', { interfaceName: 'eth1' }, 81),
    ],
    eth0: 82,
    eth1: 81,
  },
  {
    name: 'of another node',
    hosts: [open('one', { interfaceName: '*', node: 'elsewhere' }, 81)],
    eth0: undefined,
    eth1: undefined,
  },
];

for (const { name, hosts, eth0, eth1 } of SELECTIONS) {
  kernelTest(`selection: ${name}`, NEEDS, (t) =>
    withNode({ pods: [], hostInterfaces: [LAN] }, async (node) => {
      node.put(...hosts.flat());
      await node.apply();
      await judge(t, node, [...ports('external', eth0), ...ports('lan', eth1)]);
    }),
  );
}

kernelTest("a workload's own interface is never a host endpoint's", NEEDS, (t) =>
  withNode({ pods: [A] }, async (node) => {
    node.put(hostEndpoint('one', { interfaceName: ifnameOf('a') }));
    await node.apply();
    await judge(t, node, [
      { at: 'a', from: '10.0.0.1', to: HOST4, out: true },
      { at: 'router', from: HOST4, to: '10.0.0.1', dport: 81, out: true },
    ]);
  }),
);

kernelTest(
  'a named interface is governed from its first packet, and again when it is back',
  NEEDS,
  (t) =>
    withNode({ pods: [] }, async (node) => {
      node.put(...open('one', { interfaceName: 'eth1' }, 81));
      await node.apply();
      await node.fabric.addHostInterfaces([LAN]);
      await judge(t, node, ports('lan', 81));
      const known = packetOf({ from: LAN4, to: HOST4, protocol: UDP, dport: 22 });
      await node.fabric.forgetConnections();
      node.put(
        globalPolicy('udp', {
          selector: "host == 'one'",
          types: ['Ingress', 'Egress'],
          ingress: [{ action: 'Allow', protocol: 'UDP' }],
        }),
      );
      await node.apply();
      t.true(await node.passes('lan', known));
      t.true(await node.passes('router', reversed(known)));
      await node.fabric.replugHostInterface(LAN);
      // Nobody has told the kernel anything since: the connection goes on, others are judged as before.
      t.true(await node.passes('lan', known));
      t.true(await node.passes('router', reversed(known)));
      t.deepEqual((await node.apply()).operations, {});
      await judge(t, node, ports('lan', 81));
    }),
);

kernelTest('an interface takes a name that an endpoint has, and loses it', NEEDS, (t) =>
  withNode({ pods: [], hostInterfaces: [LAN] }, (node) =>
    withFollowed(node, async (followed) => {
      const rename = async (from: string, to: string): Promise<void> => {
        await runIp(node.fabric.router, [
          `link set ${from} down`,
          `link set ${from} name ${to}`,
          `link set ${to} up`,
          `route add 198.51.100.0/24 dev ${to}`,
          `neigh replace ${LAN4} lladdr 02:00:00:00:00:77 dev ${to} nud permanent`,
        ]);
      };
      node.put(
        ...open('one', { interfaceName: 'eth9' }, 81),
        ...open('two', { expectedIPs: ['192.0.2.20'] }, 82),
      );
      await node.apply(await followed.current());
      await judge(t, node, ports('lan', 82));
      await rename('eth1', 'eth9');
      // Its new name has been known to the kernel all along.
      await judge(t, node, ports('lan', 81));
      const { operations } = await node.apply(
        await followed.until(({ links }) => links.has('eth9')),
      );
      t.deepEqual(Object.keys(operations), ['delete-elements']);
      await judge(t, node, ports('lan', 81));
      await rename('eth9', 'eth1');
      await node.apply(await followed.until(({ links }) => links.has('eth1')));
      await judge(t, node, ports('lan', 82));
    }),
  ),
);

kernelTest('an expected address moves from interface to interface: elements only', NEEDS, (t) =>
  withNode({ pods: [], hostInterfaces: [LAN] }, (node) =>
    withFollowed(node, async (followed) => {
      node.put(...open('one', { expectedIPs: ['192.0.2.20'] }, 81));
      await node.apply(await followed.current());
      await judge(t, node, [...ports('external', undefined), ...ports('lan', 81)]);
      await runIp(node.fabric.router, [
        'addr del 192.0.2.20/32 dev eth1',
        'addr add 192.0.2.20/32 dev eth0',
      ]);
      const { operations } = await node.apply(
        await followed.until(({ addresses }) => addresses.get('eth0')?.has('192.0.2.20') === true),
      );
      t.deepEqual(Object.keys(operations).sort(), ['add-elements', 'delete-elements']);
      await judge(t, node, [...ports('external', 81), ...ports('lan', undefined)]);
      await runIp(node.fabric.router, ['addr del 192.0.2.20/32 dev eth0']);
      await node.apply(
        await followed.until(({ addresses }) => addresses.get('eth0')?.has('192.0.2.20') !== true),
      );
      await judge(t, node, [...ports('external', undefined), ...ports('lan', undefined)]);
    }),
  ),
);

kernelTest(
  'a chain that the kernel refuses is closed, but for failsafes and known connections',
  NEEDS,
  (t) => {
    let isSpoiling = false;
    const between = (inner: ConstructorParameters<typeof FaultyDataplane>[0]): FaultyDataplane => {
      const faulty = new FaultyDataplane(inner);
      faulty.corrupt = (op) =>
        isSpoiling && op.origin === 'host-endpoint one ingress' ? withOverlongLoad(op) : op;
      return faulty;
    };
    return withNode({ pods: [], between }, async (node) => {
      await node.apply();
      const known = packetOf({ from: OUTSIDE4, to: HOST4, protocol: UDP, dport: 9999 });
      t.true(await node.passes('external', known));
      t.true(await node.passes('router', reversed(known)));
      isSpoiling = true;
      node.put(...open('one', { interfaceName: 'eth0' }, 81));
      const { quarantined } = await node.apply();
      t.true(quarantined.length > 0);
      t.true(await node.passes('external', known));
      const failsafe = { at: 'external', from: OUTSIDE4, to: HOST4, dport: 22, out: true };
      const refused = [81, 82].map((dport) => ({ ...failsafe, dport, out: false }));
      await judge(t, node, [failsafe, ...refused]);
      isSpoiling = false;
      t.true(node.engine.forgive());
      await node.apply();
      await judge(t, node, ports('external', 81));
    });
  },
);
