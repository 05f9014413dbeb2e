/** The starting sets of examples/ as they ship: lint has nothing to say, and real packets meet what their comments promise. */
import { printAddress } from '../../compiler/model/ip.ts';
import { picket } from '../support/cli.ts';
import { openingOf } from '../support/case.ts';
import { readTruthTable } from '../support/case-packets.ts';
import type { CasePacket } from '../support/case-packets.ts';
import { Fabric } from '../support/fabric.ts';
import type { FabricOptions, Probe } from '../support/fabric.ts';
import { kernelTest } from '../support/needs.ts';
import { projectPath } from '../support/tools.ts';

const CAPS = ['root', 'netns', 'addon', 'cc'] as const;

/** The host as the packets below name it. */
const HOST = ['192.0.2.1', '2001:db8:ffff::1'];

interface Starting {
  readonly name: string;
  readonly node: string;
  readonly workloads: FabricOptions['workloads'];
  /** Lines as in packets.txt of the cases. */
  readonly packets: string;
}

const MACHINES = [
  { name: 'web', ifname: 'tap-web', addresses: ['10.20.0.11', 'fd20::11'] },
  { name: 'db', ifname: 'tap-db', addresses: ['10.20.0.12', 'fd20::12'] },
  { name: 'stranger', ifname: 'tap-new', addresses: ['10.20.0.13'] },
];

const SETS: readonly Starting[] = [
  {
    name: 'server',
    node: 'server',
    workloads: [],
    packets: `
      allow tcp 203.0.113.9 -> 192.0.2.1:22
      allow tcp 203.0.113.9 -> 192.0.2.1:80
      allow tcp 203.0.113.9 -> 192.0.2.1:443
      allow tcp [2001:db8::9]:40000 -> [2001:db8:ffff::1]:443
      allow icmp 203.0.113.9 -> 192.0.2.1
      allow icmpv6 2001:db8::9 -> 2001:db8:ffff::1
      allow udp 203.0.113.9:67 -> 192.0.2.1:68
      allow udp [fe80::9]:547 -> [2001:db8:ffff::1]:546
      deny  udp [2001:db8::9]:547 -> [2001:db8:ffff::1]:546
      deny  tcp 203.0.113.9 -> 192.0.2.1:5432
      deny  tcp 203.0.113.9 -> 192.0.2.1:6443     # a port that is failsafe by default
      deny  udp 203.0.113.9 -> 192.0.2.1:53
      deny  icmp 203.0.113.9 -> 192.0.2.1 13/0
      deny  47 203.0.113.9 -> 192.0.2.1
      allow tcp 192.0.2.1 -> 203.0.113.9:25
      allow udp 192.0.2.1 -> 203.0.113.9:4000
      allow udp 203.0.113.9:4000 -> 192.0.2.1:40000 reply
      allow icmp 192.0.2.1 -> 203.0.113.9
      allow tcp [2001:db8:ffff::1]:40000 -> [2001:db8::9]:9
      allow tcp 192.0.2.1 -> 192.0.2.1:5432       # over lo`,
  },
  {
    name: 'locked-down',
    node: 'server',
    workloads: [],
    packets: `
      allow tcp 192.0.2.77 -> 192.0.2.1:22
      allow tcp [2001:db8:22::9]:40000 -> [2001:db8:ffff::1]:22
      deny  tcp 203.0.113.9 -> 192.0.2.1:22
      deny  tcp [2001:db8::9]:40000 -> [2001:db8:ffff::1]:22
      deny  tcp 192.0.2.77 -> 192.0.2.1:80
      deny  icmp 192.0.2.77 -> 192.0.2.1
      deny  icmpv6 2001:db8:22::9 -> 2001:db8:ffff::1
      allow icmpv6 fe80::9 -> 2001:db8:ffff::1 135/0
      allow icmpv6 fe80::9 -> 2001:db8:ffff::1 134/0
      allow udp 203.0.113.9:67 -> 192.0.2.1:68
      allow udp 192.0.2.1 -> 203.0.113.9:53
      allow tcp 192.0.2.1 -> 203.0.113.9:53
      allow udp 192.0.2.1 -> 203.0.113.9:123
      allow tcp 192.0.2.1 -> 203.0.113.9:80
      allow tcp 192.0.2.1 -> 203.0.113.9:443
      allow udp 192.0.2.1:68 -> 203.0.113.9:67
      allow tcp [2001:db8:ffff::1]:40000 -> [2001:db8::9]:443
      allow udp 203.0.113.9:53 -> 192.0.2.1:40000 reply
      allow icmpv6 2001:db8:ffff::1 -> 2001:db8::9 135/0
      deny  tcp 192.0.2.1 -> 203.0.113.9:22
      deny  tcp 192.0.2.1 -> 203.0.113.9:25
      deny  tcp 192.0.2.1 -> 203.0.113.9:6443     # a port that is failsafe by default
      deny  udp 192.0.2.1 -> 203.0.113.9:443
      deny  icmp 192.0.2.1 -> 203.0.113.9
      deny  tcp [2001:db8:ffff::1]:40000 -> [2001:db8::9]:25
      allow tcp 192.0.2.1 -> 192.0.2.1:5432       # over lo`,
  },
  {
    name: 'hypervisor',
    node: 'hypervisor',
    workloads: MACHINES,
    packets: `
      allow tcp 203.0.113.9 -> 10.20.0.11:80
      allow tcp [2001:db8::9]:40000 -> [fd20::11]:443
      allow icmp 203.0.113.9 -> 10.20.0.11
      deny  tcp 203.0.113.9 -> 10.20.0.11:22
      allow tcp 10.20.0.11 -> 203.0.113.9:25
      allow tcp 10.20.0.11 -> 10.20.0.12:5432
      allow tcp 10.20.0.12:5432 -> 10.20.0.11:40000 reply
      deny  tcp 203.0.113.9 -> 10.20.0.12:5432
      deny  tcp 10.20.0.11 -> 10.20.0.12:22
      deny  tcp 10.20.0.12 -> 203.0.113.9:443
      deny  tcp 10.20.0.12 -> 10.20.0.11:80
      deny  tcp 10.20.0.11 -> 192.0.2.1:22        # to the host
      deny  tcp 10.20.0.13 -> 203.0.113.9:80      # a machine that no manifest names
      deny  tcp 203.0.113.9 -> 10.20.0.13:80`,
  },
];

