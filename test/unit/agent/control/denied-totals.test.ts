/** Totals made of counters that come, grow, vanish and start anew: they never go back. */
import test from 'ava';
import { DeniedTotals } from '../../../../agent/control/denied-totals.ts';
import type { Counters } from '../../../../agent/dataplane/counters.ts';

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
