import test from 'ava';
import { judgeStaged, stagedScene } from '../../../../agent/flowlog/staged.ts';
import type { RecordStaged } from '../../../../agent/flowlog/record.ts';
import type { Flow } from '../../../../agent/flowlog/window.ts';
import { sceneOf } from '../../../../agent/explain/scene.ts';
import { Store } from '../../../../agent/store/store.ts';
import { toAddress } from '../../../../compiler/model/ip.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../../../compiler/oracle/world.ts';
import { podObject, putEvent } from '../../../support/kernel-node.ts';
import { NODE } from '../../../support/world.ts';

const FLOW: Flow = {
  ruleId: 'x',
  family: 4,
  source: toAddress('10.0.0.1'),
  destination: toAddress('10.0.0.2'),
  protocol: 6,
  sport: 40_000,
  dport: 80,
  icmpType: undefined,
  icmpCode: undefined,
  isFragment: false,
  isPartial: false,
  hook: 2,
  inputIndex: 1,
  outputIndex: 2,
  firstMs: 0,
  lastMs: 0,
  count: 1,
};

const PODS = [
  { name: 'web', addresses: ['10.0.0.1'] },
  { name: 'db', addresses: ['10.0.0.2'] },
].map(podObject);

const spec = (rules: object[], over: object = {}): object => ({
  selector: "app == 'db'",
  types: ['Ingress'],
  ingress: rules,
  ...over,
});

const policy = (kind: string, name: string, rules: object[], over: object = {}): object => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name },
  spec: spec(rules, over),
});

const staged = (name: string, rules: object[], over: object = {}): object =>
  policy('StagedGlobalNetworkPolicy', name, rules, over);

function judge(objects: readonly object[], flow = FLOW): RecordStaged[] {
  const store = new Store({ workloadSourceSpoofing: 'Disabled' });
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
  for (const object of [namespace, ...PODS, ...objects]) store.take(putEvent(object));
  const scene = sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: NODE, live: undefined });
  return judgeStaged(stagedScene(scene), flow, 'ingress');
}

const HTTP = { protocol: 'TCP', destination: { ports: [80] } };

const ROWS: readonly { name: string; in: readonly object[]; out: RecordStaged[] }[] = [
  {
    name: 'nothing staged',
    in: [policy('GlobalNetworkPolicy', 'a', [{ action: 'Deny' }])],
    out: [],
  },
  {
    name: 'a staged rule that would deny',
    in: [staged('a', [{ action: 'Log' }, { action: 'Deny', ...HTTP }])],
    out: [{ policy: 'sgnp/a', tier: 'default', action: 'deny', rule: 1 }],
  },
  {
    name: 'a staged rule that would allow before an enforced one denies',
    in: [
      staged('a', [{ action: 'Allow', ...HTTP }], { order: 1 }),
      policy('GlobalNetworkPolicy', 'b', [{ action: 'Deny' }], { order: 2 }),
    ],
    out: [{ policy: 'sgnp/a', tier: 'default', action: 'allow', rule: 0 }],
  },
  {
    name: 'the end of the tier, because a staged policy selects',
    in: [staged('a', [])],
    out: [{ policy: 'sgnp/a', tier: 'default', action: 'deny' }],
  },
  {
    name: 'an enforced rule that decides first leaves nothing to the staged one',
    in: [
      policy('GlobalNetworkPolicy', 'a', [{ action: 'Allow' }], { order: 1 }),
      staged('b', [{ action: 'Deny' }], { order: 2 }),
    ],
    out: [],
  },
  {
    name: 'a policy that does not select plays no part',
    in: [staged('a', [{ action: 'Deny' }], { selector: "app == 'other'" })],
    out: [],
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.deepEqual(judge(row.in), row.out);
  });
}

test('a flow of which too little is known is not judged', (t) => {
  const objects = [staged('a', [{ action: 'Deny' }])];
  t.deepEqual(judge(objects, { ...FLOW, protocol: undefined }), []);
  t.deepEqual(judge(objects, { ...FLOW, source: undefined }), []);
  t.deepEqual(judge(objects, { ...FLOW, family: undefined }), []);
});