for (const { name, node, workloads, packets } of SETS) {
  kernelTest(`the starting set "${name}" does what it says`, CAPS, async (t) => {
    const fabric = await Fabric.create({ workloads, routerAddresses: [], externalAddresses: HOST });
    try {
      const options = optionsOf(name);
      const apply = await picket([
        'apply',
        ...options,
        '--node',
        node,
        '--netns',
        fabric.router.path,
      ]);
      t.deepEqual([apply.exitCode, apply.stderr], [0, '']);
      for (const sent of readTruthTable(packets).packets) {
        if (sent.isReply) await fabric.probe([probeOf(openingOf(sent), workloads)]);
        else await fabric.forgetConnections();
        const [arrived] = await fabric.probe([probeOf(sent, workloads)]);
        t.is(arrived, sent.verdict === 'allow', sent.text);
      }
    } finally {
      await fabric.close();
    }
  });

  kernelTest(`the starting set "${name}" is as lint wants it`, ['addon'], async (t) => {
    const lint = await picket(['lint', ...optionsOf(name), '-o', 'json']);
    t.is(lint.exitCode, 0);
    t.deepEqual((JSON.parse(lint.stdout) as { issues: unknown }).issues, [], lint.stdout);
    t.is((await picket(['config', '--config', configOf(name)])).exitCode, 0);
  });
}

function configOf(name: string): string {
  return projectPath(`examples/${name}/picket.yaml`);
}

function optionsOf(name: string): string[] {
  return ['--config', configOf(name), '--manifests', projectPath(`examples/${name}/policies`)];
}

function probeOf(sent: CasePacket, workloads: Starting['workloads']): Probe {
  return {
    from: placeOf(sent, workloads),
    packet: sent.packet,
    ...(sent.isReply ? { dress: { tcpFlags: 'syn-ack' } } : {}),
  };
}

function placeOf({ packet }: CasePacket, workloads: Starting['workloads']): string {
  const source = printAddress(packet.saddr);
  const own = workloads.find(({ addresses }) => addresses.includes(source));
  return own?.name ?? (HOST.includes(source) ? 'router' : 'external');
}
