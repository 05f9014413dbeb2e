import test from 'ava';
import { Claims } from '../../../../compiler/calc/claims.ts';

type Step = readonly [op: 'set' | 'delete', claimant: string];

const ROWS: readonly { name: string; in: readonly Step[]; out: string }[] = [
  { name: 'nobody', in: [], out: '' },
  { name: 'one', in: [['set', 'a']], out: 'a=0' },
  {
    name: 'one, again',
    in: [
      ['set', 'a'],
      ['set', 'a'],
    ],
    out: 'a=1',
  },
  {
    name: 'two, in the order in which they came',
    in: [
      ['set', 'b'],
      ['set', 'a'],
    ],
    out: 'b=0 a=1',
  },
  {
    name: 'one of two, again',
    in: [
      ['set', 'b'],
      ['set', 'a'],
      ['set', 'b'],
    ],
    out: 'b=2 a=1',
  },
  {
    name: 'one is left',
    in: [
      ['set', 'a'],
      ['set', 'b'],
      ['delete', 'a'],
    ],
    out: 'b=1',
  },
  {
    name: 'two are left',
    in: [
      ['set', 'a'],
      ['set', 'b'],
      ['set', 'c'],
      ['delete', 'b'],
    ],
    out: 'a=0 c=2',
  },
  {
    name: 'a stranger leaves',
    in: [
      ['set', 'a'],
      ['delete', 'b'],
    ],
    out: 'a=0',
  },
  {
    name: 'the last one leaves',
    in: [
      ['set', 'a'],
      ['set', 'b'],
      ['delete', 'a'],
      ['delete', 'b'],
    ],
    out: '',
  },
  {
    name: 'one comes back',
    in: [
      ['set', 'a'],
      ['delete', 'a'],
      ['set', 'a'],
      ['set', 'b'],
    ],
    out: 'a=2 b=3',
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const claims = new Claims<number>();
    for (const [at, [op, claimant]] of row.in.entries()) {
      if (op === 'set') claims.set('thing', claimant, at);
      else claims.delete('thing', claimant);
    }
    t.is(
      claims
        .of('thing')
        .map(([claimant, claim]) => `${claimant}=${claim}`)
        .join(' '),
      row.out,
    );
    t.deepEqual(claims.of('other'), []);
  });
}
