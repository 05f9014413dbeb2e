/** Files of expectations: what they may say, and the line and the words for everything else. */
import test from 'ava';
import { readTestFile } from '../../../../agent/explain/test-file.ts';

const GOOD = `# comment
tests:
  - allow shop/web -> shop/db tcp/5432
  - deny   203.0.113.9  ->  fd00::1   tcp/22
  - expect: deny
    from: shop/web
    to: host
    port: 47
    by: end of tier default
  - deny a/b -> c/d icmp by np/shop/web ingress[12]
  - deny a/b -> c/d icmp by spoofed-source
  - allow a/b -> c/d icmp by pro/kns.shop
`;

test('what tests may say', (t) => {
  const { expectations, problems } = readTestFile('t.yaml', GOOD.replace('fd00::1', '203.0.113.1'));
  t.deepEqual(problems, []);
  t.deepEqual(
    expectations.map(({ line, verdict, text, by }) => [line, verdict, text, by?.decider]),
    [
      [3, 'allow', 'allow shop/web -> shop/db tcp/5432', undefined],
      [4, 'deny', 'deny 203.0.113.9 -> 203.0.113.1 tcp/22', undefined],
      [
        5,
        'deny',
        'deny shop/web -> host 47 by end of tier default',
        { kind: 'end-of-tier', tier: 'default' },
      ],
      [
        10,
        'deny',
        'deny a/b -> c/d icmp by np/shop/web ingress[12]',
        { kind: 'rule', policy: 'np/shop/web', rule: { direction: 'ingress', index: 12 } },
      ],
      [
        11,
        'deny',
        'deny a/b -> c/d icmp by spoofed-source',
        { kind: 'reason', reason: 'spoofed-source' },
      ],
      [
        12,
        'allow',
        'allow a/b -> c/d icmp by pro/kns.shop',
        { kind: 'rule', policy: 'pro/kns.shop', rule: undefined },
      ],
    ],
  );
});

const tests = (...lines: readonly string[]): string => `tests:\n${lines.join('\n')}\n`;

const WRONG = [
  { name: 'nothing', in: '', says: /^t\.yaml:1: expected a mapping with a list of tests/ },
  {
    name: 'a list at the top',
    in: '- allow a/b -> c/d icmp',
    says: /^t\.yaml:1: expected a mapping/,
  },
  { name: 'no tests', in: 'tests: []', says: /^t\.yaml:1: expected a mapping/ },
  { name: 'tests that are no list', in: '\ntests: allow', says: /^t\.yaml:2: expected a mapping/ },
  {
    name: 'another key',
    in: 'test: []',
    says: /^t\.yaml:1: unknown key "test"; did you mean "tests"/,
  },
  { name: 'YAML', in: 'tests: [', says: /^t\.yaml:\d: / },
  {
    name: 'a repeated key',
    in: 'tests: [a]\ntests: [b]',
    says: /^t\.yaml:2: the key "tests" is given twice/,
  },
  { name: 'a second document', in: 'tests: [a]\n---\n{}', says: /^t\.yaml:\d: a second document/ },
  {
    name: 'no arrow',
    in: tests('  - allow a/b c/d tcp/80'),
    says: /^t\.yaml:2: "allow a\/b c\/d tcp\/80" is not "allow\|deny SRC -> DST PROTO\/PORT/,
  },
  {
    name: 'a misspelt verdict',
    in: tests('  # x', '  - alow a/b -> c/d tcp/80'),
    says: /^t\.yaml:3: expected allow or deny, found "alow"; did you mean "allow"/,
  },
  {
    name: 'a misspelt protocol',
    in: tests('  - allow a/b -> c/d tpc/80'),
    says: /^t\.yaml:2: "tpc\/80" is no PROTO\/PORT: unknown protocol; did you mean "tcp"/,
  },
  {
    name: 'a misspelt key',
    in: tests('  - expect: deny', '    form: a/b'),
    says: /^t\.yaml:3: unknown key "form"; did you mean "from"/,
  },
  {
    name: 'a missing key',
    in: tests('  - { expect: deny, from: a/b, port: tcp/80 }'),
    says: /^t\.yaml:2: to missing; needed: expect, from, to, port$/,
  },
  {
    name: 'a number for a name',
    in: tests('  - expect: deny', '    from: 7'),
    says: /^t\.yaml:3: from: expected text, found 7$/,
  },
  {
    name: 'a decider of no form',
    in: tests('  - { expect: deny, from: a/b, to: c/d, port: tcp/80,', '      by: somebody }'),
    says: /^t\.yaml:3: by: "somebody" is not KIND\/NAMESPACE\/NAME/,
  },
  {
    name: 'a decider of an unknown kind',
    in: tests('  - deny a/b -> c/d icmp by gpn/x'),
    says: /^t\.yaml:2: by: unknown kind "gpn"; known: np, gnp, .*; did you mean/,
  },
  {
    name: 'a misspelt reason',
    in: tests('  - deny a/b -> c/d icmp by spoofed-sorce'),
    says: /did you mean "spoofed-source"/,
  },
  { name: 'a number', in: tests('  - 7'), says: /^t\.yaml:2: expected "allow\|deny SRC/ },
];

for (const row of WRONG) {
  test(`malformed: ${row.name}`, (t) => {
    const { problems } = readTestFile('t.yaml', row.in);
    t.regex(problems[0] ?? '', row.says);
  });
}

test('everything that is malformed is listed', (t) => {
  const { problems, expectations } = readTestFile(
    't.yaml',
    tests('  - a', '  - allow a/b -> c/d icmp', '  - b'),
  );
  t.deepEqual(
    problems.map((line) => line.slice(0, 9)),
    ['t.yaml:2:', 't.yaml:4:'],
  );
  t.is(expectations.length, 1);
});
