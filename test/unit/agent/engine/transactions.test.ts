/** Large changes in bounded transactions: new sets are filled ahead, rules come at once, small changes pass by (adr/0004-transactions.md). */
import test from 'ava';
import { FakeDataplane } from '../../../../agent/dataplane/fake.ts';
import { MAX_NEW_ELEMENTS } from '../../../../agent/dataplane/stage.ts';
import type { Engine } from '../../../../agent/engine/engine.ts';
import type { RawEvent } from '../../../../agent/watch/event.ts';
import { chainKey } from '../../../../compiler/nft/key.ts';
import type { NftOp } from '../../../../compiler/nft/program.ts';
import { namespaceObject, openEngine, pod, put, remove, v3 } from '../../../support/raw-events.ts';

const LARGE = 41_000;
const STEPS = Math.ceil(LARGE / MAX_NEW_ELEMENTS);

const WEB = { labels: { app: 'web' } };
const DB = { labels: { app: 'db' } };

function policy(name: string, spec: object): RawEvent {
  return put(v3('GlobalNetworkPolicy', name, { types: ['Ingress'], ...spec }));
}

const allowFrom = (selector: string): object => ({ action: 'Allow', source: { selector } });

const WEB_POLICY = policy('web', {
  selector: "app == 'web'",
  ingress: [allowFrom("app == 'client'")],
});

/** Governs the database only. */
const LARGE_POLICY = policy('large', {
  selector: "app == 'db'",
  ingress: [
    { action: 'Deny', source: { selector: "list == 'large'" } },
    allowFrom("app == 'admin'"),
  ],
});

const LARGE_LIST = largeList(LARGE);

const WORLD: readonly RawEvent[] = [
  put(namespaceObject('shop')),
  put(pod('shop/web-1', ['10.1.0.1'], WEB)),
  put(pod('shop/db-1', ['10.1.0.9'], DB)),
  WEB_POLICY,
];

const CLIENT = pod('shop/client-1', ['10.2.0.1'], { node: 'node-b', labels: { app: 'client' } });

test('a large new set is filled in bounded transactions before any rule refers to it', async (t) => {
  const { engine, fake } = await start(WORLD);
  engine.take([LARGE_LIST, LARGE_POLICY]);
  const report = await engine.apply();
  t.is(report.transactions, STEPS);
  t.false(report.more);
  for (const ops of fake.transactions.slice(-STEPS)) t.true(elementsIn(ops) <= MAX_NEW_ELEMENTS);
  const filling = fake.transactions.slice(-STEPS, -1);
  t.deepEqual(filling.flat().filter(changesRules), []);
  t.true(fake.transactions.at(-1)?.some(changesRules));
  await isAsBuiltAtOnce(t, fake, [...WORLD, LARGE_LIST, LARGE_POLICY]);
});

test('a small change is in the next transaction, whatever is being filled', async (t) => {
  const hugeList = largeList(100_000);
  const { engine, fake } = await start(WORLD);
  engine.take([hugeList, LARGE_POLICY]);
  t.true((await engine.step()).more);

  engine.take([put(CLIENT)]);
  t.true((await engine.step()).more);
  t.true(
    fake.transactions.at(-1)?.some((op) => hasAddress(op, 0x0a020001n)),
    'a remote pod',
  );

  engine.take([put(pod('shop/web-2', ['10.1.0.2'], WEB))]);
  t.true((await engine.step()).more);
  const chains = fake.transactions.at(-1)?.flatMap((op) => (op.op === 'add-chain' ? [op] : []));
  t.deepEqual(
    chains?.map(({ chain }) => chain.name),
    ['to-shop/web-2', 'from-shop/web-2'],
    'a local pod with its rules',
  );

  engine.take([policy('web', { selector: "app == 'web'", ingress: [{ action: 'Deny' }] })]);
  t.true((await engine.step()).more);
  t.true(fake.transactions.at(-1)?.some(changesRules), "another endpoint's policy");

  await engine.apply();
  await isAsBuiltAtOnce(t, fake, [
    ...WORLD,
    hugeList,
    LARGE_POLICY,
    put(CLIENT),
    put(pod('shop/web-2', ['10.1.0.2'], WEB)),
    policy('web', { selector: "app == 'web'", ingress: [{ action: 'Deny' }] }),
  ]);
});

test('what a change withdraws stays until what it brings is complete', async (t) => {
  const before = policy('before', { selector: "app == 'db'", ingress: [allowFrom("a == 'b'")] });
  const { engine, fake } = await start([...WORLD, before]);
  const chain = 'ingress4/gnp/before';
  engine.take([
    LARGE_LIST,
    LARGE_POLICY,
    { op: 'delete', key: before.key },
    put(pod('shop/web-2', ['10.1.0.2'], WEB)),
  ]);
  for (let step = 1; step < STEPS; step++) {
    t.true((await engine.step()).more);
    t.true((await fake.dump())?.chains.has(chain));
  }
  t.false((await engine.step()).more);
  t.false((await fake.dump())?.chains.has(chain));
});

test('the rules of the first apply come in one transaction', async (t) => {
  const fake = new FakeDataplane();
  const engine = openEngine(fake);
  engine.take([...WORLD, LARGE_LIST, LARGE_POLICY]);
  const report = await engine.apply();
  t.true(report.transactions >= STEPS);
  t.deepEqual(fake.transactions.slice(0, -1).flat().filter(changesRules), []);
  t.deepEqual(fake.transactions.slice(0, -1).flat().filter(addsChain), []);
});

