import test from 'ava';
import { RuleBook } from '../../../../agent/flowlog/rule-book.ts';
import type { RuleMeaning } from '../../../../compiler/nft/rule-id.ts';

function meaning(policy: string): RuleMeaning {
  const cause = { kind: 'rule', policy, index: 0 } as const;
  return { verdict: 'deny', direction: 'ingress', cause, counter: `ingress/${policy}/0` };
}

const A = meaning('np/x/a');
const B = meaning('np/x/b');
const book = (): RuleBook => new RuleBook({ retentionMs: 1_000, maxRetired: 2 });

test('a rule in force is known, a retired one for the retention, then forgotten', (t) => {
  const rules = book();
  rules.put('a', A);
  t.deepEqual(rules.find('a'), A);
  rules.retire('a', 5_000);
  rules.expire(6_000);
  t.deepEqual(rules.find('a'), A);
  rules.expire(6_001);
  t.is(rules.find('a'), undefined);
});

test('the oldest of too many retired ones are forgotten', (t) => {
  const rules = book();
  for (const id of ['a', 'b', 'c']) {
    rules.put(id, A);
    rules.retire(id, 0);
  }
  t.deepEqual(
    ['a', 'b', 'c'].map((id) => rules.find(id) !== undefined),
    [false, true, true],
  );
});

test('one id with two meanings is nobody’s', (t) => {
  const rules = book();
  rules.put('a', A);
  rules.put('a', B);
  t.is(rules.find('a'), undefined);
  t.deepEqual(rules.save(), []);
});

test('the same rule comes back under its id', (t) => {
  const rules = book();
  rules.put('a', A);
  rules.retire('a', 0);
  rules.put('a', { ...A });
  rules.expire(99_999);
  t.deepEqual(rules.find('a'), A);
});

test('after a restart ids from before are known, and expire', (t) => {
  const before = book();
  before.put('a', A);
  before.put('b', B);
  before.retire('b', 0);
  const after = book();
  after.load(before.save(), 10_000);
  t.deepEqual([after.find('a'), after.find('b')], [A, B]);
  after.put('a', A);
  after.expire(20_000);
  t.deepEqual([after.find('a'), after.find('b')], [A, undefined]);
});

test('what was saved never overrules what is in force', (t) => {
  const rules = book();
  rules.put('a', A);
  rules.load([{ id: 'a', meaning: B }], 0);
  t.is(rules.find('a'), undefined);
});
