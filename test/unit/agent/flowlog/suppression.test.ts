import test from 'ava';
import { Suppression } from '../../../../agent/flowlog/suppression.ts';

type Packets = Readonly<Record<string, number>>;

const values = (packets: Packets): Map<string, bigint> =>
  new Map(Object.entries(packets).map(([name, value]) => [name, BigInt(value)]));

const ROWS: readonly {
  name: string;
  begin: Packets;
  steps: readonly { values: Packets; logged: Packets; out: Packets }[];
}[] = [
  {
    name: 'counted and not logged',
    begin: { a: 100 },
    steps: [{ values: { a: 150 }, logged: { a: 10 }, out: { a: 40 } }],
  },
  {
    name: 'everything was logged',
    begin: { a: 0 },
    steps: [{ values: { a: 10 }, logged: { a: 10 }, out: {} }],
  },
  {
    name: 'each packet is told once',
    begin: {},
    steps: [
      { values: { a: 10 }, logged: { a: 2 }, out: { a: 8 } },
      { values: { a: 11 }, logged: { a: 1 }, out: {} },
      { values: { a: 21 }, logged: { a: 1 }, out: { a: 9 } },
    ],
  },
  {
    name: 'records that came after the counter was read are evened out',
    begin: { a: 0 },
    steps: [
      { values: { a: 5 }, logged: { a: 8 }, out: {} },
      { values: { a: 8 }, logged: { a: 1 }, out: {} },
      { values: { a: 14 }, logged: { a: 1 }, out: { a: 4 } },
    ],
  },
  {
    name: 'what was suppressed waits for a record of its rule',
    begin: { a: 0, b: 0 },
    steps: [
      { values: { a: 10, b: 1 }, logged: { b: 1 }, out: {} },
      { values: { a: 20, b: 1 }, logged: { a: 1 }, out: { a: 19 } },
    ],
  },
  {
    name: 'a counter that begins anew',
    begin: { a: 1_000 },
    steps: [
      { values: { a: 3 }, logged: { a: 1 }, out: { a: 2 } },
      { values: {}, logged: {}, out: {} },
      { values: { a: 2 }, logged: { a: 2 }, out: {} },
    ],
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const suppression = new Suppression();
    suppression.begin(values(row.begin));
    let total = 0;
    for (const step of row.steps) {
      const logged = new Map(Object.entries(step.logged));
      const out = Object.fromEntries(suppression.take(values(step.values), logged));
      t.deepEqual(out, step.out);
      for (const packets of Object.values(out)) total += packets;
    }
    t.is(suppression.total, total);
  });
}
