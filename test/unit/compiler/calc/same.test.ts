import test from 'ava';
import { isSame } from '../../../../compiler/calc/same.ts';

const ROWS: readonly { name: string; in: readonly [unknown, unknown]; out: boolean }[] = [
  { name: 'equal primitives', in: [1n, 1n], out: true },
  { name: 'a number and a bigint', in: [1, 1n], out: false },
  { name: 'equal trees', in: [{ a: [1, { b: 2n }] }, { a: [1, { b: 2n }] }], out: true },
  { name: 'a difference far down', in: [{ a: [1, { b: 2n }] }, { a: [1, { b: 3n }] }], out: false },
  { name: 'an absent key and undefined', in: [{ a: undefined }, {}], out: true },
  { name: 'a key more', in: [{}, { a: 0 }], out: false },
  {
    name: 'another order of a list',
    in: [
      [1, 2],
      [2, 1],
    ],
    out: false,
  },
  { name: 'a longer list', in: [[1], [1, 1]], out: false },
  { name: 'a list and an object with its keys', in: [['x'], { 0: 'x' }], out: false },
  { name: 'null and an object', in: [null, {}], out: false },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.is(isSame(row.in[0], row.in[1]), row.out);
    t.is(isSame(row.in[1], row.in[0]), row.out, 'the other way round');
  });
}
