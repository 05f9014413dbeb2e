/** What the kernel refuses, and exchanges that fail, with the real kernel: one bad object costs itself only, doubt is resolved by asking. */
import { FakeDataplane } from '../../../agent/dataplane/fake.ts';
import { NetlinkDataplane } from '../../../agent/dataplane/netlink-dataplane.ts';
import { ApplyError, printRefusal, type Engine } from '../../../agent/engine/engine.ts';
import { AgentError } from '../../../agent/errors.ts';
import type { NftOp } from '../../../compiler/nft/program.ts';
import { testAddon } from '../../support/addon.ts';
import {
  FaultyDataplane,
  outline,
  rulesOf,
  withOverlongLoad,
  withoutKey,
} from '../../support/faults.ts';
import { kernelTest } from '../../support/needs.ts';
import { openNetns } from '../../support/netns.ts';
import { namespaceObject, openEngine, pod, put, v3 } from '../../support/raw-events.ts';

const CAPS = ['netns', 'addon'] as const;
const POLICIES = 300;

/** Policy `p<i>`: rule 0 allows a net, rule 1 denies the addresses of a selector of its own, rule 2 denies a port. */
function fill(engine: Engine): void {
  const policies = Array.from({ length: POLICIES }, (_, index) =>
    v3('GlobalNetworkPolicy', `p${index}`, {
      selector: "app == 'web'",
      ingress: [
        { action: 'Allow', source: { nets: [`10.${index >> 8}.${index & 255}.0/24`] } },
        { action: 'Deny', source: { selector: `own == 'x${index}'` } },
        { action: 'Deny', protocol: 'TCP', destination: { ports: [1000 + index] } },
      ],
    }),
  );
  const sets = Array.from({ length: POLICIES }, (_, index) =>
    v3(
      'GlobalNetworkSet',
      `s${index}`,
      { nets: [`10.9.9.${index & 255}/32`] },
      { own: `x${index}` },
    ),
  );
  const web = pod('shop/web', ['10.0.0.1'], { labels: { app: 'web' } });
  engine.take([namespaceObject('shop'), web, ...policies, ...sets].map(put));
}

/** Runs `use` with an engine that has everything to apply, on a kernel of its own. */
async function withEngine(
  use: (engine: Engine, faulty: FaultyDataplane) => Promise<void>,
): Promise<void> {
  const netns = await openNetns();
  const dataplane = new NetlinkDataplane(testAddon(), netns.path);
  try {
    const faulty = new FaultyDataplane(dataplane);
    const engine = openEngine(faulty);
    fill(engine);
    await use(engine, faulty);
  } finally {
    dataplane.close();
    await netns.close();
  }
}

/** What a healthy kernel has in the end. */
async function healthyOutline(): Promise<readonly string[]> {
  const fake = new FakeDataplane();
  const engine = openEngine(fake);
  fill(engine);
  await engine.apply();
  return outline(await fake.dump());
}

const setOrigins = (engine: Engine, selector: string): string[] =>
  [...engine.compile().sets.desired.values()]
    .filter(({ comment }) => comment === selector)
    .map(({ origin }) => origin);

interface Row {
  readonly name: string;
  /** Origin of the object to spoil. */
  readonly origin: (engine: Engine) => string;
  readonly spoil: (op: NftOp) => NftOp;
  readonly says: RegExp;
  /** The rule it concerns, and the number of expressions of what is left of it, per chain. */
  readonly rule: string;
  readonly left: readonly number[];
}

const ruleOrigin = (engine: Engine, counter: string): string => {
  for (const { rules } of engine.compile().chains.desired.values()) {
    for (const { exprs, origin } of rules) {
      if (exprs.some((e) => e.kind === 'counter' && e.name === counter)) return origin;
    }
  }
  throw new Error(`no rule counts for ${counter}`);
};

