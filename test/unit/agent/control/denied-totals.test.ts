/** Totals made of counters that come, grow, vanish and start anew: they never go back. */
import test from 'ava';
import { DeniedTotals } from '../../../../agent/control/denied-totals.ts';
import type { Counters } from '../../../../agent/dataplane/counters.ts';
import { fakeAgent } from '../../../support/agent-view.ts';
import type { FakeAgent } from '../../../support/agent-view.ts';
import { namespaceObject, pod, v3 } from '../../../support/raw-events.ts';
import { NODE } from '../../../support/world.ts';

/** Packets; a packet has 100 bytes. */
function counters(packets: Readonly<Record<string, number>>): Counters {
  return new Map(
    Object.entries(packets).map(([name, count]) => {
      return [name, { packets: BigInt(count), bytes: BigInt(count) * 100n }];
    }),
  );
}

const TIER = 'ingress/end-of-tier/default/abc';
const OTHER = 'ingress/end-of-tier/security/def';

const ROWS = [
  { name: 'the first reading counts whole', in: [{ [TIER]: 5 }], out: 5n },
  { name: 'later ones by what they have grown', in: [{ [TIER]: 5 }, { [TIER]: 7 }], out: 7n },
  { name: 'a counter that vanishes leaves what it had', in: [{ [TIER]: 5 }, {}], out: 5n },
  { name: 'one made anew counts whole', in: [{ [TIER]: 5 }, { [TIER]: 2 }], out: 7n },
  {
    name: 'one that comes back counts whole',
    in: [{ [TIER]: 5 }, {}, { [TIER]: 6 }],
    out: 11n,
  },
  { name: 'tiers are counted together', in: [{ [TIER]: 5, [OTHER]: 2 }], out: 7n },
] as const;

for (const { name, in: readings, out } of ROWS) {
  test(name, (t) => {
    const totals = new DeniedTotals();
    for (const reading of readings) totals.add(counters(reading), []);
    t.deepEqual(totals.totals(), [
      { direction: 'ingress', reason: 'end-of-tier', packets: out, bytes: out * 100n },
    ]);
  });
}

test('what allows is not counted, nor what nobody knows', (t) => {
  const totals = new DeniedTotals();
  totals.add(counters({ 'ingress/np/shop/web/0': 5, theirs: 3 }), []);
  t.deepEqual(totals.totals(), []);
});

/** Names of counters in rules that end a packet. */
function denyingCounters({ engine }: FakeAgent): ReadonlySet<string> {
  const names = [...engine.table.chains.desired.values()].flatMap(({ rules }) =>
    rules.flatMap(({ exprs }) => {
      const isDeny = exprs.some(
        (expr) =>
          expr.kind === 'reject' || (expr.kind === 'verdict' && expr.verdict.kind === 'drop'),
      );
      return isDeny ? exprs.flatMap((expr) => (expr.kind === 'counter' ? [expr.name] : [])) : [];
    }),
  );
  return new Set(names);
}

test('every counter of a rule that denies counts, and no other', async (t) => {
  const agent = fakeAgent(() => 0);
  const rules = [{ action: 'Deny' }, { action: 'Pass' }, { action: 'Log' }, { action: 'Allow' }];
  const spec = { ingress: rules, egress: rules };
  await agent.give([
    namespaceObject('shop'),
    pod('shop/web', ['10.0.0.1']),
    v3('HostEndpoint', 'all', { node: NODE, interfaceName: '*' }, { host: 'x' }),
    v3('NetworkPolicy', 'shop/p', spec),
    v3('GlobalNetworkPolicy', 'hosts', { selector: "host == 'x'", ...spec, applyOnForward: true }),
  ]);
  const denying = denyingCounters(agent);
  t.true(denying.size > 10);
  for (const name of agent.engine.table.counters.desired.keys()) {
    const totals = new DeniedTotals();
    totals.add(counters({ [name]: 1 }), agent.engine.policies());
    t.is(totals.totals().length, denying.has(name) ? 1 : 0, name);
  }
});
