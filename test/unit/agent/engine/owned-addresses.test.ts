/** Which addresses an apply reports as released, on a kernel in memory. */
import test from 'ava';
import { FakeDataplane } from '../../../../agent/dataplane/fake.ts';
import { Engine } from '../../../../agent/engine/engine.ts';
import { printAddress } from '../../../../compiler/model/ip.ts';
import { DEFAULT_BASE_CONFIG } from '../../../../compiler/nft/base.ts';
import { ifnameOf, podObject, putEvent } from '../../../support/kernel-node.ts';
import type { PodSpec } from '../../../support/kernel-node.ts';
import { NODE } from '../../../support/world.ts';

const LATER = '2026-02-02T00:00:00Z';
const A: PodSpec = { name: 'a', addresses: ['10.0.0.1', 'fd00::1'] };
const B: PodSpec = { name: 'b', addresses: ['10.0.0.2'] };

function newEngine(dataplane: FakeDataplane): Engine {
  return new Engine({ node: NODE, base: DEFAULT_BASE_CONFIG, parse: {} }, dataplane);
}

const ROWS: readonly {
  readonly name: string;
  readonly first: readonly PodSpec[];
  readonly second: readonly PodSpec[];
  readonly gone?: readonly PodSpec[];
  readonly out: readonly string[];
}[] = [
  { name: 'nothing changes', first: [A, B], second: [A], out: [] },
  { name: 'a new pod', first: [A], second: [B], out: [] },
  { name: 'relabelled', first: [A], second: [{ ...A, annotations: { x: 'y' } }], out: [] },
  { name: 'deleted', first: [A, B], second: [], gone: [A], out: ['10.0.0.1', 'fd00::1'] },
  {
    name: 'finished',
    first: [A, B],
    second: [{ ...A, phase: 'Succeeded' }],
    out: ['10.0.0.1', 'fd00::1'],
  },
  {
    name: 'one address less',
    first: [A],
    second: [{ ...A, addresses: ['fd00::1'] }],
    out: ['10.0.0.1'],
  },
  {
    name: 'taken over by a newer pod',
    first: [A, B],
    second: [{ ...B, addresses: ['10.0.0.1'], created: LATER }],
    out: ['10.0.0.1', '10.0.0.2'],
  },
  {
    name: 'claimed by an older pod',
    first: [{ ...A, created: LATER }],
    second: [{ ...B, addresses: ['10.0.0.1'] }],
    out: [],
  },
  {
    name: 'made again under the same name',
    first: [A],
    second: [{ ...A, created: LATER }],
    out: ['10.0.0.1', 'fd00::1'],
  },
];

for (const row of ROWS) {
  test(row.name, async (t) => {
    const engine = newEngine(new FakeDataplane());
    engine.take(row.first.map((pod) => putEvent(podObject(pod))));
    t.deepEqual((await engine.apply()).released, []);
    const gone = (row.gone ?? []).map(
      ({ name }) => ({ op: 'delete', key: `/Pod/shop/${name}` }) as const,
    );
    engine.take([...row.second.map((pod) => putEvent(podObject(pod))), ...gone]);
    t.deepEqual((await engine.apply()).released.map(printAddress).sort(), row.out);
    t.deepEqual((await engine.apply()).released, [], 'said once');
  });
}

test('a pod whose interface is found elsewhere keeps its connections', async (t) => {
  const engine = newEngine(new FakeDataplane());
  engine.take([putEvent(podObject(A))]);
  await engine.apply();
  engine.setNetwork({
    links: new Set([ifnameOf('a')]),
    hostRoutes: new Map(),
    addresses: new Map(),
  });
  t.deepEqual((await engine.apply()).released, []);
  engine.setNetwork({
    links: new Set(['veth1']),
    hostRoutes: new Map([['10.0.0.1', 'veth1']]),
    addresses: new Map(),
  });
  const { released, transactions } = await engine.apply();
  t.deepEqual({ released, transactions }, { released: [], transactions: 1 });
});

test('nothing is released before the kernel has taken the change', async (t) => {
  const dataplane = new FakeDataplane();
  const engine = newEngine(dataplane);
  engine.take([A, B].map((pod) => putEvent(podObject(pod))));
  await engine.apply();
  dataplane.refuse = () => 'ENOMEM';
  engine.take([{ op: 'delete', key: '/Pod/shop/a' }]);
  await t.throwsAsync(engine.apply());
  dataplane.refuse = () => undefined;
  t.deepEqual((await engine.apply()).released.map(printAddress).sort(), ['10.0.0.1', 'fd00::1']);
});

test('a flush by somebody else forgets no owner', async (t) => {
  const dataplane = new FakeDataplane();
  const engine = newEngine(dataplane);
  engine.take([A, B].map((pod) => putEvent(podObject(pod))));
  await engine.apply();
  dataplane.flush();
  engine.doubt();
  engine.take([{ op: 'delete', key: '/Pod/shop/a' }]);
  t.deepEqual((await engine.apply()).released.map(printAddress).sort(), ['10.0.0.1', 'fd00::1']);
});

test('what an earlier run left in the kernel counts', async (t) => {
  const dataplane = new FakeDataplane();
  const before = newEngine(dataplane);
  before.take([A, B].map((pod) => putEvent(podObject(pod))));
  await before.apply();
  const after = newEngine(dataplane);
  after.take([putEvent(podObject(B))]);
  t.deepEqual((await after.apply()).released.map(printAddress).sort(), ['10.0.0.1', 'fd00::1']);
});
