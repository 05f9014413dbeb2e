import test from 'ava';
import { matches } from '../../../../compiler/selector/match.ts';
import { sel } from '../../../support/selectors.ts';

/** `undefined` = the label `a` is missing. */
type Value = string | undefined;

const ROWS: readonly { selector: string; yes: readonly Value[]; no: readonly Value[] }[] = [
  { selector: 'a == "v"', yes: ['v'], no: ['V', 'w', '', undefined] },
  { selector: 'a == ""', yes: [''], no: ['v', undefined] },
  { selector: 'a != "v"', yes: ['V', '', undefined], no: ['v'] },
  { selector: '!a == "v"', yes: ['V', undefined], no: ['v'] },
  { selector: 'a in {"u", "v"}', yes: ['u', 'v'], no: ['w', undefined] },
  { selector: 'a in {}', yes: [], no: ['', 'v', undefined] },
  { selector: 'a not in {"u", "v"}', yes: ['w', undefined], no: ['u', 'v'] },
  { selector: 'a not in {}', yes: ['', 'v', undefined], no: [] },
  { selector: 'has(a)', yes: ['', 'v'], no: [undefined] },
  { selector: '!has(a)', yes: [undefined], no: ['', 'v'] },
  { selector: 'a contains "b"', yes: ['b', 'abc'], no: ['B', '', undefined] },
  { selector: 'a contains ""', yes: ['', 'abc'], no: [undefined] },
  { selector: 'a starts with "b"', yes: ['b', 'bc'], no: ['ab', '', undefined] },
  { selector: 'a starts with ""', yes: ['', 'bc'], no: [undefined] },
  { selector: 'a ends with "b"', yes: ['b', 'ab'], no: ['bc', '', undefined] },
  { selector: 'a ends with ""', yes: ['', 'bc'], no: [undefined] },
  { selector: 'all()', yes: ['', undefined], no: [] },
  { selector: 'global()', yes: ['', undefined], no: [] },
  { selector: '!all()', yes: [], no: ['', undefined] },
  { selector: 'has(a) && a != "v"', yes: ['', 'w'], no: ['v', undefined] },
  { selector: 'a == "u" || a == "v"', yes: ['u', 'v'], no: ['w', undefined] },
  { selector: 'a == "10"', yes: ['10'], no: ['10.0', '010'] },
];

for (const { selector, yes, no } of ROWS) {
  test(selector, (t) => {
    const parsed = sel(selector);
    const verdict = (value: Value): boolean =>
      matches(parsed, (key) => (key === 'a' ? value : undefined));
    t.deepEqual(
      yes.filter((value) => !verdict(value)),
      [],
    );
    t.deepEqual(no.filter(verdict), []);
  });
}
