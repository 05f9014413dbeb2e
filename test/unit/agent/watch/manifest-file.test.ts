import test from 'ava';
import { MAX_FILE_BYTES, readManifest } from '../../../../agent/watch/manifest-file.ts';
import type { ManifestIssue } from '../../../../agent/watch/manifest-file.ts';

/** `error 3:5 message`, or without the place. */
function show({ severity, line, column, message }: ManifestIssue): string {
  return line === undefined ? `${severity} ${message}` : `${severity} ${line}:${column} ${message}`;
}

function read(content: string | Uint8Array): {
  isReadable: boolean;
  keys: string[];
  issues: string[];
} {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const { isReadable, objects, issues } = readManifest(bytes);
  return { isReadable, keys: objects.map(({ key }) => key), issues: issues.map(show) };
}

function object(kind: string, name: string): string {
  return `apiVersion: projectcalico.org/v3\nkind: ${kind}\nmetadata:\n  name: ${name}\n`;
}

const TIER_A = 'projectcalico.org/Tier//a';
const TIER_B = 'projectcalico.org/Tier//b';

const JSON_TIER = `{
\t"apiVersion": "projectcalico.org/v3",
\t"kind": "Tier",
\t"metadata": {"name": "a"}
}
`;

const GOOD = [
  { name: 'one document', in: object('Tier', 'a'), keys: [TIER_A] },
  { name: 'a byte order mark', in: `\ufeff${object('Tier', 'a')}`, keys: [TIER_A] },
  { name: 'CRLF lines', in: object('Tier', 'a').replaceAll('\n', '\r\n'), keys: [TIER_A] },
  { name: 'JSON indented by tabs', in: JSON_TIER, keys: [TIER_A] },
  {
    name: 'several documents, some of them empty',
    in: `# nothing\n---\n---\n${object('Tier', 'a')}---\n# nothing\n---\n${object('Tier', 'b')}...\n`,
    keys: [TIER_A, TIER_B],
  },
  { name: 'an empty file', in: '', keys: [] },
  { name: 'only a comment', in: '# later\n', keys: [] },
  {
    name: 'a List',
    in: `kind: List\napiVersion: v1\nitems:\n- {kind: Tier, apiVersion: projectcalico.org/v3, metadata: {name: a}}\n- {kind: Tier, apiVersion: projectcalico.org/v3, metadata: {name: b}}\n`,
    keys: [TIER_A, TIER_B],
  },
  {
    name: 'anchors, aliases and merge keys',
    in: `x: &x {name: a}\n<<: &y {kind: Tier}\napiVersion: projectcalico.org/v3\nmetadata: *x\n`,
    keys: [TIER_A],
  },
  {
    name: '300 uses of one anchor',
    in: `x: &x [1]\ny: [${'*x, '.repeat(300)}]\n${object('Tier', 'a')}`,
    keys: [TIER_A],
  },
];

for (const row of GOOD) {
  test(row.name, (t) => {
    t.deepEqual(read(row.in), { isReadable: true, keys: row.keys, issues: [] });
  });
}

const BOMB = 'bcdefghi'
  .split('')
  .reduce(
    (text, letter, index) =>
      `${text}${letter}: &${letter} [${`*${'abcdefghi'.charAt(index)}, `.repeat(10)}]\n`,
    'a: &a [1]\n',
  );

/** Each anchor wraps the one before; no anchor is used twice. */
const CHAIN = Array.from({ length: 5000 }, (_, n) => `k${n}: &k${n} [${n ? `*k${n - 1}` : ''}]`);

