/** What goes wrong around flow logs: the agent restarts, endpoints go, a disk is full, a collector is down. Enforcement goes on. */
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { controlSocketPath } from '../../../agent/control/socket-path.ts';
import type { FlowRecord } from '../../../agent/flowlog/record.ts';
import { FOLLOW_PATH } from '../../../agent/flowlog/routes.ts';
import { until } from '../../support/cli.ts';
import { FlowBench } from '../../support/flow-bench.ts';
import { globalPolicy, packetOf, podObject } from '../../support/kernel-node.ts';
import type { PodSpec } from '../../support/kernel-node.ts';
import { kernelTest } from '../../support/needs.ts';
import { requireSystemTool } from '../../support/tools.ts';

const WEB: PodSpec = { name: 'web', addresses: ['10.0.0.1'] };
const DB: PodSpec = { name: 'db', addresses: ['10.0.0.2'] };
const NEEDS = ['netns', 'cc', 'addon'] as const;

/** `db` is reached on port 80 only; everything else is denied by rule 0. */
const denyPolicy = (name: string): object =>
  globalPolicy(name, {
    selector: "app == 'db'",
    ingress: [
      { action: 'Deny', protocol: 'TCP', destination: { notPorts: [80] } },
      { action: 'Allow' },
    ],
  });

const to = (dport: number): { from: string; to: string; dport: number } => ({
  from: '10.0.0.1',
  to: '10.0.0.2',
  dport,
});

const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };

/** Of the policies that decided; '' where none is named. */
const names = (records: readonly FlowRecord[]): string[] =>
  records.map(({ policy }) => policy?.name ?? '').sort((a, b) => (a < b ? -1 : 1));

kernelTest(
  'rule ids from before a restart are named, and never as something else',
  [...NEEDS, 'nft'],
  async (t) => {
    await FlowBench.with([WEB, DB], [denyPolicy('before')], async (bench) => {
      const first = await bench.start();
      t.false(await bench.send('web', to(81)));
      const [record] = await bench.recorded(1);
      t.is(record?.policy?.name, 'before');
      await first.stop('SIGKILL');
      bench.write('all.json', [namespace, ...[WEB, DB].map(podObject), denyPolicy('after')]);
      await bench.start();
      t.false(await bench.send('web', to(82)));
      const [now] = await bench.recorded(1, '--port', '82');
      t.is(now?.policy?.name, 'after');
      // What a rule that is still on its way out would log.
      const chain = `type filter hook prerouting priority -400;\ntcp dport 83 log prefix "${record?.ruleId}" group 5\ntcp dport 84 log prefix "Di/gnp/after/0#0000000000" group 5`;
      const rules = `table inet late {\nchain c {\n${chain}\n}\n}\n`;
      await bench.fabric.router.run(requireSystemTool('nft'), ['-f', '-'], rules);
      await bench.send('web', to(83));
      await bench.send('web', to(84));
      const late = await bench.recorded(2, '--port', '83');
      t.deepEqual(names(late), ['after', 'before']);
      const forged = await bench.recorded(2, '--port', '84');
      t.deepEqual(names(forged), ['', 'after']);
    });
  },
);

kernelTest('a flow of an endpoint that is gone names it', NEEDS, async (t) => {
  await FlowBench.with([WEB, DB], [denyPolicy('p')], async (bench) => {
    const agent = await bench.start({ PICKET_FLOW_LOG_FLUSH_SECONDS: '4' });
    // The first one is told at once, the second when the interval ends.
    t.false(await bench.send('web', to(82)));
    await bench.recorded(1);
    t.false(await bench.send('web', to(81)));
    const lines = agent.log().length;
    bench.write('all.json', [namespace, podObject(DB), denyPolicy('p')]);
    await agent.logged(/^applied/, lines);
    const [, record] = await bench.recorded(2);
    t.like(record?.src, { kind: 'pod', name: 'web', ip: '10.0.0.1' });
  });
});

const lines = (path: string): FlowRecord[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as FlowRecord);

