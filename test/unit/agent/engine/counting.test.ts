/** Work is proportional to the change (design section 2): what each kind of change sends to the kernel, and how much is lowered for it. */
import test from 'ava';
import { FakeDataplane } from '../../../../agent/dataplane/fake.ts';
import type { Engine } from '../../../../agent/engine/engine.ts';
import type { RawEvent } from '../../../../agent/watch/event.ts';
import type { NftOp } from '../../../../compiler/nft/program.ts';
import {
  namespaceObject,
  openEngine,
  pod,
  put,
  remove,
  serviceAccountObject,
  v3,
} from '../../../support/raw-events.ts';
import { NODE } from '../../../support/world.ts';

/** Elements count one by one, everything else by operation. */
type Cost = Readonly<Record<string, number>>;

interface Row {
  readonly name: string;
  readonly change: readonly RawEvent[];
  readonly sent: Cost;
  /** Policy chains lowered: one per policy, direction, family and continuation. */
  readonly lowered: number;
}

const REMOTE = { node: 'node-b' };
const CLIENT = { ...REMOTE, labels: { app: 'client' } };
const WEB = { labels: { app: 'web' } };

const fromClients = { action: 'Allow', source: { selector: "app == 'client'" } };
const fromTeam = { action: 'Allow', source: { namespaceSelector: "team == 'red'" } };
const fromRobots = { action: 'Allow', source: { serviceAccounts: { selector: "kind == 'bot'" } } };
const toPort = (port: number): object => ({
  action: 'Allow',
  protocol: 'TCP',
  destination: { ports: [port] },
});

function webPolicy(ingress: readonly object[], order = 100): RawEvent {
  const spec = { selector: "app == 'web'", tier: 'app', order, types: ['Ingress'], ingress };
  return put(v3('GlobalNetworkPolicy', 'app.web', spec));
}

function basePolicy(): RawEvent {
  const spec = {
    selector: "app == 'web'",
    tier: 'base',
    types: ['Ingress'],
    ingress: [toPort(22)],
  };
  return put(v3('GlobalNetworkPolicy', 'base.ssh', spec));
}

function tier(name: string, order: number, defaultAction = 'Deny'): RawEvent {
  return put(v3('Tier', name, { order, defaultAction }));
}

const CLIENT_1 = pod('shop/client-1', ['10.2.0.1'], CLIENT);
const WEB_1 = pod('shop/web-1', ['10.1.0.1'], WEB);
const WEB_2 = pod('shop/web-2', ['10.1.0.2'], WEB);

const FOR_HOST = v3('GlobalNetworkPolicy', 'app.host', {
  selector: "role == 'node'",
  tier: 'app',
  applyOnForward: true,
  types: ['Ingress', 'Egress'],
  ingress: [{ action: 'Allow', source: { selector: "app == 'monitor'" } }],
  egress: [{ action: 'Allow', destination: { selector: "app == 'monitor'" } }],
});

function hostEndpoint(spec: object, role = 'node'): RawEvent {
  const object = v3('HostEndpoint', 'nic', { node: NODE, ...spec }, { role });
  return put(object);
}

const HOSTS: readonly RawEvent[] = [put(FOR_HOST), hostEndpoint({ interfaceName: 'eth0' })];
/** Of host policy: ingress, egress, egress after DNAT, forward ingress, forward egress. */
const HOST_STAGES = 5;

const WORLD: readonly RawEvent[] = [
  put(namespaceObject('shop', { team: 'blue' })),
  put(namespaceObject('ops', { team: 'blue' })),
  put(serviceAccountObject('ops/robot', {})),
  put(pod('ops/robot', ['10.2.0.9', '2001:db8::9'], { ...REMOTE, serviceAccount: 'robot' })),
  put(CLIENT_1),
  put(WEB_1),
  put(WEB_2),
  tier('app', 10),
  tier('base', 20, 'Pass'),
  webPolicy([fromClients, fromTeam, fromRobots]),
  basePolicy(),
];

/** Elements by which a pod's interface and one address of it are known. */
const INTERFACE_ELEMENTS = 3;
const ADDRESS_ELEMENTS = 4;
const DISPATCH_ELEMENTS = INTERFACE_ELEMENTS + ADDRESS_ELEMENTS;
/** Of a pod's two chains: the jump to what all have in common, and the way to its two programs. */
const ENDPOINT_RULES = 6;

