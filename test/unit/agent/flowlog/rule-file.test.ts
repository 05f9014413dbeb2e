import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readRuleFile, writeRuleFile } from '../../../../agent/flowlog/rule-file.ts';
import { RuleBook } from '../../../../agent/flowlog/rule-book.ts';
import type { SavedRule } from '../../../../agent/flowlog/rule-book.ts';
import { ruleId } from '../../../../compiler/nft/rule-id.ts';
import type { RuleMeaning } from '../../../../compiler/nft/rule-id.ts';

const RULE: RuleMeaning = {
  direction: 'ingress',
  cause: { kind: 'rule', policy: 'np/shop/db', index: 1 },
  verdict: 'deny',
  counter: 'ingress/np/shop/db/1',
};
const END: RuleMeaning = {
  direction: 'egress',
  cause: { kind: 'implicit', reason: 'end-of-tier', tier: 'default', selectedBy: ['gnp/a'] },
  verdict: 'deny',
  counter: 'egress/end-of-tier/default/0',
};
const BUILT_IN: RuleMeaning = {
  ...END,
  cause: { kind: 'implicit', reason: 'anti-spoofing', tier: undefined, selectedBy: [] },
};
const saved = (meaning: RuleMeaning): SavedRule => ({ id: ruleId(meaning, ''), meaning });

function path(remove: (undo: () => void) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'picket-rules-'));
  remove(() => rmSync(folder, { recursive: true }));
  return join(folder, 'rules.json');
}

test('what is written is read back', async (t) => {
  const file = path((undo) => t.teardown(undo));
  const rules = [RULE, END, BUILT_IN].map(saved);
  await writeRuleFile(file, rules);
  t.deepEqual(readRuleFile(file), rules);
  await writeRuleFile(file, []);
  t.deepEqual(readRuleFile(file), []);
});

test('a rule that a file remembers and that is in force is one rule', async (t) => {
  const file = path((undo) => t.teardown(undo));
  const rules = [RULE, END, BUILT_IN].map(saved);
  await writeRuleFile(file, rules);
  const book = new RuleBook({ retentionMs: 1_000, maxRetired: 10 });
  book.load(readRuleFile(file), 0);
  for (const { id, meaning } of rules) book.put(id, meaning);
  t.deepEqual(
    rules.map(({ id }) => book.find(id)),
    [RULE, END, BUILT_IN],
  );
});

const { id } = saved(RULE);
const wrong = (over: object): string =>
  JSON.stringify({ version: 1, rules: [{ id, meaning: { ...RULE, ...over } }] });

const BROKEN: readonly { name: string; text: string }[] = [
  { name: 'no JSON', text: '{' },
  { name: 'null', text: 'null' },
  { name: 'another version', text: JSON.stringify({ version: 2, rules: [saved(RULE)] }) },
  { name: 'no list', text: JSON.stringify({ version: 1, rules: {} }) },
  { name: 'rules that are none', text: JSON.stringify({ version: 1, rules: [null, 1, {}, []] }) },
  {
    name: 'an id that is none',
    text: JSON.stringify({ version: 1, rules: [{ id: 'x', meaning: RULE }] }),
  },
  { name: 'a verdict that is not the id’s', text: wrong({ verdict: 'allow' }) },
  { name: 'a direction that is not the id’s', text: wrong({ direction: 'egress' }) },
  { name: 'no cause', text: wrong({ cause: undefined }) },
  { name: 'an index that is none', text: wrong({ cause: { ...RULE.cause, index: 'x' } }) },
  { name: 'a reason that is none', text: wrong({ cause: { kind: 'implicit', selectedBy: [] } }) },
  { name: 'no counter', text: wrong({ counter: 5 }) },
];

for (const { name, text } of BROKEN) {
  test(`nothing is believed of: ${name}`, (t) => {
    const file = path((undo) => t.teardown(undo));
    writeFileSync(file, text);
    t.deepEqual(readRuleFile(file), []);
  });
}

const UNTRUSTED: readonly { name: string; spoil: (file: string) => void }[] = [
  { name: 'a file that others may write', spoil: (file) => chmodSync(file, 0o666) },
  {
    name: 'a symbolic link',
    spoil: (file) => {
      renameSync(file, `${file}.real`);
      symlinkSync(`${file}.real`, file);
    },
  },
];

for (const { name, spoil } of UNTRUSTED) {
  test(`nothing is believed of ${name}`, async (t) => {
    const file = path((undo) => t.teardown(undo));
    await writeRuleFile(file, [saved(RULE)]);
    spoil(file);
    t.deepEqual(readRuleFile(file), []);
  });
}

test('a link laid where it writes is not followed', async (t) => {
  const file = path((undo) => t.teardown(undo));
  const victim = `${file}.victim`;
  writeFileSync(victim, 'untouched');
  for (const name of [file, `${file}.tmp`]) symlinkSync(victim, name);
  await writeRuleFile(file, [saved(RULE)]);
  t.is(readFileSync(victim, 'utf8'), 'untouched');
  t.deepEqual(readRuleFile(file), [saved(RULE)]);
});

test('no file is no rules', (t) => {
  t.deepEqual(readRuleFile('/nonexistent/rules.json'), []);
});
