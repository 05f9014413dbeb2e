/** The engine when the kernel is not as it believed, or says no: what it reads again, what it leaves out, and what it never forgets. */
import test from 'ava';
import { FakeDataplane } from '../../../../agent/dataplane/fake.ts';
import { ApplyError, type Engine } from '../../../../agent/engine/engine.ts';
import { FaultyDataplane, outline, rulesOf } from '../../../support/faults.ts';
import { namespaceObject, openEngine, pod, put, remove, v3 } from '../../../support/raw-events.ts';

const COUNTER = 'ingress/gnp/p/0';
const NETS = { nets: ['10.2.0.1/32', '10.3.0.0/16'] };

function policy(name: string, port: number, action = 'Allow'): object {
  const source = { selector: "kind == 'client'" };
  const rule = { action, protocol: 'TCP', source, destination: { ports: [port] } };
  return v3('GlobalNetworkPolicy', name, { selector: "app == 'web'", ingress: [rule] });
}

/** An engine with a pod and policy `p`, not applied yet, its kernel and what is between them. */
function setup(): { engine: Engine; fake: FakeDataplane; faulty: FaultyDataplane } {
  const fake = new FakeDataplane();
  const faulty = new FaultyDataplane(fake);
  const engine = openEngine(faulty);
  const web = pod('shop/web', ['10.0.0.1'], { labels: { app: 'web' } });
  const clients = v3('GlobalNetworkSet', 'clients', NETS, { kind: 'client' });
  engine.take([namespaceObject('shop'), web, clients, policy('p', 80)].map(put));
  return { engine, fake, faulty };
}

async function healthy(): Promise<readonly string[]> {
  const { engine, fake } = setup();
  await engine.apply();
  return outline(await fake.dump());
}

test('a flush that is heard of while the kernel is read is not forgotten', async (t) => {
  const { engine, fake, faulty } = setup();
  faulty.onDump = () => engine.doubt();
  await engine.apply();
  faulty.onDump = () => undefined;
  fake.flush();
  t.true((await engine.apply()).transactions > 0);
  t.deepEqual(outline(await fake.dump()), await healthy());
});

test('forgiving while a transaction is under way loses nothing', async (t) => {
  const { engine, fake, faulty } = setup();
  fake.refuse = (op) =>
    op.op === 'add-rule' && op.origin.startsWith('gnp/p ') ? 'EINVAL' : undefined;
  t.true((await engine.apply()).quarantined.length > 0);
  t.deepEqual(rulesOf(await fake.dump(), COUNTER), []);
  fake.refuse = () => undefined;
  faulty.onCommit = () => engine.forgive();
  engine.take([put(policy('q', 81))]);
  await engine.apply();
  await engine.apply();
  t.true(rulesOf(await fake.dump(), COUNTER).length > 0);
});

const refusesSet = (fake: FakeDataplane): void => {
  fake.refuse = (op) =>
    op.op === 'add-set' && op.set.comment?.includes('client') === true ? 'ENOMEM' : undefined;
};

test('members of a refused set are kept, and sent when it is accepted', async (t) => {
  const { engine, fake } = setup();
  refusesSet(fake);
  const report = await engine.apply();
  t.deepEqual([...new Set(report.quarantined.map(({ op }) => op?.op))], ['add-set']);
  t.deepEqual(rulesOf(await fake.dump(), COUNTER), []);

  const clients = v3('GlobalNetworkSet', 'clients', { nets: ['10.2.0.9/32'] }, { kind: 'client' });
  engine.take([put(clients)]);
  await engine.apply();
  engine.take([put(v3('GlobalNetworkSet', 'clients', NETS, { kind: 'client' }))]);
  await engine.apply();
  fake.refuse = () => undefined;
  engine.forgive();
  await engine.apply();
  t.deepEqual(outline(await fake.dump()), await healthy());
});

test('a refused set that nothing uses any more leaves nothing behind', async (t) => {
  const { engine, fake } = setup();
  refusesSet(fake);
  await engine.apply();
  engine.take([remove(policy('p', 80))]);
  t.deepEqual((await engine.apply()).quarantined, []);
  fake.refuse = () => undefined;
  engine.forgive();
  t.deepEqual((await engine.apply()).operations, {});
});