const ROWS: readonly Row[] = [
  {
    name: 'an allow rule: it matches nothing',
    origin: (engine) => ruleOrigin(engine, 'ingress/gnp/p7/0'),
    spoil: withOverlongLoad,
    says: /^gnp\/p7 .*\(add-rule\): E(INVAL|RANGE)/,
    rule: 'ingress/gnp/p7/0',
    left: [],
  },
  {
    name: 'a deny rule: it matches everything',
    origin: (engine) => ruleOrigin(engine, 'ingress/gnp/p7/2'),
    spoil: withOverlongLoad,
    says: /^gnp\/p7 .*\(add-rule\): E(INVAL|RANGE)/,
    rule: 'ingress/gnp/p7/2',
    left: [2, 2],
  },
  {
    name: 'the set of a deny rule: the rule matches everything',
    origin: (engine) => setOrigins(engine, "own == 'x7'")[0] ?? 'none',
    spoil: withoutKey,
    says: /^set .*\(add-set\): EINVAL/,
    rule: 'ingress/gnp/p7/1',
    left: [2, 2],
  },
];

for (const row of ROWS) {
  kernelTest(`one object of thousands is refused, ${row.name}`, CAPS, (t) =>
    withEngine(async (engine, faulty) => {
      const origin = row.origin(engine);
      faulty.corrupt = (op) => (op.origin === origin ? row.spoil(op) : op);
      const report = await engine.apply();
      t.true(Object.values(report.operations).reduce((sum, count) => sum + count) > 2_000);
      t.deepEqual([...new Set(report.quarantined.map(({ op }) => op?.origin))], [origin]);
      for (const refusal of report.quarantined) t.regex(printRefusal(refusal), row.says);
      const table = await faulty.dump();
      t.deepEqual(rulesOf(table, row.rule), row.left);
      t.true(rulesOf(table, row.rule.replace('p7', 'p8')).length > 0, 'the neighbour is enforced');

      t.deepEqual((await engine.apply()).operations, {}, 'it is not tried again at once');
      t.true(engine.forgive());
      t.is((await engine.apply()).quarantined.length > 0, true, 'tried again, refused again');
      faulty.corrupt = (op) => op;
      engine.forgive();
      t.deepEqual((await engine.apply()).quarantined, []);
      t.false(engine.forgive());
      t.deepEqual(outline(await faulty.dump()), await healthyOutline());
    }),
  );
}

kernelTest(
  'what cannot be left out is refused: nothing is applied, the kernel is named',
  CAPS,
  (t) =>
    withEngine(async (engine, faulty) => {
      faulty.corrupt = (op) =>
        op.op === 'add-chain' && op.chain.name === 'input'
          ? { ...op, chain: { ...op.chain, name: 'x'.repeat(300) } }
          : op;
      await t.throwsAsync(engine.apply(), {
        instanceOf: ApplyError,
        message: /^input \(add-chain\): ERANGE[^;]*$/,
      });
      t.is(await faulty.dump(), undefined);
      faulty.corrupt = (op) => op;
      await engine.apply();
      t.deepEqual(outline(await faulty.dump()), await healthyOutline());
    }),
);

const ENOBUFS = 105;
const ETIMEDOUT = 110;
const EAGAIN = 11;

kernelTest('lost answers: the kernel is asked, and has everything once', CAPS, (t) =>
  withEngine(async (engine, faulty) => {
    faulty.dumpFaults.push(ENOBUFS, ENOBUFS);
    faulty.commitFaults.push(
      { errno: ENOBUFS, when: 'before' },
      { errno: ETIMEDOUT, when: 'after' },
    );
    await engine.apply();
    t.deepEqual(outline(await faulty.dump()), await healthyOutline());
    t.deepEqual((await engine.apply()).operations, {});
    engine.doubt();
    t.deepEqual((await engine.apply()).operations, {});
  }),
);

kernelTest('a second timeout is told; the next apply converges', CAPS, (t) =>
  withEngine(async (engine, faulty) => {
    faulty.dumpFaults.push(ETIMEDOUT);
    faulty.commitFaults.push({ errno: ETIMEDOUT, when: 'after' });
    const error = await t.throwsAsync(engine.apply(), { instanceOf: AgentError });
    t.is(error.code, 'ERR_NETLINK_TIMEOUT');
    t.deepEqual((await engine.apply()).operations, {}, 'the kernel had taken it');
  }),
);

kernelTest(
  'a fault that is not about lost answers is thrown; the next apply converges',
  CAPS,
  (t) =>
    withEngine(async (engine, faulty) => {
      faulty.commitFaults.push({ errno: EAGAIN, when: 'after' });
      await t.throwsAsync(engine.apply(), { instanceOf: AgentError });
      t.deepEqual((await engine.apply()).operations, {}, 'the kernel had taken it');
      t.deepEqual(outline(await faulty.dump()), await healthyOutline());
    }),
);
