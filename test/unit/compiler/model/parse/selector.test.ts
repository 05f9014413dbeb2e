import test from 'ava';
import { MAX_SELECTOR_DEPTH, parseSelector } from '../../../../../compiler/model/parse/selector.ts';
import { printSelector, selectorId } from '../../../../../compiler/model/selector-text.ts';

function normalForm(text: string): string {
  const result = parseSelector(text);
  return 'selector' in result ? printSelector(result.selector) : `error: ${result.error}`;
}

const LONG = 'k'.repeat(512);

const VALID = [
  { in: '', out: 'all()' },
  { in: ' \t ', out: 'all()' },
  { in: ' (all()) ', out: 'all()' },
  { in: 'all( )', out: 'all()' },
  { in: 'global(\t)', out: 'global()' },
  { in: 'has( foo )', out: 'has(foo)' },
  { in: "a=='b'", out: 'a == "b"' },
  { in: 'a != "b"', out: 'a != "b"' },
  { in: `a == 'x"y'`, out: `a == 'x"y'` },
  { in: `a == "x'y"`, out: `a == "x'y"` },
  { in: 'a == ""', out: 'a == ""' },
  { in: 'a == "line\nbreak"', out: 'a == "line\nbreak"' },
  { in: 'contains contains "contains"', out: 'contains contains "contains"' },
  { in: 'in in {"in"}', out: 'in in {"in"}' },
  { in: 'all == "x" && has != "y"', out: '(all == "x" && has != "y")' },
  { in: 'has (a)', out: 'error: expected == or != not (' },
  { in: 'a contains"v"', out: 'a contains "v"' },
  { in: 'a in{"a"}', out: 'a in {"a"}' },
  { in: 'a startswith"v"', out: 'a starts with "v"' },
  { in: 'a ends \t with "v"', out: 'a ends with "v"' },
  { in: 'a notin {"b",\'a\', "b" , }', out: 'a not in {"a", "b"}' },
  { in: 'a in {}', out: 'a in {}' },
  { in: 'a in {"\u{1f600}", "\uffee", "z"}', out: 'a in {"z", "\uffee", "\u{1f600}"}' },
  { in: '!!has(a)', out: 'has(a)' },
  { in: '! ! ! has(a)', out: '!has(a)' },
  { in: '!a == "x"', out: '!a == "x"' },
  { in: '!!a!="x"', out: 'a != "x"' },
  { in: 'has(a) || has(b) && has(c)', out: '(has(a) || (has(b) && has(c)))' },
  { in: 'has(a) && has(b) && has(c)', out: '(has(a) && has(b) && has(c))' },
  { in: '(has(a) && has(b)) && has(c)', out: '((has(a) && has(b)) && has(c))' },
  { in: '!(!(has(a)))', out: '!!has(a)' },
  { in: 'projectcalico.org/namespace == "n-1_2"', out: 'projectcalico.org/namespace == "n-1_2"' },
  { in: `has(${LONG})`, out: `has(${LONG})` },
  { in: `${LONG} == "a"`, out: `${LONG} == "a"` },
  { in: '__proto__ == "constructor"', out: '__proto__ == "constructor"' },
];

for (const row of VALID) {
  test(`normal form of ${JSON.stringify(row.in).slice(0, 60)}`, (t) => {
    t.is(normalForm(row.in), row.out);
  });
}

const OPERATOR_AFTER_A = 'expected operator after label "a"';

