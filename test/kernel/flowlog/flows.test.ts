/** Real packets that the kernel denies, to what `picket flows` says of them. */
import type { FlowRecord } from '../../../agent/flowlog/record.ts';
import { until } from '../../support/cli.ts';
import { FlowBench } from '../../support/flow-bench.ts';
import { globalPolicy, podObject } from '../../support/kernel-node.ts';
import type { PodSpec } from '../../support/kernel-node.ts';
import { kernelTest } from '../../support/needs.ts';

const WEB: PodSpec = { name: 'web', addresses: ['10.0.0.1', 'fd00::1'] };
const DB: PodSpec = { name: 'db', addresses: ['10.0.0.2', 'fd00::2'] };
const OUTSIDE = '203.0.113.9';
const NEEDS = ['netns', 'cc', 'addon'] as const;

/** Of `db`: port 80 allowed, port 81 denied by a rule, port 82 logged and then denied by the end of the tier. */
const DB_POLICY = {
  apiVersion: 'projectcalico.org/v3',
  kind: 'NetworkPolicy',
  metadata: { name: 'db', namespace: 'shop' },
  spec: {
    selector: "app == 'db'",
    ingress: [
      { action: 'Allow', protocol: 'TCP', destination: { ports: [80] } },
      { action: 'Deny', protocol: 'TCP', destination: { ports: [81] } },
      { action: 'Log', protocol: 'TCP', destination: { ports: [82] } },
    ],
  },
};

const annotated = (value: string): object => ({
  ...DB_POLICY,
  metadata: { ...DB_POLICY.metadata, annotations: { 'picket/log-allowed': value } },
});

const OFFICE = {
  apiVersion: 'projectcalico.org/v3',
  kind: 'GlobalNetworkSet',
  metadata: { name: 'office', labels: { site: 'hq' } },
  spec: { nets: ['203.0.113.0/24'] },
};

const STAGED = {
  apiVersion: 'projectcalico.org/v3',
  kind: 'StagedNetworkPolicy',
  metadata: { name: 'tomorrow', namespace: 'shop' },
  spec: {
    selector: "app == 'web'",
    types: ['Egress'],
    egress: [{ action: 'Deny', protocol: 'TCP', destination: { ports: [81] } }],
  },
};

const to = (dport: number): { from: string; to: string; dport: number } => ({
  from: '10.0.0.1',
  to: '10.0.0.2',
  dport,
});

const parts = ({ verdict, direction, policy, implicit, src, dst, count }: FlowRecord): object => ({
  verdict,
  direction,
  by: policy ?? implicit,
  src: [src.kind, src.namespace, src.name, src.ip, src.port],
  dst: [dst.kind, dst.namespace, dst.name, dst.ip, dst.port],
  count,
});

/** Packets that the records tell of. */
const total = (records: readonly FlowRecord[]): number =>
  records.reduce((sum, { count, suppressed }) => sum + count + suppressed, 0);

kernelTest('denied packets name the rule and both ends', NEEDS, async (t) => {
  await FlowBench.with([WEB, DB], [DB_POLICY, OFFICE], async (bench) => {
    await bench.start();
    t.true(await bench.send('web', to(80)));
    const twice = [to(81), { ...to(81), sport: 40_001 }];
    t.deepEqual(await bench.sendAll('web', twice), [false, false]);
    // One record of both, or one of each where the log was flushed between them.
    let byRule: FlowRecord[] = [];
    await until('both packets', async () => {
      byRule = await bench.records('--port', '81');
      return total(byRule) >= 2;
    });
    t.is(total(byRule), 2);
    for (const [index, record] of byRule.entries()) {
      t.deepEqual(parts(record), {
        verdict: 'deny',
        direction: 'ingress',
        by: { kind: 'NetworkPolicy', namespace: 'shop', name: 'db', tier: 'default', rule: 1 },
        src: ['pod', 'shop', 'web', '10.0.0.1', 40_000 + index],
        dst: ['pod', 'shop', 'db', '10.0.0.2', 81],
        count: 2 / byRule.length,
      });
      t.like(record, { hook: 'forward', proto: 'tcp', node: 'node-a', suppressed: 0 });
    }

    t.false(await bench.send('web', to(82)));
    const records = await bench.recorded(2, '--port', '82');
    t.deepEqual(records.map(({ verdict }) => verdict).toSorted(), ['deny', 'log']);
    t.like(
      records.find(({ verdict }) => verdict === 'log'),
      { policy: { name: 'db', rule: 2 } },
    );
    t.deepEqual(records.find(({ verdict }) => verdict === 'deny')?.implicit, {
      reason: 'end-of-tier',
      tier: 'default',
      selectedBy: ['np/shop/db'],
    });

    t.false(await bench.send('external', { from: OUTSIDE, to: '10.0.0.2', dport: 81 }));
    const [fromOffice] = await bench.recorded(1, '--from', OUTSIDE);
    t.deepEqual(fromOffice?.src, {
      ip: OUTSIDE,
      port: 40_000,
      kind: 'network-set',
      name: 'office',
      labels: { site: 'hq' },
    });
    t.deepEqual(await bench.records('--port', '80'), [], 'allowed packets are not asked for');
  });
});