const UNREADABLE = [
  {
    name: 'a syntax error',
    in: `${object('Tier', 'a')}---\nkind: Tier\nmetadata: {name: b\n`,
    issue: /^error 8:1 Flow map in block collection must be sufficiently indented/,
  },
  { name: 'a tab as indentation', in: 'a:\n\tb: 1\n', issue: /^error 2:1 Tabs are not allowed/ },
  {
    name: 'a repeated key',
    in: 'kind: Tier\nmetadata:\n  name: a\n  name: b\n',
    issue: /^error 4:3 the key "name" is given twice in one mapping$/,
  },
  {
    name: 'a repeated key in JSON',
    in: '{"a": 1,\n "a": 2}',
    issue: /^error 2:2 the key "a" is given twice/,
  },
  {
    name: 'a key that is no text',
    in: '? [a]\n: b\n',
    issue: /^error 1:3 .*keys must be strings$/,
  },
  { name: 'an unknown alias', in: 'a: 1\nb: *no\n', issue: /^error 2:4 alias \*no has no anchor/ },
  { name: 'an alias bomb', in: BOMB, issue: /^error the file cannot be parsed: .*Excessive alias/ },
  {
    name: 'a chain of anchors',
    in: CHAIN.join('\n'),
    issue: /^error .*nested more than 100 levels/,
  },
  {
    name: 'deep lists',
    in: `a: ${'['.repeat(101)}${']'.repeat(101)}`,
    issue: /^error 1:103 nested more than 100 levels deep$/,
  },
  { name: 'very deep lists', in: '['.repeat(200_000), issue: /^error / },
  {
    name: 'binary',
    in: 'kind: \0Tier\n',
    issue: /^error the file is binary: it contains a NUL byte$/,
  },
  { name: 'UTF-16', in: Buffer.from('kind: Tier', 'utf16le'), issue: /^error the file is binary/ },
  {
    name: 'Latin-1',
    in: Buffer.from('a: \xe9', 'latin1'),
    issue: /^error the file is not valid UTF-8$/,
  },
  {
    name: 'too large',
    in: new Uint8Array(MAX_FILE_BYTES + 1).fill(0x20),
    issue: /^error the file is larger than 8 MiB$/,
  },
];

for (const row of UNREADABLE) {
  test(`refused: ${row.name}`, (t) => {
    const { isReadable, keys, issues } = read(row.in);
    t.deepEqual({ isReadable, keys }, { isReadable: false, keys: [] });
    t.regex(issues[0] ?? '', row.issue);
  });
}

test('as large as allowed', (t) => {
  const text = object('Tier', 'a').padEnd(MAX_FILE_BYTES, ' ');
  t.deepEqual(read(text), { isReadable: true, keys: [TIER_A], issues: [] });
});

const UNUSABLE = [
  { name: 'a list of text', in: '- a\n- b\n', issue: /^error 1:1 / },
  { name: 'no kind', in: 'apiVersion: v1\nmetadata: {name: a}\n', issue: /^error 1:1 .*kind/ },
  {
    name: 'a number as name',
    in: 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: 7\n',
    issue: /^error 4:3 /,
  },
  {
    name: 'no name in a List',
    in: 'kind: List\nitems:\n- kind: Pod\n  apiVersion: v1\n  metadata:\n    labels: {}\n',
    issue: /^error 5:3 .*name/,
  },
];

for (const row of UNUSABLE) {
  test(`reported, and the rest is used: ${row.name}`, (t) => {
    const { isReadable, keys, issues } = read(`${row.in}---\n${object('Tier', 'a')}`);
    t.deepEqual({ isReadable, keys }, { isReadable: true, keys: [TIER_A] });
    t.is(issues.length, 1);
    t.regex(issues[0] ?? '', row.issue);
  });
}

test('an unknown tag is a warning', (t) => {
  const { keys, issues } = read(`x: !!binary aGk=\n${object('Tier', 'a')}`);
  t.deepEqual(keys, [TIER_A]);
  t.regex(issues[0] ?? '', /^warning 1:4 Unresolved tag/);
});

test('a YAML 1.1 directive does not change the meaning of words', (t) => {
  const text = `%YAML 1.1\n---\n${object('Tier', 'a')}spec: {a: yes, b: 2001-01-01}\n`;
  const [first] = readManifest(Buffer.from(text)).objects;
  t.like(first?.object, { spec: { a: 'yes', b: '2001-01-01' } });
});

test('a flood of findings is counted, not listed', (t) => {
  const { issues } = read('kind: Pod\n---\n'.repeat(500));
  t.is(issues.length, 21);
  t.is(issues.at(-1), 'error 480 more findings in this file');
});

test('lines', (t) => {
  const text = `${object('Tier', 'a')}---
kind: List
items:
- kind: Tier
  apiVersion: projectcalico.org/v3
  metadata: {name: b}
  spec:
    order:
      1
    words:
    - first
    -
      deep: yes
`;
  const [first, second] = readManifest(Buffer.from(text)).objects;
  const rows: [line: number | undefined, expected: number][] = [
    [first?.lineOf([]), 1],
    [first?.lineOf(['metadata', 'name']), 4],
    [first?.lineOf(['metadata', 'labels', 'x']), 3],
    [first?.lineOf(['nothing', 0]), 1],
    [second?.lineOf([]), 8],
    [second?.lineOf(['spec']), 11],
    [second?.lineOf(['spec', 'order']), 12],
    [second?.lineOf(['spec', 'words', 0]), 15],
    [second?.lineOf(['spec', 'words', 1, 'deep']), 17],
    [second?.lineOf(['spec', 'words', 7]), 14],
  ];
  for (const [line, expected] of rows) t.is(line, expected);
});