kernelTest(
  'a full disk costs records of the file, whole lines only, and nothing else',
  [...NEEDS, 'root'],
  async (t) => {
    await FlowBench.with([WEB, DB], [denyPolicy('p')], async (bench) => {
      const disk = join(bench.folder, 'disk');
      mkdirSync(disk);
      const mount = requireSystemTool('mount');
      execFileSync(mount, ['-t', 'tmpfs', '-o', 'size=32k', 'none', disk]);
      try {
        const agent = await bench.start({
          PICKET_FLOW_LOG_OUTPUTS: 'file',
          PICKET_FLOW_LOG_FILE: join(disk, 'flows.jsonl'),
          PICKET_FLOW_LOG_RATE: '0',
        });
        for (const round of [0, 1, 2]) {
          const probes = Array.from({ length: 60 }, (_, index) => ({
            from: 'web',
            packet: packetOf(to(1_000 + round * 100 + index)),
          }));
          const arrived = await bench.fabric.probe(probes);
          t.false(arrived.includes(true));
          await bench.recorded((round + 1) * 60);
        }
        await agent.logged(/flow log file .*ENOSPC.*records are lost/);
        t.true(await bench.send('web', to(80)));
        t.false(await bench.send('web', to(81)));
        const written = lines(join(disk, 'flows.jsonl')).length;
        t.true(written > 0 && written < 180, String(written));
        await agent.stop();
      } finally {
        execFileSync(requireSystemTool('umount'), ['-l', disk]);
      }
    });
  },
);

kernelTest('a collector that is down is told once, and holds nothing up', NEEDS, async (t) => {
  await FlowBench.with([WEB, DB], [denyPolicy('p')], async (bench) => {
    const agent = await bench.start({
      PICKET_FLOW_LOG_OUTPUTS: 'otlp,stdout',
      PICKET_FLOW_LOG_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      PICKET_FLOW_LOG_FLUSH_SECONDS: '3600',
    });
    t.false(await bench.send('web', to(81)));
    // At once, as nothing was before it; the next one has to wait, here for the end.
    await bench.recorded(1);
    await agent.logged(/flow log collector .*records are lost/);
    t.false(await bench.send('web', to(82)));
    const told = agent.log().filter(({ msg }) => /collector/.test(msg ?? ''));
    t.is(told.length, 1);
    const { exitCode } = await agent.stop();
    t.is(exitCode, 0);
    const onStdout = agent.log().filter((line) => line['schema'] === 'picket.flow/v1');
    t.is(onStdout.length, 2);
  });
});

kernelTest('who follows gets every record; a filter that is wrong is said', NEEDS, async (t) => {
  await FlowBench.with([WEB, DB], [denyPolicy('p')], async (bench) => {
    const agent = await bench.start();
    t.false(await bench.send('web', to(81)));
    await bench.recorded(1);
    const once = await bench.flows('--port', '81');
    t.is(once.exitCode, 0);
    t.regex(
      once.stdout,
      /DENY  ingress shop\/web -> shop\/db tcp\/81 by GlobalNetworkPolicy p rule 0/,
    );
    const wrong = await bench.flows('--verdict', 'denied');
    t.is(wrong.exitCode, 2);
    t.regex(wrong.stderr, /--verdict "denied": write allow, deny/);
    const following = bench.follow('--from', 'shop/web');
    await until('the record from before', () => following.lines.length === 1);
    t.false(await bench.send('web', to(82)));
    await until('the record that came', () => following.lines.length === 2);
    await agent.stop();
    const { stderr, exitCode } = await following.ended;
    const ports = following.lines
      .slice(0, 2)
      .map((line) => (JSON.parse(line) as FlowRecord).dst.port);
    t.deepEqual(ports, [81, 82]);
    t.is(exitCode, 1);
    t.regex(stderr, /the agent/);
  });
});

const WEB6: PodSpec = { name: 'web', addresses: ['10.0.0.1', 'fd00::1'] };
const DB6: PodSpec = { name: 'db', addresses: ['10.0.0.2', 'fd00::2'] };

const WRAPPED = [
  { name: 'IPv4, in two fragments', from: '10.0.0.1', to: '10.0.0.2', dport: 90 },
  { name: 'IPv6, in two fragments', from: 'fd00::1', to: 'fd00::2', dport: 91 },
  {
    name: 'IPv6, behind other headers',
    from: 'fd00::1',
    to: 'fd00::2',
    dport: 92,
    extensions: ['hop-by-hop', 'destination', 'destination'],
  },
  {
    name: 'IPv6, behind another header, in two fragments',
    from: 'fd00::1',
    to: 'fd00::2',
    dport: 93,
    extensions: ['hop-by-hop'],
  },
] as const;

