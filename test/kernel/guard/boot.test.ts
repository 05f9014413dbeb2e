/** `picket boot`: the last good state comes back without manifests; where it is lost, a host that was governed is closed but for failsafes. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readEnforcedOrigin } from '../../../agent/state/origin.ts';
import { Fabric } from '../../support/fabric.ts';
import type { Probe } from '../../support/fabric.ts';
import { picket, WEB } from '../../support/cli.ts';
import { GuardedHost, hostPolicy } from '../../support/guarded-host.ts';
import { packetOf } from '../../support/kernel-node.ts';
import { kernelTest } from '../../support/needs.ts';
import { requireSystemTool } from '../../support/tools.ts';

const CAPS = ['netns', 'nft', 'addon'] as const;

async function restart(host: GuardedHost): Promise<void> {
  await host.bench.nft('delete', 'table', 'inet', 'picket');
}

kernelTest('the last good state is loaded, to the last element, without manifests', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80', '10.0.0.0/8') }, async (host) => {
    t.is((await host.apply()).exitCode, 0);
    const before = await host.ruleset();
    await restart(host);
    host.bench.remove('host.yaml');
    const booted = await host.run('boot');
    t.is(booted.exitCode, 0, booted.stderr);
    t.regex(booted.stdout, /^state loaded: .* old, node n1: apply by uid 0/);
    t.is(await host.ruleset(), before);
    t.is(readEnforcedOrigin(host.directory('run'))?.source, 'boot');
    const generation = await host.bench.generation();
    const again = await host.run('boot', '-o', 'json');
    t.like(JSON.parse(again.stdout), { loaded: 'nothing' });
    t.is(await host.bench.generation(), generation, 'a table that is there is left alone');
  }),
);

kernelTest('no state: nothing is loaded, and that is no failure', CAPS, (t) =>
  GuardedHost.with({}, async (host) => {
    const booted = await host.run('boot');
    t.is(booted.exitCode, 0, booted.stderr);
    t.regex(booted.stdout, /^nothing loaded/);
    t.is(await host.bench.table(), undefined);
  }),
);

kernelTest(
  'a broken state of a host that was not governed: nothing is loaded, and that is told',
  CAPS,
  (t) =>
    GuardedHost.with({ 'web.yaml': WEB }, async (host) => {
      t.is((await host.apply()).exitCode, 0);
      await restart(host);
      truncateSync(join(host.directory('state'), 'state'), 1000);
      const booted = await host.run('boot');
      t.is(booted.exitCode, 1);
      t.regex(booted.stdout, /^nothing loaded: .*damaged or cut off.*not governed/);
      t.is(await host.bench.table(), undefined);
    }),
);

for (const { name, spoil } of [
  { name: 'cut off', spoil: (path: string) => truncateSync(path, 1000) },
  { name: 'empty', spoil: (path: string) => truncateSync(path, 0) },
  {
    name: 'of a later format',
    spoil: (path: string) => {
      const text = readFileSync(path, 'latin1');
      writeFileSync(path, text.replace('picket-state 1', 'picket-state 9'), 'latin1');
    },
  },
]) {
  kernelTest(`a state that is ${name} of a governed host: the built-in rules`, CAPS, (t) =>
    GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
      t.is((await host.apply()).exitCode, 0);
      await restart(host);
      spoil(join(host.directory('state'), 'state'));
      const booted = await host.run('boot', '--config', '/nowhere');
      t.is(booted.exitCode, 4, booted.stdout);
      t.regex(booted.stdout, /^fallback loaded/);
      t.is(readEnforcedOrigin(host.directory('run'))?.source, 'fallback');
      host.bench.write('host.yaml', hostPolicy('80'));
      t.is((await host.apply()).exitCode, 0, 'apply takes over');
      t.deepEqual(await host.bench.policies(), ['services']);
    }),
  );
}

const HOST4 = '192.0.2.1';
const HOST6 = '2001:db8:ffff::1';
const OUTSIDE4 = '203.0.113.9';
const OUTSIDE6 = '2001:db8::9';
const [ICMP, TCP, UDP, ICMPV6] = [1, 6, 17, 58] as const;

/** To the host, or from it. */
const PACKETS: readonly {
  readonly name: string;
  readonly probe: Pick<Probe, 'from' | 'packet'>;
  readonly out: boolean;
}[] = [
  { name: 'ssh in', probe: into(TCP, 22), out: true },
  { name: 'http in', probe: into(TCP, 80), out: false },
  { name: 'a high udp port in', probe: into(UDP, 5353), out: false },
  { name: 'DHCP in', probe: into(UDP, 68), out: true },
  {
    name: 'ping in',
    probe: { from: 'external', packet: icmp(ICMP, OUTSIDE4, HOST4, 8) },
    out: true,
  },
  {
    name: 'ping in, IPv6',
    probe: { from: 'external', packet: icmp(ICMPV6, OUTSIDE6, HOST6, 128) },
    out: true,
  },
  {
    name: 'redirect in',
    probe: { from: 'external', packet: icmp(ICMP, OUTSIDE4, HOST4, 5) },
    out: false,
  },
  { name: 'DNS out', probe: outOf(UDP, 53), out: true },
  { name: 'DHCP out', probe: outOf(UDP, 67), out: true },
  { name: 'http out', probe: outOf(TCP, 80), out: false },
];

function into(protocol: number, dport: number): Pick<Probe, 'from' | 'packet'> {
  return { from: 'external', packet: packetOf({ from: OUTSIDE4, to: HOST4, protocol, dport }) };
}

function outOf(protocol: number, dport: number): Pick<Probe, 'from' | 'packet'> {
  return { from: 'router', packet: packetOf({ from: HOST4, to: OUTSIDE4, protocol, dport }) };
}

function icmp(protocol: number, from: string, to: string, icmpType: number): Probe['packet'] {
  const packet = packetOf({ from, to, protocol });
  return { ...packet, sport: undefined, dport: undefined, icmpType, icmpCode: 0 };
}

kernelTest('what the built-in rules let through', [...CAPS, 'cc'], async (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    const fabric = await Fabric.create({ workloads: [] });
    try {
      const { path } = fabric.router;
      const options = ['--netns', path] as const;
      const { manifests } = host.bench;
      const apply = ['apply', '--manifests', manifests, '--node', 'n1', ...options];
      t.is((await picket(apply, [], host.env)).exitCode, 0);
      await fabric.router.run(requireSystemTool('nft'), ['delete', 'table', 'inet', 'picket']);
      const state = join(host.env['PICKET_STATE_DIRECTORY'] ?? '', 'netns');
      truncateSync(join(state, encodeURIComponent(path), 'state'), 100);
      t.is((await picket(['boot', ...options], [], host.env)).exitCode, 4);
      const passed = await fabric.probe(PACKETS.map(({ probe }) => probe));
      t.deepEqual(
        PACKETS.map(({ name }, index) => `${name}: ${passed[index]}`),
        PACKETS.map(({ name, out }) => `${name}: ${out}`),
      );
    } finally {
      await fabric.close();
    }
  }),
);