test('ENOENT that stays after the kernel was read is a refusal: a module is missing', async (t) => {
  const { engine, fake, faulty } = setup();
  await engine.apply();
  const { dumps } = faulty;
  fake.refuse = (op) =>
    op.op === 'add-rule' && op.origin.startsWith('gnp/q ') ? 'ENOENT' : undefined;
  engine.take([put(policy('q', 81))]);
  const { quarantined } = await engine.apply();
  t.deepEqual([...new Set(quarantined.map(({ op }) => op?.origin))], ['gnp/q ingress[0]']);
  t.is(faulty.dumps, dumps + 1);
  t.true(rulesOf(await fake.dump(), COUNTER).length > 0);
});

test('a refusal that cannot be left out is thrown, briefly, and changes nothing', async (t) => {
  const { engine, fake } = setup();
  await engine.apply();
  const before = outline(await fake.dump());
  fake.refuse = (op) => (op.op === 'add-chain' ? 'ENOMEM' : undefined);
  engine.take(Array.from({ length: 50 }, (_, index) => put(policy(`q${index}`, 81, 'Deny'))));
  const error = await t.throwsAsync(engine.apply(), { instanceOf: ApplyError });
  t.regex(error?.message ?? '', /\(add-chain\): ENOMEM; .*; and \d+ more$/);
  t.true((error?.message.length ?? 0) < 1_000);
  t.deepEqual(outline(await fake.dump()), before);
  fake.refuse = () => undefined;
  engine.forgive();
  await engine.apply();
  t.is(
    rulesOf(await fake.dump(), 'ingress/gnp/q49/0').length,
    rulesOf(await fake.dump(), COUNTER).length,
  );
});

test('a table of another shape is replaced, and that is told', async (t) => {
  const { engine, fake } = setup();
  const origin = 'test';
  const [set] = [...engine.compile().sets.desired.values()].filter(
    ({ name }) => name === 'interfaces',
  );
  if (set === undefined) return t.fail('no set of this name');
  const other = { ...set, interval: true };
  await fake.commit([
    { op: 'add-table', origin },
    { op: 'add-set', set: other, origin },
  ]);
  const { operations, transactions } = await engine.apply();
  t.is(transactions, 1);
  t.is(operations['delete-table'], 1);
  t.deepEqual(outline(await fake.dump()), await healthy());
  t.deepEqual((await engine.apply()).operations, {});
});

test('a policy that is corrected is tried at once, others stay left out', async (t) => {
  const { engine, fake } = setup();
  engine.take([put(policy('p-other', 82))]);
  fake.refuse = (op) =>
    op.op === 'add-rule' && op.origin.startsWith('gnp/p') ? 'EINVAL' : undefined;
  await engine.apply();
  fake.refuse = () => undefined;
  engine.take([put(policy('p', 81))]);
  await engine.apply();
  t.true(rulesOf(await fake.dump(), COUNTER).length > 0);
  t.deepEqual(rulesOf(await fake.dump(), 'ingress/gnp/p-other/0'), []);
});

test('an endpoint whose chain is refused is closed, the others go on, and it is tried again', async (t) => {
  const { engine, fake } = setup();
  fake.refuse = ({ op, origin }) =>
    op === 'add-rule' && origin === 'endpoint shop/web ingress' ? 'EINVAL' : undefined;
  engine.take([put(pod('shop/db', ['10.0.0.2'], { labels: { app: 'db' } }))]);
  const { quarantined } = await engine.apply();
  t.deepEqual([...new Set(quarantined.map(({ op }) => op?.origin))], ['endpoint shop/web ingress']);
  const chains = (await fake.dump())?.chains;
  const counter = { kind: 'counter', name: 'ingress/refused' };
  const drop = [counter, { kind: 'verdict', verdict: { kind: 'drop' } }];
  t.deepEqual(
    chains?.get('to-shop/web')?.rules.map(({ exprs }) => exprs),
    [drop],
  );
  t.is(chains?.get('from-shop/web')?.rules.length, 3);
  t.is(chains?.get('to-shop/db')?.rules.length, 3);
  fake.refuse = () => undefined;
  t.true(engine.forgive());
  t.deepEqual((await engine.apply()).quarantined, []);
  t.is((await fake.dump())?.chains.get('to-shop/web')?.rules.length, 3);
});
