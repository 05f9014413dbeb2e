/** Two tables object by object. */
import test from 'ava';
import {
  diffObjects,
  kernelListable,
  printDifferences,
  tableObjects,
} from '../../../../agent/diff/table-diff.ts';
import type { TableObject } from '../../../../agent/diff/table-diff.ts';

const CHAIN: TableObject = { kind: 'chain', name: 'a', key: 'a r1 r2', rules: ['r1', 'r2'] };
const SET: TableObject = { kind: 'set', name: 's', key: 's ipv4_addr' };

const ROWS = [
  { name: 'nothing', in: [[], []], out: [] },
  {
    name: 'the same',
    in: [
      [CHAIN, SET],
      [SET, CHAIN],
    ],
    out: [],
  },
  {
    name: 'missing',
    in: [[SET], [SET, CHAIN]],
    out: [{ kind: 'chain', name: 'a', state: 'missing', rules: [] }],
  },
  {
    name: 'too much',
    in: [[SET, CHAIN], [CHAIN]],
    out: [{ kind: 'set', name: 's', state: 'extra', rules: [] }],
  },
  {
    name: 'another rule',
    in: [[{ ...CHAIN, key: 'a r1 r3', rules: ['r1', 'r3'] }], [CHAIN]],
    out: [{ kind: 'chain', name: 'a', state: 'different', rules: ['- r2', '+ r3'] }],
  },
  {
    name: 'the same rules in another order',
    in: [[{ ...CHAIN, key: 'a r2 r1', rules: ['r2', 'r1'] }], [CHAIN]],
    out: [
      {
        kind: 'chain',
        name: 'a',
        state: 'different',
        rules: ['the same rules in another order, or another hook'],
      },
    ],
  },
  {
    name: 'a set and a chain of one name',
    in: [[{ ...SET, name: 'a' }], [CHAIN]],
    out: [
      { kind: 'chain', name: 'a', state: 'missing', rules: [] },
      { kind: 'set', name: 'a', state: 'extra', rules: [] },
    ],
  },
] as const;

for (const { name, in: input, out } of ROWS) {
  test(`diff: ${name}`, (t) => {
    const [actual, desired] = input;
    t.deepEqual(diffObjects(actual, desired), [...out]);
  });
}

test('no table has no objects', (t) => {
  t.deepEqual([...tableObjects(kernelListable(undefined))], []);
});

test('printing is bounded', (t) => {
  const many = Array.from({ length: 1_000 }, (_, at) => ({ ...SET, name: `s${at}` }));
  const lines = printDifferences(diffObjects([], many));
  t.is(lines.length, 102);
  t.is(lines[0], '1000 objects differ');
  t.is(lines.at(-1), 'and 900 more: -o json shows all');
});