const ROWS: readonly Row[] = [
  { name: 'nothing', change: [], sent: {}, lowered: 0 },
  {
    name: 'the same objects again',
    change: WORLD,
    sent: {},
    lowered: 0,
  },
  {
    name: 'a remote pod appears in one set',
    change: [put(pod('shop/client-2', ['10.2.0.2'], CLIENT))],
    sent: { 'add-elements': 1 },
    lowered: 0,
  },
  {
    name: 'a remote pod appears that no rule asks for',
    change: [put(pod('shop/other', ['10.2.0.2'], REMOTE))],
    sent: {},
    lowered: 0,
  },
  {
    name: 'a remote pod goes',
    change: [remove(CLIENT_1)],
    sent: { 'delete-elements': 1 },
    lowered: 0,
  },
  {
    name: 'a remote pod is relabelled',
    change: [put(pod('shop/client-1', ['10.2.0.1'], REMOTE))],
    sent: { 'delete-elements': 1 },
    lowered: 0,
  },
  {
    name: 'a remote pod moves to another address',
    change: [put(pod('shop/client-1', ['10.2.0.77'], CLIENT))],
    sent: { 'delete-elements': 1, 'add-elements': 1 },
    lowered: 0,
  },
  {
    name: 'a remote pod finishes',
    change: [put(pod('shop/client-1', ['10.2.0.1'], { ...CLIENT, phase: 'Succeeded' }))],
    sent: { 'delete-elements': 1 },
    lowered: 0,
  },
  {
    name: 'a remote pod comes and goes between two transactions',
    change: [put(pod('shop/client-2', ['10.2.0.2'], CLIENT)), remove(pod('shop/client-2', []))],
    sent: {},
    lowered: 0,
  },
  {
    name: 'a replica of a local pod appears',
    change: [put(pod('shop/web-3', ['10.1.0.3'], WEB))],
    sent: { 'add-chain': 2, 'add-rule': ENDPOINT_RULES, 'add-elements': DISPATCH_ELEMENTS },
    lowered: 0,
  },
  {
    name: 'a replica of a local pod goes',
    change: [remove(WEB_2)],
    sent: { 'flush-chain': 2, 'delete-chain': 2, 'delete-elements': DISPATCH_ELEMENTS },
    lowered: 0,
  },
  {
    name: 'a local pod gets a label that no policy asks for',
    change: [put(pod('shop/web-1', ['10.1.0.1'], { labels: { app: 'web', version: '2' } }))],
    sent: {},
    lowered: 0,
  },
  {
    name: 'a local pod moves to another address',
    change: [put(pod('shop/web-1', ['10.1.0.77'], WEB))],
    sent: { 'delete-elements': ADDRESS_ELEMENTS, 'add-elements': ADDRESS_ELEMENTS },
    lowered: 0,
  },
  {
    name: 'a namespace is relabelled',
    change: [put(namespaceObject('ops', { team: 'red' }))],
    sent: { 'add-elements': 2 },
    lowered: 0,
  },
  {
    name: 'a service account is relabelled',
    change: [put(serviceAccountObject('ops/robot', { kind: 'bot' }))],
    sent: { 'add-elements': 2 },
    lowered: 0,
  },
  {
    name: 'a rule is edited: the chains of its policy, both families',
    change: [webPolicy([fromClients, fromTeam, fromRobots, toPort(80)])],
    sent: { 'flush-chain': 2, 'add-rule': 8, 'add-counter': 1 },
    lowered: 2,
  },
  {
    name: 'a rule changes its ports',
    change: [webPolicy([{ ...fromClients, protocol: 'TCP' }, fromTeam, fromRobots])],
    sent: { 'flush-chain': 2, 'add-rule': 6 },
    lowered: 2,
  },
  {
    name: 'a policy changes its order, alone in its tier',
    change: [webPolicy([fromClients, fromTeam, fromRobots], 200)],
    sent: {},
    lowered: 0,
  },
  {
    name: 'a network set that no rule asks for',
    change: [put(v3('GlobalNetworkSet', 'idle', { nets: ['192.0.2.0/24'] }))],
    sent: {},
    lowered: 0,
  },
];

for (const row of ROWS) {
  test(row.name, async (t) => {
    const { engine, fake } = await start(WORLD);
    t.deepEqual(await costOf(engine, fake, row.change), {
      sent: row.sent,
      lowered: row.lowered,
      transactions: Object.keys(row.sent).length === 0 ? 0 : 1,
      dumps: 0,
    });
  });
}

test('a policy that comes costs its own chains, and how its tier is entered', async (t) => {
  const { engine, fake } = await start(WORLD);
  const spec = { selector: "app == 'web'", tier: 'app', order: 1, types: ['Ingress'] };
  const extra = v3('GlobalNetworkPolicy', 'app.extra', { ...spec, ingress: [toPort(443)] });
  const came = await costOf(engine, fake, [put(extra)]);
  t.is(came.lowered, 2);
  t.deepEqual(policyChains(fake), ['ingress4/gnp/app.extra', 'ingress6/gnp/app.extra']);
  t.deepEqual(
    lastChains(fake).filter((name) => /^(from-|egress)/.test(name)),
    [],
    'nothing of the other direction',
  );
  const went = await costOf(engine, fake, [remove(extra)]);
  t.is(went.lowered, 0);
  t.deepEqual(policyChains(fake), []);
});