kernelTest('built-in denies, IPv6 and allowed packets', NEEDS, async (t) => {
  await FlowBench.with([WEB, DB], [DB_POLICY], async (bench) => {
    await bench.start({ PICKET_FLOW_LOG_VERDICTS: 'deny,allow' });
    t.false(await bench.send('web', { ...to(80), from: '10.0.0.9' }));
    const [spoofed] = await bench.recorded(1, '--from', '10.0.0.9');
    t.like(spoofed, { verdict: 'deny', hook: 'prerouting', implicit: { reason: 'anti-spoofing' } });
    t.like(
      spoofed?.src,
      { kind: 'pod', name: 'web', ip: '10.0.0.9' },
      'who sent it, by its interface',
    );
    t.false(await bench.send('web', { from: 'fd00::1', to: 'fd00::2', dport: 83 }));
    const [six] = await bench.recorded(1, '--to', 'fd00::2', '--verdict', 'deny');
    t.like(six, { src: { name: 'web' }, dst: { name: 'db' }, implicit: { reason: 'end-of-tier' } });
    t.true(await bench.send('web', to(80)));
    const allowed = await bench.recorded(2, '--verdict', 'allow', '--to', '10.0.0.2');
    t.deepEqual(
      allowed
        .map(({ direction, policy }) => `${direction} ${policy?.kind} ${policy?.rule}`)
        .toSorted(),
      ['egress Profile 0', 'ingress NetworkPolicy 0'],
    );
  });
});

kernelTest('what staged policies would have done', NEEDS, async (t) => {
  await FlowBench.with([WEB, DB], [STAGED], async (bench) => {
    await bench.start({ PICKET_FLOW_LOG_VERDICTS: 'deny,allow' });
    /** Of what leaves `web`. Where there was no time for staged policies, which is said, the next packet asks again. */
    const judged = async (port: number): Promise<FlowRecord | undefined> => {
      let found: FlowRecord | undefined;
      await until(`a packet to port ${port} that staged policies have judged`, async () => {
        t.true(await bench.send('web', to(port)));
        const records = await bench.records('--port', String(port), '--from', 'shop/web');
        found = records.find((each) => each.direction === 'egress' && each.stagedSkipped !== true);
        return found !== undefined;
      });
      return found;
    };
    const staged = await judged(81);
    t.deepEqual(staged?.staged, [
      { policy: 'snp/shop/tomorrow', tier: 'default', action: 'deny', rule: 0 },
    ]);
    t.is(staged?.verdict, 'allow');
    const other = await judged(80);
    t.deepEqual(other?.staged, [{ policy: 'snp/shop/tomorrow', tier: 'default', action: 'deny' }]);
  });
});

kernelTest('a rate limit suppresses, and the records say how much', NEEDS, async (t) => {
  const denyAll = globalPolicy('deny-all', {
    selector: "app == 'db'",
    ingress: [{ action: 'Deny' }],
  });
  await FlowBench.with([WEB, DB], [denyAll], async (bench) => {
    await bench.start({ PICKET_FLOW_LOG_RATE: '1', PICKET_FLOW_LOG_BURST: '5' });
    const packets = Array.from({ length: 60 }, (_, index) => ({
      from: 'web',
      packet: { ...to(100 + index) },
    }));
    for (const { from, packet } of packets) await bench.send(from, packet);
    // The bucket fills again: one more packet, which tells of all others.
    let sent = packets.length;
    for (let tries = 0; tries < 20 && total(await bench.records()) < sent; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      await bench.send('web', to(99));
      sent++;
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    }
    const records = await bench.records();
    t.is(total(records), sent);
    t.true(records.length < sent);
  });
});

kernelTest(
  'what an annotated policy allows is logged, while the annotation is there',
  NEEDS,
  async (t) => {
    await FlowBench.with([WEB, DB], [], async (bench) => {
      bench.write('policy.json', [annotated('true')]);
      const agent = await bench.start();
      t.true(await bench.send('web', to(80)));
      const [allowed] = await bench.recorded(1);
      t.like(allowed, { verdict: 'allow', policy: { name: 'db', rule: 0 } });
      const lines = agent.log().length;
      bench.write('policy.json', [annotated('false')]);
      await agent.logged(/^applied/, lines);
      t.true(await bench.send('web', { ...to(80), sport: 40_002 }));
      t.false(await bench.send('web', to(81)));
      const records = await bench.recorded(2);
      t.deepEqual(
        records.map(({ verdict }) => verdict),
        ['allow', 'deny'],
      );
    });
  },
);

kernelTest(
  'in an annotated namespace whatever is allowed is logged, by whichever policy',
  NEEDS,
  async (t) => {
    await FlowBench.with([WEB, DB], [], async (bench) => {
      const write = (value: string): void => {
        const annotations = { 'picket/log-allowed': value };
        const metadata = { name: 'shop', annotations };
        const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata };
        bench.write('all.json', [namespace, ...[WEB, DB].map(podObject), DB_POLICY]);
      };
      write('true');
      const agent = await bench.start();
      t.true(await bench.send('web', to(80)));
      const records = await bench.recorded(2);
      t.deepEqual(
        records
          .map(({ verdict, direction, policy }) => `${verdict} ${direction} ${policy?.name}`)
          .toSorted(),
        ['allow egress kns.shop', 'allow ingress db'],
      );
      const lines = agent.log().length;
      write('false');
      await agent.logged(/^applied/, lines);
      t.true(await bench.send('web', { ...to(80), sport: 40_002 }));
      t.false(await bench.send('web', to(81)));
      const all = await bench.recorded(3);
      t.deepEqual(all.map(({ verdict }) => verdict).toSorted(), ['allow', 'allow', 'deny']);
    });
  },
);
