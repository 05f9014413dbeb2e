import { readFileSync } from 'node:fs';
import test from 'ava';
import { toRecord } from '../../../../agent/flowlog/record.ts';
import type { FlowRecord, RecordContext } from '../../../../agent/flowlog/record.ts';
import type { Flow } from '../../../../agent/flowlog/window.ts';
import { toAddress } from '../../../../compiler/model/ip.ts';
import { schemaErrors } from '../../../support/json-schema.ts';
import { projectPath } from '../../../support/tools.ts';

const SCHEMA = JSON.parse(
  readFileSync(projectPath('deploy/flow-record.schema.json'), 'utf8'),
) as Readonly<Record<string, unknown>>;

const asJson = (record: FlowRecord): unknown => JSON.parse(JSON.stringify(record));

const FLOW: Flow = {
  ruleId: 'Di/np/shop/db/2#0123456789',
  family: 4,
  source: toAddress('10.0.0.1'),
  destination: toAddress('10.0.0.2'),
  protocol: 6,
  sport: 40_000,
  dport: 5_432,
  icmpType: undefined,
  icmpCode: undefined,
  isFragment: false,
  isPartial: false,
  hook: 2,
  inputIndex: 3,
  outputIndex: 4,
  firstMs: 1_700_000_000_000,
  lastMs: 1_700_000_001_500,
  count: 3,
};

const CONTEXT: RecordContext = {
  node: 'n1',
  nowMs: 1_700_000_002_000,
  input: 'cali1',
  output: undefined,
  source: { kind: 'pod', namespace: 'shop', name: 'web', labels: { app: 'web' } },
  destination: { kind: 'pod', namespace: 'shop', name: 'db', labels: {} },
  service: { namespace: 'shop', name: 'db' },
  meaning: {
    verdict: 'deny',
    direction: 'ingress',
    cause: { kind: 'rule', policy: 'np/shop/db', index: 2 },
    counter: 'ingress/np/shop/db/2',
  },
  tier: 'default',
  host: undefined,
  staged: [],
  suppressed: 12,
};

test('a rule of a policy', (t) => {
  t.deepEqual(toRecord(FLOW, CONTEXT), {
    schema: 'picket.flow/v1',
    ts: '2023-11-14T22:13:22.000Z',
    node: 'n1',
    verdict: 'deny',
    direction: 'ingress',
    hook: 'forward',
    inputInterface: 'cali1',
    proto: 'tcp',
    src: {
      ip: '10.0.0.1',
      port: 40_000,
      kind: 'pod',
      namespace: 'shop',
      name: 'web',
      labels: { app: 'web' },
    },
    dst: {
      ip: '10.0.0.2',
      port: 5_432,
      kind: 'pod',
      namespace: 'shop',
      name: 'db',
      service: { namespace: 'shop', name: 'db' },
    },
    policy: { kind: 'NetworkPolicy', namespace: 'shop', name: 'db', tier: 'default', rule: 2 },
    staged: [],
    count: 3,
    firstTs: '2023-11-14T22:13:20.000Z',
    lastTs: '2023-11-14T22:13:21.500Z',
    suppressed: 12,
    ruleId: 'Di/np/shop/db/2#0123456789',
  });
});

const EXTERNAL = { kind: 'external', namespace: undefined, name: undefined, labels: {} } as const;
const implicit = (reason: 'end-of-tier' | 'unknown-interface', tier?: string): RecordContext => ({
  ...CONTEXT,
  meaning: {
    verdict: 'deny',
    direction: 'egress',
    cause: { kind: 'implicit', reason, tier, selectedBy: tier === undefined ? [] : ['gnp/a'] },
    counter: 'c',
  },
  tier: undefined,
});
const ECHO = { protocol: 1, sport: undefined, dport: undefined, icmpType: 8, icmpCode: 0 };
const NOTHING = {
  ...ECHO,
  protocol: undefined,
  icmpType: undefined,
  icmpCode: undefined,
  isPartial: true,
  family: undefined,
  source: undefined,
  destination: undefined,
  hook: undefined,
};
const STAGED = { policy: 'snp/shop/x', tier: 'default', action: 'deny', rule: 0 } as const;