const INVALID = [
  { in: 'a', error: 'unexpected end of string looking for op', offset: 1 },
  { in: '!', error: 'unexpected token: end of selector', offset: 1 },
  { in: '()', error: 'unexpected token: )', offset: 1 },
  { in: '&& has(a)', error: 'unexpected token: &&', offset: 0 },
  { in: 'has(a) ||', error: 'unexpected token: end of selector', offset: 9 },
  { in: '"a" == "b"', error: 'unexpected token: "a"', offset: 0 },
  { in: 'a = "b"', error: 'expected ==', offset: 2 },
  { in: 'has(a) & has(b)', error: 'expected &&', offset: 7 },
  { in: 'has(a) | has(b)', error: 'expected ||', offset: 7 },
  { in: 'a ==', error: 'expected string', offset: 4 },
  { in: 'a == b', error: 'expected string', offset: 5 },
  { in: 'a in b', error: 'expected set literal', offset: 5 },
  { in: 'a not in b', error: OPERATOR_AFTER_A, offset: 2 },
  { in: 'a in {,"b"}', error: 'expected }', offset: 6 },
  { in: 'a in {"b" "c"}', error: 'expected }', offset: 10 },
  { in: 'a in {"b"', error: 'expected }', offset: 9 },
  { in: 'a inf "v"', error: OPERATOR_AFTER_A, offset: 2 },
  { in: 'a ends withs "v"', error: OPERATOR_AFTER_A, offset: 2 },
  { in: 'a In {"v"}', error: OPERATOR_AFTER_A, offset: 2 },
  { in: 'a %', error: OPERATOR_AFTER_A, offset: 2 },
  { in: 'a && has(b)', error: 'expected == or != not &&', offset: 2 },
  { in: 'a\n== "b"', error: OPERATOR_AFTER_A, offset: 1 },
  { in: '\nhas(a)', error: 'expected identifier', offset: 0 },
  { in: 'has(a)\r', error: 'expected identifier', offset: 6 },
  { in: '%', error: 'expected identifier', offset: 0 },
  { in: '\u00e9 == "x"', error: 'expected identifier', offset: 0 },
  { in: '\u00a0', error: 'expected identifier', offset: 0 },
  { in: 'a == "b', error: 'unterminated string', offset: 5 },
  { in: `a == 'b"`, error: 'unterminated string', offset: 5 },
  { in: 'has(a', error: "no closing ')' after has(", offset: 5 },
  { in: 'has()', error: 'no label name in has( expression', offset: 4 },
  { in: 'all(x)', error: "no closing ')' after all(", offset: 4 },
  { in: 'global(', error: "no closing ')' after global(", offset: 7 },
  { in: '(has(a)', error: 'expected )', offset: 7 },
  { in: '(has(a) has(b))', error: 'expected )', offset: 8 },
  { in: 'has(a))', error: 'unexpected content at end of selector: )', offset: 6 },
  { in: 'has(a) has(b)', error: 'unexpected content at end of selector: has(b)', offset: 7 },
  { in: `${LONG}k == "a"`, error: 'label too long', offset: 0 },
  { in: `has( ${LONG}k)`, error: 'label too long', offset: 5 },
];

for (const row of INVALID) {
  test(`error in ${JSON.stringify(row.in).slice(0, 60)}`, (t) => {
    t.deepEqual(parseSelector(row.in), { error: row.error, offset: row.offset });
  });
}

const IDS = [
  { in: '', out: 's:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug' },
  { in: ' all() ', out: 's:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug' },
  { in: ' (all()) ', out: 's:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug' },
  { in: '! (has( b)|| ! has(a ))', out: 's:Iss0uCleLYv1GSv_pNm7hAO58kE9jAx1NKyG3Q' },
  { in: '! (a == "b"&&! c != "d")', out: 's:lh3haoY1ikTRkd4UZu0nWSaIBknYLPJLX16d-w' },
];

for (const row of IDS) {
  test(`id of "${row.in}"`, (t) => {
    const result = parseSelector(row.in);
    t.is('selector' in result ? selectorId(result.selector) : result.error, row.out);
  });
}

test('as deep as 1,024 characters allow', (t) => {
  t.is(normalForm(`${'('.repeat(508)}all()${')'.repeat(508)}`), 'all()');
  t.is(normalForm(`${'!'.repeat(1019)}all()`), '!all()');
  t.is(normalForm(`${'!('.repeat(338)}all()${')'.repeat(338)}`), `${'!'.repeat(338)}all()`);
});

test('deeper text is an error, never a crash', (t) => {
  const parentheses = '('.repeat(1_000_000);
  const error = `more than ${MAX_SELECTOR_DEPTH} nested parentheses`;
  t.deepEqual(parseSelector(parentheses), { error, offset: MAX_SELECTOR_DEPTH });
  t.is(normalForm('!('.repeat(500_000)), `error: ${error}`);
  t.is(normalForm(`${'!'.repeat(1_000_000)}all()`), 'all()');
  t.is(normalForm(`${'(all())||'.repeat(100_000)}all()`).length, 100_001 * 9 - 2);
});

test('the deepest tree can be printed', (t) => {
  const text = `${'!('.repeat(MAX_SELECTOR_DEPTH)}all()${')'.repeat(MAX_SELECTOR_DEPTH)}`;
  t.is(normalForm(text), `${'!'.repeat(MAX_SELECTOR_DEPTH)}all()`);
});