kernelTest('fragments and extension headers: policy and record see the ports', NEEDS, async (t) => {
  await FlowBench.with([WEB6, DB6], [denyPolicy('p')], async (bench) => {
    await bench.start();
    for (const [index, { name, from, to: daddr, dport, ...rest }] of WRAPPED.entries()) {
      const packet = packetOf({ from, to: daddr, dport });
      const dress = 'extensions' in rest ? { extensions: rest.extensions } : {};
      const halves = name.includes('fragments') ? (['first', 'last'] as const) : [undefined];
      const arrived = await bench.fabric.probe(
        halves.map((half) => ({
          from: 'web',
          packet,
          dress: half === undefined ? dress : { ...dress, fragment: { id: 70_000 + index, half } },
        })),
      );
      t.false(arrived.includes(true), name);
      const [record] = await bench.recorded(1, '--port', String(dport));
      t.like(record, { proto: 'tcp', count: 1, policy: { name: 'p', rule: 0 } }, name);
      t.like(record?.src, { name: 'web', port: 40_000 }, name);
    }
  });
});

kernelTest(
  'a policy edited while nobody ran: old ids mean the old rule, new ones the new',
  [...NEEDS, 'nft'],
  async (t) => {
    const edited = globalPolicy('p', {
      selector: "app == 'db'",
      ingress: [
        { action: 'Allow', protocol: 'TCP', destination: { ports: [443] } },
        { action: 'Deny', protocol: 'TCP', destination: { notPorts: [80] } },
        { action: 'Allow' },
      ],
    });
    await FlowBench.with([WEB, DB], [denyPolicy('p')], async (bench) => {
      const first = await bench.start();
      t.false(await bench.send('web', to(81)));
      const [old] = await bench.recorded(1);
      t.like(old?.policy, { name: 'p', rule: 0 });
      await first.stop('SIGKILL');
      bench.write('all.json', [namespace, ...[WEB, DB].map(podObject), edited]);
      await bench.start();
      t.false(await bench.send('web', to(81)));
      const [now] = await bench.recorded(1);
      t.like(now?.policy, { name: 'p', rule: 1 });
      t.not(now?.ruleId, old?.ruleId);
      // A packet that the old rule logged and that comes late.
      const chain = `type filter hook prerouting priority -400;\ntcp dport 85 log prefix "${old?.ruleId}" group 5`;
      const rules = `table inet late {\nchain c {\n${chain}\n}\n}\n`;
      await bench.fabric.router.run(requireSystemTool('nft'), ['-f', '-'], rules);
      await bench.send('web', to(85));
      const late = await bench.recorded(2, '--port', '85');
      t.deepEqual(late.map(({ policy }) => String(policy?.rule)).toSorted(), ['0', '1']);
    });
  },
);

/** More than one reader's queue and socket hold. */
const FLOWS = 6_000;

/** Records that came, and those that are said to be missing. */
function accounted(lines: readonly string[]): number {
  const lost = lines.map((line) => Number(/^\{"lost":(\d+)\}/.exec(line)?.[1] ?? 0));
  const came = lines.filter((line) => line.startsWith('{"schema"')).length;
  return lost.reduce((sum, each) => sum + each, came);
}

kernelTest(
  'a reader that does not read loses its own records only, and is told',
  NEEDS,
  async (t) => {
    await FlowBench.with([WEB, DB], [denyPolicy('p')], async (bench) => {
      const agent = await bench.start({ PICKET_FLOW_LOG_RATE: '0' });
      const path = controlSocketPath(join(bench.folder, 'run'), bench.fabric.router.path);
      const idle = connect(path);
      let text = '';
      idle.setEncoding('utf8').pause();
      idle.write(`GET ${FOLLOW_PATH}?next=0 HTTP/1.1\r\nHost: picket\r\n\r\n`);
      const reading = bench.follow('--since', '1h');
      try {
        const probes = Array.from({ length: FLOWS }, (_, index) => ({
          from: 'web',
          packet: packetOf(to(1_000 + index)),
        }));
        for (let at = 0; at < FLOWS; at += 500)
          await bench.fabric.probe(probes.slice(at, at + 500));
        // All at once may be too much for anybody, but then it is said how much.
        await until('every record at who reads', () => accounted(reading.lines) >= FLOWS);
        t.is(accounted(reading.lines), FLOWS);
        const status = await bench.ask('status');
        t.is(status.exitCode, 0, status.stderr);
        t.true(await bench.send('web', to(80)));
        idle.on('data', (part: string) => (text += part));
        idle.resume();
        await until('who did not read is told', () => /\{"lost":\d+\}/.test(text));
        t.is(accounted(text.split('\n')), FLOWS);
        t.false(await bench.send('web', to(81)));
        await until('and goes on', () => text.includes('"port":81,'));
      } finally {
        idle.destroy();
      }
      await agent.stop();
      await reading.ended;
    });
  },
);
