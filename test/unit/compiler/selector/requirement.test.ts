import test from 'ava';
import { labelsOf, requirementsOf } from '../../../../compiler/selector/requirement.ts';
import { sel } from '../../../support/selectors.ts';

/** Requirements as text: `a=1` or `a` per test, tests of one requirement joined by `|`; a lone `-` = nothing can match. */
const ROWS: readonly { in: string; out: readonly string[] }[] = [
  { in: 'all()', out: [] },
  { in: 'global()', out: [] },
  { in: '!all()', out: ['-'] },
  { in: 'a == "1"', out: ['a=1'] },
  { in: 'a != "1"', out: [] },
  { in: '!a != "1"', out: ['a=1'] },
  { in: '!a == "1"', out: [] },
  { in: 'a in {"1", "2"}', out: ['a=1|a=2'] },
  { in: 'a in {}', out: ['-'] },
  { in: 'a not in {"1"}', out: [] },
  { in: '!a not in {"1"}', out: ['a=1'] },
  { in: 'has(a)', out: ['a'] },
  { in: '!has(a)', out: [] },
  { in: 'a contains "1"', out: ['a'] },
  { in: 'a starts with ""', out: ['a'] },
  { in: '!a ends with "1"', out: [] },
  { in: 'a == "1" && b != "2" && has(c)', out: ['a=1', 'c'] },
  { in: 'a == "1" && (b == "2" && c == "3")', out: ['a=1', 'b=2', 'c=3'] },
  { in: 'a == "1" || b == "2"', out: ['a=1|b=2'] },
  { in: 'a == "1" || b != "2"', out: [] },
  { in: '(has(a) && b == "2") || c == "3"', out: ['b=2|c=3'] },
  { in: '!(a != "1" || b != "2")', out: ['a=1', 'b=2'] },
  { in: '!(a != "1" && b != "2")', out: ['a=1|b=2'] },
  { in: 'a == "1" || !all()', out: ['a=1'] },
];

for (const row of ROWS) {
  test(row.in, (t) => {
    const printed = requirementsOf(sel(row.in)).map((requirement) =>
      requirement.length === 0
        ? '-'
        : requirement.map(({ label, value }) => label + (value ? `=${value}` : '')).join('|'),
    );
    t.deepEqual(printed, row.out);
  });
}

test('labels mentioned anywhere', (t) => {
  const found = labelsOf(sel('!(has(a) || b == "1") && (c in {} || all()) && a != "2"'));
  t.deepEqual([...found], ['a', 'b', 'c']);
});
