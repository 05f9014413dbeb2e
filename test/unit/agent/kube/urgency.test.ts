import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import { FakeDataplane } from '../../../../agent/dataplane/fake.ts';
import { BATCH_SIZE } from '../../../../agent/kube/kubernetes-source.ts';
import { Outbox } from '../../../../agent/kube/outbox.ts';
import { isUrgent } from '../../../../agent/kube/urgency.ts';
import type { RawEvent } from '../../../../agent/watch/event.ts';
import { endpointChain } from '../../../../compiler/nft/names.ts';
import { namespaceObject, openEngine, pod, put, remove, v3 } from '../../../support/raw-events.ts';
import { NODE } from '../../../support/world.ts';

const LOCAL = pod('shop/web', ['10.0.0.1']);
const REMOTE = pod('shop/web', ['10.0.0.1'], { node: 'other' });
const POLICY = v3('NetworkPolicy', 'shop/p', { selector: 'all()' });

const ROWS: readonly { name: string; in: RawEvent; out: boolean }[] = [
  { name: 'a pod of this node', in: put(LOCAL), out: true },
  { name: 'a pod of another node', in: put(REMOTE), out: false },
  { name: 'a pod that has no node yet', in: put({ ...LOCAL, spec: {} }), out: false },
  { name: 'a pod that goes', in: remove(LOCAL), out: false },
  { name: 'a policy', in: put(POLICY), out: true },
  { name: 'a policy that goes', in: remove(POLICY), out: true },
  { name: 'a namespace', in: put(namespaceObject('shop')), out: true },
];

for (const row of ROWS) {
  test(`urgent: ${row.name}`, (t) => t.is(isUrgent(row.in, NODE), row.out));
}

/** Pods of another node that a policy in force lets in, so that every one of them is work. */
const CROWD = 10_000;

test('a new pod of this node is in the next transaction, whatever else waits', async (t) => {
  const dataplane = new FakeDataplane();
  const engine = openEngine(dataplane);
  const allow = { action: 'Allow', source: { selector: "app == 'crowd'" } };
  engine.take([
    put(namespaceObject('shop')),
    put(v3('NetworkPolicy', 'shop/p', { selector: 'all()', ingress: [allow] })),
    put(pod('shop/first', ['10.0.0.1'])),
  ]);
  await engine.apply();
  const outbox = new Outbox(
    CROWD * 2,
    () => 0,
    (event) => isUrgent(event, NODE),
  );
  for (let i = 0; i < CROWD; i += 1) {
    const labels = { app: 'crowd' };
    const address = `10.1.${i >> 8}.${i & 255}`;
    await outbox.add(put(pod(`shop/crowd-${i}`, [address], { node: 'other', labels })));
  }
  await outbox.add(put(pod('shop/second', ['10.0.0.2'])));
  const before = dataplane.transactions.length;
  engine.take(outbox.take(BATCH_SIZE));
  await engine.step();
  t.is(dataplane.transactions.length, before + 1);
  const ops = dataplane.transactions.at(-1) ?? [];
  const own = ops.filter(({ origin }) => origin.includes('shop/second'));
  t.true(
    own.some(({ op }) => op === 'add-rule'),
    'its rules',
  );
  const elements = ops.flatMap((op) => (op.op === 'add-elements' ? op.elements : []));
  const chain = endpointChain('ingress', 'shop/second');
  t.true(
    elements.some(({ verdict }) => isDeepStrictEqual(verdict, { kind: 'goto', chain })),
    'and the way to them',
  );
  t.is(outbox.size, CROWD + 1 - BATCH_SIZE);
  t.true(elements.length < 2 * BATCH_SIZE, 'and nothing of those who wait');
});