test('a large change of a set in use is one transaction: rules never see half of it', async (t) => {
  const small = put(v3('GlobalNetworkSet', 'large', { nets: ['10.9.9.9'] }, { list: 'large' }));
  const { engine } = await start([...WORLD, LARGE_POLICY, small]);
  engine.take([LARGE_LIST]);
  t.is((await engine.apply()).transactions, 1);
});

test('a set that is not wanted any more is given up half filled', async (t) => {
  const { engine, fake } = await start(WORLD);
  engine.take([LARGE_LIST, LARGE_POLICY]);
  t.true((await engine.step()).more);
  engine.take([{ op: 'delete', key: LARGE_POLICY.key }]);
  t.false((await engine.step()).more);
  await isAsBuiltAtOnce(t, fake, WORLD);
});

test('a restart amid the filling goes on where the kernel is', async (t) => {
  const { engine, fake } = await start(WORLD);
  engine.take([LARGE_LIST, LARGE_POLICY]);
  await engine.step();
  await engine.step();
  const again = openEngine(fake);
  again.take([...WORLD, LARGE_LIST, LARGE_POLICY]);
  t.is((await again.apply()).transactions, STEPS - 2);
  await isAsBuiltAtOnce(t, fake, [...WORLD, LARGE_LIST, LARGE_POLICY]);
});

test('a set that is wanted again before it was removed holds its members only', async (t) => {
  const before = policy('before', {
    selector: "app == 'db'",
    ingress: [allowFrom("list == 'old'")],
  });
  const world = [...WORLD, LARGE_LIST, LARGE_POLICY];
  for (const isRestarted of [false, true]) {
    const { engine, fake } = await start([...WORLD, before, old(['10.7.0.1', '10.7.0.2'])]);
    const next = isRestarted ? openEngine(fake) : engine;
    next.take(
      isRestarted
        ? world
        : [...world, { op: 'delete', key: before.key }, { op: 'delete', key: old([]).key }],
    );
    t.true((await next.step()).more);
    next.take([before, old(['10.7.0.1'])]);
    await next.apply();
    await isAsBuiltAtOnce(t, fake, [...world, before, old(['10.7.0.1'])]);
  }
});

test('an endpoint that takes over an interface waits with the one that had it', async (t) => {
  const { engine, fake } = await start([...WORLD, put(tap('shop/b', 'web'))]);
  const before = await fake.dump();
  engine.take([LARGE_LIST, LARGE_POLICY, remove(tap('shop/b', '')), put(tap('shop/a', 'db'))]);
  t.true((await engine.step()).more);
  const during = await fake.dump();
  t.deepEqual(
    [...(during?.elements.get('to-interface')?.keys() ?? [])],
    [...(before?.elements.get('to-interface')?.keys() ?? [])],
  );
  await engine.apply();
  await isAsBuiltAtOnce(t, fake, [...WORLD, LARGE_LIST, LARGE_POLICY, put(tap('shop/a', 'db'))]);
});

function tap(id: string, app: string): object {
  return v3(
    'WorkloadEndpoint',
    id,
    {
      orchestrator: 'openstack',
      workload: 'w',
      node: 'node-a',
      endpoint: 'eth0',
      interfaceName: 'tap0',
      ipNetworks: ['10.1.0.50/32'],
    },
    { app },
  );
}

async function start(
  events: readonly RawEvent[],
): Promise<{ engine: Engine; fake: FakeDataplane }> {
  const fake = new FakeDataplane();
  const engine = openEngine(fake);
  engine.take(events);
  await engine.apply();
  return { engine, fake };
}

async function isAsBuiltAtOnce(
  t: { readonly deepEqual: (actual: unknown, expected: unknown) => unknown },
  fake: FakeDataplane,
  events: readonly RawEvent[],
): Promise<void> {
  const { fake: other } = await start(events);
  t.deepEqual(await describe(fake), await describe(other));
}

async function describe(fake: FakeDataplane): Promise<object> {
  const table = await fake.dump();
  return {
    chains: [...(table?.chains.values() ?? [])].map(chainKey).sort(),
    sets: [...(table?.elements ?? [])].map(([name, { size }]) => `${name} ${size}`).sort(),
    counters: [...(table?.counters.keys() ?? [])].sort(),
  };
}

function old(nets: readonly string[]): RawEvent {
  return put(v3('GlobalNetworkSet', 'old', { nets }, { list: 'old' }));
}

function largeList(count: number): RawEvent {
  return put(v3('GlobalNetworkSet', 'large', { nets: addresses(count) }, { list: 'large' }));
}

function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `11.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
}

function elementsIn(ops: readonly NftOp[]): number {
  return ops.reduce((total, op) => total + ('elements' in op ? op.elements.length : 0), 0);
}

function addsChain({ op }: NftOp): boolean {
  return op === 'add-chain';
}

function changesRules({ op }: NftOp): boolean {
  return op === 'add-rule' || op === 'flush-chain' || op === 'delete-chain';
}

function hasAddress(op: NftOp, value: bigint): boolean {
  return op.op === 'add-elements' && op.elements.some(({ key }) => key[0] === value);
}