test('tiers that change places write no policy', async (t) => {
  const { engine, fake } = await start(WORLD);
  const cost = await costOf(engine, fake, [tier('app', 30)]);
  t.deepEqual(policyChains(fake), []);
  t.is(cost.sent['add-elements'], undefined);
  t.is(cost.transactions, 1);
});

test('another default action of a tier costs its chains and those that lead there', async (t) => {
  const { engine, fake } = await start(WORLD);
  const cost = await costOf(engine, fake, [tier('base', 20, 'Deny')]);
  t.deepEqual(policyChains(fake), []);
  t.is(cost.sent['add-elements'], undefined);
  t.is(cost.transactions, 1);
});

test('one prefix more in a network set of 100,000 is one element', async (t) => {
  const nets = Array.from(
    { length: 100_000 },
    (_, i) => `10.${(i >> 8) >> 8}.${(i >> 8) & 255}.${i & 255}/32`,
  );
  const policy = webPolicy([{ action: 'Allow', source: { selector: "list == 'big'" } }]);
  const list = (extra: readonly string[]): RawEvent =>
    put(v3('GlobalNetworkSet', 'big', { nets: [...nets, ...extra] }, { list: 'big' }));
  const { engine, fake } = await start([...WORLD, policy, list([])]);
  const cost = { lowered: 0, transactions: 1, dumps: 0 };
  t.deepEqual(await costOf(engine, fake, [list(['192.0.2.1/32'])]), {
    ...cost,
    sent: { 'add-elements': 1 },
  });
  t.deepEqual(await costOf(engine, fake, [list([])]), { ...cost, sent: { 'delete-elements': 1 } });
});

function list(nets: readonly string[]): RawEvent {
  return put(v3('GlobalNetworkSet', 'l', { nets }, { list: 'l' }));
}

test('the first prefix of a set changes its rules, the next ones do not', async (t) => {
  const policy = webPolicy([{ action: 'Allow', source: { selector: "list == 'l'" } }]);
  const { engine, fake } = await start([...WORLD, policy, list(['192.0.2.1'])]);
  const first = await costOf(engine, fake, [list(['192.0.2.1', '198.51.100.0/24'])]);
  t.deepEqual(first.sent, { 'add-set': 1, 'add-elements': 1, 'flush-chain': 1, 'add-rule': 2 });
  t.is(first.lowered, 2);
  const next = await costOf(engine, fake, [
    list(['192.0.2.1', '198.51.100.0/24', '203.0.113.0/24']),
  ]);
  t.deepEqual(next.sent, { 'add-elements': 1 });
  t.is(next.lowered, 0);
});

test('50 pods in one burst are one transaction', async (t) => {
  const { engine, fake } = await start(WORLD);
  const burst = Array.from({ length: 50 }, (_, i) =>
    put(pod(`shop/burst-${i}`, [`10.2.1.${i}`], CLIENT)),
  );
  t.deepEqual(await costOf(engine, fake, burst), {
    sent: { 'add-elements': 50 },
    lowered: 0,
    transactions: 1,
    dumps: 0,
  });
  t.is(fake.transactions.at(-1)?.length, 1, 'in one operation');
});

