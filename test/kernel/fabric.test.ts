/** The test harness itself, without Picket: what is sent arrives, and what a hand-written rule drops does not. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { toAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { until } from '../support/cli.ts';
import { Fabric } from '../support/fabric.ts';
import { kernelTest } from '../support/needs.ts';
import { openNetns } from '../support/netns.ts';
import { requireSystemTool } from '../support/tools.ts';

const WORKLOADS = [
  { name: 'a', ifname: 'calia', addresses: ['10.0.0.1', 'fd00::1'] },
  { name: 'b', ifname: 'calib', addresses: ['10.0.0.2', 'fd00::2'] },
];

/** A packet that opens something: from port 40000 to `dport` where the protocol has ports, an echo request for ICMP. */
function packet(protocol: number, source: string, destination: string, dport = 80): Packet {
  const saddr = toAddress(source);
  const daddr = toAddress(destination);
  if (saddr === undefined || daddr === undefined) throw new Error(`${source} > ${destination}`);
  const hasPorts = [6, 17, 132, 136].includes(protocol);
  const isIcmp = protocol === (saddr.family === 4 ? 1 : 58);
  return {
    family: saddr.family,
    saddr,
    daddr,
    protocol,
    sport: hasPorts ? 40_000 : undefined,
    dport: hasPorts ? dport : undefined,
    icmpType: isIcmp ? (saddr.family === 4 ? 8 : 128) : undefined,
    icmpCode: isIcmp ? 0 : undefined,
  };
}

function reversed(p: Packet): Packet {
  return { ...p, saddr: p.daddr, daddr: p.saddr, sport: p.dport, dport: p.sport };
}

async function withFabric(run: (fabric: Fabric) => Promise<void>): Promise<void> {
  const fabric = await Fabric.create({ workloads: WORKLOADS });
  try {
    await run(fabric);
  } finally {
    await fabric.close();
  }
}

async function loadRules(fabric: Fabric, rules: string): Promise<void> {
  await fabric.router.run(requireSystemTool('nft'), ['-f', '-'], rules);
}

const ROUTES = [
  {
    name: 'workload to workload',
    from: 'a',
    source: ['10.0.0.1', 'fd00::1'],
    destination: ['10.0.0.2', 'fd00::2'],
  },
  {
    name: 'spoofed source',
    from: 'a',
    source: ['10.9.9.9', 'fd09::9'],
    destination: ['10.0.0.2', 'fd00::2'],
  },
  {
    name: 'to the router itself',
    from: 'a',
    source: ['10.0.0.1', 'fd00::1'],
    destination: ['192.0.2.1', '2001:db8:ffff::1'],
  },
  {
    name: 'from the router itself',
    from: 'router',
    source: ['192.0.2.1', '2001:db8:ffff::1'],
    destination: ['10.0.0.2', 'fd00::2'],
  },
  {
    name: 'to the outside',
    from: 'a',
    source: ['10.0.0.1', 'fd00::1'],
    destination: ['203.0.113.9', '2001:db8::9'],
  },
  {
    name: 'from the outside',
    from: 'external',
    source: ['203.0.113.9', '2001:db8::9'],
    destination: ['10.0.0.1', 'fd00::1'],
  },
] as const;

const PROTOCOLS = [
  [1, 6, 17, 132, 136, 47, 50, 99, 253],
  [58, 6, 17, 132, 136, 47, 99, 253],
] as const;

kernelTest('everything arrives where nothing filters', ['netns', 'cc'], (t) =>
  withFabric(async (fabric) => {
    const rows = ROUTES.flatMap((route) =>
      PROTOCOLS.flatMap((protocols, i) =>
        protocols.map((protocol) => ({
          name: `${route.name}, protocol ${protocol}, family ${i === 0 ? 4 : 6}`,
          from: route.from,
          packet: packet(protocol, route.source[i] ?? '', route.destination[i] ?? ''),
        })),
      ),
    );
    const arrived = await fabric.probe(rows);
    t.deepEqual(
      rows.filter((_, i) => arrived[i] !== true).map((row) => row.name),
      [],
    );
  }),
);

kernelTest('IPv6 extension headers and TCP flags do not hide a packet', ['netns', 'cc'], (t) =>
  withFabric(async (fabric) => {
    const base = { from: 'a', packet: packet(6, 'fd00::1', 'fd00::2') };
    const arrived = await fabric.probe([
      { ...base, dress: { extensions: ['hop-by-hop'] } },
      { ...base, dress: { extensions: ['destination'] } },
      { ...base, dress: { extensions: ['hop-by-hop', 'destination'], tcpFlags: 'ack' } },
    ]);
    t.deepEqual(arrived, [true, true, true]);
  }),
);

kernelTest('a packet without a route, or for someone else, does not arrive', ['netns', 'cc'], (t) =>
  withFabric(async (fabric) => {
    const toB = packet(17, '10.0.0.1', '10.0.0.2');
    t.deepEqual(await fabric.observe([{ from: 'a', packet: toB }]), [['b']]);
    t.deepEqual(await fabric.probe([{ from: 'a', packet: toB, to: 'external' }]), [false]);
    await fabric.router.run(requireSystemTool('ip'), ['link', 'set', 'calib', 'down']);
    t.deepEqual(await fabric.observe([{ from: 'a', packet: toB }]), [['external']]);
  }),
);