const ROWS: readonly { name: string; flow: Flow; context: RecordContext; out: object }[] = [
  {
    name: 'the end of a tier',
    flow: FLOW,
    context: implicit('end-of-tier', 'default'),
    out: {
      direction: 'egress',
      implicit: { reason: 'end-of-tier', tier: 'default', selectedBy: ['gnp/a'] },
    },
  },
  {
    name: 'a built-in deny',
    flow: FLOW,
    context: implicit('unknown-interface'),
    out: { implicit: { reason: 'unknown-interface', selectedBy: [] } },
  },
  {
    name: 'a rule that nobody remembers is not named',
    flow: FLOW,
    context: { ...CONTEXT, meaning: undefined },
    out: { verdict: 'deny', direction: 'ingress', policy: undefined, implicit: undefined },
  },
  {
    name: 'a prefix of somebody else',
    flow: { ...FLOW, ruleId: 'hello' },
    context: { ...CONTEXT, meaning: undefined },
    out: { verdict: 'unknown', ruleId: 'hello' },
  },
  {
    name: 'ICMP',
    flow: { ...FLOW, ...ECHO },
    context: CONTEXT,
    out: { proto: 'icmp', icmp: { type: 8, code: 0 } },
  },
  {
    name: 'a packet of which nothing is known',
    flow: { ...FLOW, ...NOTHING },
    context: { ...CONTEXT, source: EXTERNAL, destination: EXTERNAL, service: undefined },
    out: { src: { kind: 'external' }, dst: { kind: 'external' }, partial: true },
  },
  {
    name: 'a protocol without name',
    flow: { ...FLOW, protocol: 50, sport: undefined, dport: undefined },
    context: CONTEXT,
    out: { proto: '50' },
  },
  {
    name: 'what a staged policy would have done',
    flow: FLOW,
    context: { ...CONTEXT, staged: [STAGED] },
    out: { staged: [STAGED] },
  },
  {
    name: 'a host endpoint',
    flow: FLOW,
    context: {
      ...CONTEXT,
      host: { endpoint: { name: 'eth0', labels: { role: 'db' } }, stage: 'pre-dnat' },
    },
    out: { hostEndpoint: { name: 'eth0', stage: 'pre-dnat' } },
  },
  {
    name: 'staged policies that were not asked',
    flow: FLOW,
    context: { ...CONTEXT, staged: undefined },
    out: { staged: [], stagedSkipped: true },
  },
];

const many = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `some-name-that-is-not-short-${index}`);

/** As much as an API server takes. */
const HUGE: RecordContext = {
  ...CONTEXT,
  source: { ...CONTEXT.source, labels: Object.fromEntries(many(20_000).map((key) => [key, 'x'])) },
  meaning: {
    verdict: 'deny',
    direction: 'ingress',
    cause: {
      kind: 'implicit',
      reason: 'end-of-tier',
      tier: 'default',
      selectedBy: many(10_000).map((name) => `np/shop/${name}`),
    },
    counter: 'ingress/end-of-tier/default/x',
  },
  staged: many(10_000).map((policy) => ({ policy, tier: 'default', action: 'deny' })),
};

test('a record has a bound, whatever people write, and says how much it leaves out', (t) => {
  const record = toRecord(FLOW, HUGE);
  t.true(JSON.stringify(record).length < 20_000);
  t.deepEqual(schemaErrors(SCHEMA, asJson(record)), []);
  const { src, implicit, staged, stagedOmitted = 0 } = record;
  t.is(Object.keys(src.labels ?? {}).length + (src.labelsOmitted ?? 0), 20_000);
  t.is((implicit?.selectedBy.length ?? 0) + (implicit?.selectedByOmitted ?? 0), 10_000);
  t.is(staged.length + stagedOmitted, 10_000);
  t.true(Object.keys(src.labels ?? {}).length > 50);
  t.is(toRecord(FLOW, HUGE).src.labels, src.labels, 'one copy of labels for all records');
});

for (const row of ROWS) {
  test(row.name, (t) => {
    t.like(toRecord(row.flow, row.context), row.out);
  });
}

for (const row of [{ name: 'a rule', flow: FLOW, context: CONTEXT }, ...ROWS]) {
  test(`the schema fits: ${row.name}`, (t) => {
    t.deepEqual(schemaErrors(SCHEMA, asJson(toRecord(row.flow, row.context))), []);
  });
}

const WRONG: readonly { name: string; change: object }[] = [
  { name: 'a field that is not there', change: { extra: 1 } },
  { name: 'a verdict that is none', change: { verdict: 'maybe' } },
  { name: 'no source', change: { src: undefined } },
  { name: 'a time of another form', change: { ts: '2023-11-14' } },
];

for (const { name, change } of WRONG) {
  test(`the schema refuses ${name}`, (t) => {
    const record = { ...toRecord(FLOW, CONTEXT), ...change } as FlowRecord;
    t.not(schemaErrors(SCHEMA, asJson(record)).length, 0);
  });
}