const HOST_ROWS: readonly Row[] = [
  {
    name: 'a remote pod that host policy names appears',
    change: [put(pod('shop/monitor', ['10.2.0.8'], { ...REMOTE, labels: { app: 'monitor' } }))],
    sent: { 'add-elements': 1 },
    lowered: 0,
  },
  {
    name: 'a remote pod is relabelled so that host policy names it',
    change: [put(pod('shop/client-1', ['10.2.0.1'], { ...REMOTE, labels: { app: 'monitor' } }))],
    sent: { 'add-elements': 1, 'delete-elements': 1 },
    lowered: 0,
  },
  {
    name: 'a host endpoint gets another interface',
    change: [hostEndpoint({ interfaceName: 'eth1' })],
    sent: { 'add-elements': HOST_STAGES, 'delete-elements': HOST_STAGES },
    lowered: 0,
  },
  {
    name: 'a host endpoint of another node appears',
    change: [put(v3('HostEndpoint', 'far', { node: 'node-b', interfaceName: 'eth0' }))],
    sent: {},
    lowered: 0,
  },
  {
    name: 'a Node object appears, while no tunnel is configured',
    change: [put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-b' } })],
    sent: {},
    lowered: 0,
  },
];

for (const { name, change, sent, lowered } of HOST_ROWS) {
  test(`with host policy: ${name}`, async (t) => {
    const { engine, fake } = await start([...WORLD, ...HOSTS]);
    const work = await costOf(engine, fake, change);
    t.deepEqual({ sent: work.sent, lowered: work.lowered }, { sent, lowered });
  });
}

test('interfaces of a host that come, go and trade addresses cost elements only', async (t) => {
  const { engine, fake } = await start([
    ...WORLD,
    put(FOR_HOST),
    hostEndpoint({ expectedIPs: ['192.0.2.1'] }),
  ]);
  const steps: readonly (readonly [string, Cost])[] = [
    ['eth0', { 'add-elements': HOST_STAGES }],
    ['eth1', { 'add-elements': HOST_STAGES, 'delete-elements': HOST_STAGES }],
    ['eth1', {}],
    ['cali1', { 'delete-elements': HOST_STAGES }],
  ];
  for (const [link, sent] of steps) {
    const addresses = new Map([[link, new Set(['192.0.2.1'])]]);
    engine.setNetwork({ links: new Set(['eth0', 'eth1', link]), hostRoutes: new Map(), addresses });
    t.deepEqual((await costOf(engine, fake, [])).sent, sent, link);
  }
});

function namesOf({ table }: Engine): string[] {
  return [...table.chains.desired.keys(), ...table.sets.desired.keys()].sort();
}

test('what host policy adds to the table goes with the last host endpoint', async (t) => {
  const [plain, { engine, fake }] = [await start(WORLD), await start([...WORLD, ...HOSTS])];
  t.true(engine.table.chains.desired.has('input-host'));
  await costOf(engine, fake, [remove(FOR_HOST), remove(v3('HostEndpoint', 'nic', {}))]);
  t.deepEqual(namesOf(engine), namesOf(plain.engine));
});

test('a hundred replicas share their programs', async (t) => {
  const replicas = Array.from({ length: 100 }, (_, i) =>
    put(pod(`shop/replica-${i}`, [`10.1.1.${i}`], WEB)),
  );
  const { engine, fake } = await start([...WORLD, ...replicas]);
  const one = await start(WORLD);
  t.is(engine.compiler.lowered, one.engine.compiler.lowered);
  const next = put(pod('shop/replica-100', ['10.1.1.100'], WEB));
  t.deepEqual((await costOf(engine, fake, [next])).sent, {
    'add-chain': 2,
    'add-rule': ENDPOINT_RULES,
    'add-elements': DISPATCH_ELEMENTS,
  });
});

test('a restart with unchanged input reads the kernel once and sends nothing', async (t) => {
  const { fake } = await start(WORLD);
  const again = openEngine(fake);
  t.deepEqual(again.take(WORLD.toReversed()), []);
  const before = { dumps: fake.dumps, transactions: fake.transactions.length };
  t.deepEqual((await again.apply()).operations, {});
  t.is(fake.transactions.length, before.transactions);
  t.is(fake.dumps, before.dumps + 1);
  await again.apply();
  t.is(fake.dumps, before.dumps + 1);
});

async function start(
  events: readonly RawEvent[],
): Promise<{ engine: Engine; fake: FakeDataplane }> {
  const fake = new FakeDataplane();
  const engine = openEngine(fake);
  engine.take(events);
  await engine.apply();
  return { engine, fake };
}

interface Work {
  readonly sent: Cost;
  readonly lowered: number;
  readonly transactions: number;
  readonly dumps: number;
}

async function costOf(
  engine: Engine,
  fake: FakeDataplane,
  change: readonly RawEvent[],
): Promise<Work> {
  const { lowered } = engine.compiler;
  const { dumps } = fake;
  const before = fake.transactions.length;
  engine.take(change);
  await engine.apply();
  const transactions = fake.transactions.slice(before);
  return {
    sent: countOps(transactions.flat()),
    lowered: engine.compiler.lowered - lowered,
    transactions: transactions.length,
    dumps: fake.dumps - dumps,
  };
}

function countOps(ops: readonly NftOp[]): Cost {
  const counts: Record<string, number> = {};
  for (const op of ops) {
    counts[op.op] = (counts[op.op] ?? 0) + ('elements' in op ? op.elements.length : 1);
  }
  return counts;
}

/** Names of the chains that the last transaction wrote. */
function lastChains(fake: FakeDataplane): string[] {
  return (fake.transactions.at(-1) ?? []).flatMap((op) =>
    op.op === 'add-rule' ? [op.chain] : op.op === 'add-chain' ? [op.chain.name] : [],
  );
}

function policyChains(fake: FakeDataplane): string[] {
  return [...new Set(lastChains(fake))].filter((name) => name.includes('/gnp/')).sort();
}