kernelTest('what a rule drops is seen as dropped, in every hook', ['netns', 'cc', 'nft'], (t) =>
  withFabric(async (fabric) => {
    await loadRules(
      fabric,
      `table inet t {
        chain forward { type filter hook forward priority 0; tcp dport 81 drop; }
        chain input { type filter hook input priority 0; udp dport 82 drop; }
        chain output { type filter hook output priority 0; udp dport 83 drop; }
      }`,
    );
    const rows = [
      { from: 'a', packet: packet(6, '10.0.0.1', '10.0.0.2', 80), out: true },
      { from: 'a', packet: packet(6, '10.0.0.1', '10.0.0.2', 81), out: false },
      { from: 'a', packet: packet(6, 'fd00::1', 'fd00::2', 81), out: false },
      { from: 'a', packet: packet(17, '10.0.0.1', '192.0.2.1', 81), out: true },
      { from: 'a', packet: packet(17, '10.0.0.1', '192.0.2.1', 82), out: false },
      { from: 'a', packet: packet(17, 'fd00::1', '2001:db8:ffff::1', 82), out: false },
      { from: 'router', packet: packet(17, '192.0.2.1', '10.0.0.1', 82), out: true },
      { from: 'router', packet: packet(17, '192.0.2.1', '10.0.0.1', 83), out: false },
      { from: 'router', packet: packet(17, '2001:db8:ffff::1', 'fd00::1', 83), out: false },
    ];
    t.deepEqual(
      await fabric.probe(rows),
      rows.map((row) => row.out),
    );
  }),
);

kernelTest(
  'a rejected packet did not arrive, though its answer quotes it',
  ['netns', 'cc', 'nft'],
  (t) =>
    withFabric(async (fabric) => {
      await loadRules(
        fabric,
        `table inet t {
        chain forward { type filter hook forward priority 0; udp dport 81 reject; }
      }`,
      );
      const rejected = packet(17, '10.0.0.1', '10.0.0.2', 81);
      t.deepEqual(await fabric.observe([{ from: 'a', packet: rejected }]), [[]]);
    }),
);

kernelTest('conntrack takes the packets, and can be made to forget', ['netns', 'cc', 'nft'], (t) =>
  withFabric(async (fabric) => {
    await loadRules(
      fabric,
      `table inet t {
        chain forward { type filter hook forward priority 0; ct state invalid,established drop; }
      }`,
    );
    const opening = [1, 17, 6, 132, 136, 99].map((n) => packet(n, '10.0.0.1', '10.0.0.2'));
    t.deepEqual(
      await fabric.probe(opening.map((p) => ({ from: 'a', packet: p }))),
      opening.map(() => true),
    );
    const answer = { from: 'b', packet: reversed(packet(17, '10.0.0.1', '10.0.0.2')) };
    t.deepEqual(await fabric.probe([answer]), [false], 'the reply is established');
    await fabric.forgetConnections();
    t.deepEqual(await fabric.probe([answer]), [true], 'the same packet now opens a connection');
  }),
);

kernelTest('a large batch is complete', ['netns', 'cc'], (t) =>
  withFabric(async (fabric) => {
    const rows = Array.from({ length: 5000 }, (_, i) => ({
      from: i % 2 === 0 ? 'a' : 'external',
      packet:
        i % 2 === 0
          ? packet(17, '10.0.0.1', '10.0.0.2', i)
          : packet(6, '203.0.113.1', '10.0.0.1', i),
    }));
    const arrived = await fabric.probe(rows);
    t.is(arrived.filter(Boolean).length, rows.length);
  }),
);

kernelTest('workloads can be plugged in later', ['netns', 'cc'], (t) =>
  withFabric(async (fabric) => {
    await fabric.addWorkloads([{ name: 'c', ifname: 'calic', addresses: ['10.0.0.3'] }]);
    const probe = { from: 'c', packet: packet(6, '10.0.0.3', '10.0.0.2') };
    t.deepEqual(await fabric.observe([probe]), [['b']]);
    t.deepEqual(await fabric.probe([{ from: 'a', packet: packet(6, '10.0.0.1', '10.0.0.3') }]), [
      true,
    ]);
  }),
);

kernelTest('a bad line to netprobe is reported, and the fabric still works', ['netns', 'cc'], (t) =>
  withFabric(async (fabric) => {
    await t.throwsAsync(fabric.addWorkloads([{ name: 'd', ifname: 'calib', addresses: [] }]), {
      message: /File exists/,
    });
    await t.throwsAsync(
      fabric.probe([{ from: 'nobody', packet: packet(6, '10.0.0.1', '10.0.0.2') }]),
      {
        message: 'no workload named nobody',
      },
    );
    t.deepEqual(await fabric.probe([{ from: 'a', packet: packet(6, '10.0.0.1', '10.0.0.2') }]), [
      true,
    ]);
  }),
);

kernelTest(
  'a namespace goes when its holder is closed, and when we are killed',
  ['netns'],
  async (t) => {
    const netns = await openNetns();
    await netns.close();
    await netns.close();
    t.false(existsSync(netns.path));
    const path = await pathLeftByKilledProcess(t);
    await until('the namespace is gone', () => !existsSync(path));
  },
);

/** Starts a process that opens a namespace and is then killed without a chance to clean up. */
async function pathLeftByKilledProcess(t: ExecutionContext): Promise<string> {
  const script = `
    const { openNetns } = await import(${JSON.stringify(new URL('../support/netns.ts', import.meta.url).href)});
    console.log((await openNetns()).path);
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const path = await new Promise<string>((resolve) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
  });
  t.true(existsSync(path));
  child.kill('SIGKILL');
  return path;
}
