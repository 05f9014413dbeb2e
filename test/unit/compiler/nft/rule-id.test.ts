import test from 'ava';
import { MAX_PREFIX_BYTES, parseRuleId, ruleId } from '../../../../compiler/nft/rule-id.ts';
import type { RuleMeaning } from '../../../../compiler/nft/rule-id.ts';

function rule(policy: string, index = 0): RuleMeaning {
  const cause = { kind: 'rule', policy, index } as const;
  return { verdict: 'deny', direction: 'ingress', cause, counter: 'c' };
}

const END: RuleMeaning = {
  verdict: 'deny',
  direction: 'egress',
  cause: { kind: 'implicit', reason: 'end-of-tier', tier: 'default', selectedBy: ['np/a/b'] },
  counter: 'c',
};

const LOG: RuleMeaning = { ...rule('gnp/x', 7), verdict: 'log', direction: 'egress' };
const LOOP: RuleMeaning = {
  verdict: 'deny',
  direction: 'forward',
  cause: { kind: 'implicit', reason: 'service-loop', tier: undefined, selectedBy: [] },
  counter: 'c',
};

const ROWS: readonly { name: string; in: RuleMeaning; out: RegExp }[] = [
  { name: 'a policy rule', in: rule('np/shop/web', 3), out: /^Di\/np\/shop\/web\/3#[0-9a-f]{10}$/ },
  { name: 'the end of a tier', in: END, out: /^De\/end-of-tier\/default#[0-9a-f]{10}$/ },
  { name: 'a log rule', in: LOG, out: /^Le\/gnp\/x\/7#/ },
  { name: 'neither direction', in: LOOP, out: /^Df\/service-loop#/ },
  { name: 'letters that nft would quote', in: rule('gnp/a"b c'), out: /^Di\/gnp\/a_b_c\/0#/ },
  {
    name: 'a long name is cut',
    in: rule(`np/${'n'.repeat(63)}/x`),
    out: /^Di\/np\/n{46}#[0-9a-f]{10}$/,
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const id = ruleId(row.in, 'says');
    t.regex(id, row.out);
    t.true(id.length <= MAX_PREFIX_BYTES);
    t.like(parseRuleId(id), { verdict: row.in.verdict, direction: row.in.direction });
  });
}

const OTHERS: readonly { name: string; in: RuleMeaning; says: string }[] = [
  { name: 'another text', in: rule('np/a/b'), says: 'deny tcp' },
  { name: 'another index', in: rule('np/a/b', 1), says: 'deny all' },
  { name: 'another policy', in: rule('np/a/c'), says: 'deny all' },
  { name: 'names that are cut alike', in: rule('np/a_b'), says: 'deny all' },
  { name: 'another verdict', in: { ...rule('np/a/b'), verdict: 'allow' }, says: 'deny all' },
];

for (const row of OTHERS) {
  test(`another id: ${row.name}`, (t) => {
    t.not(ruleId(row.in, row.says), ruleId(rule('np/a/b'), 'deny all'));
    t.is(ruleId(row.in, row.says), ruleId({ ...row.in }, row.says));
  });
}

test('an id with another set of selecting policies is another id', (t) => {
  const cause = { ...END.cause, selectedBy: ['np/a/c'] } as RuleMeaning['cause'];
  t.not(ruleId(END, ''), ruleId({ ...END, cause }, ''));
});

const FOREIGN = [
  '',
  'x',
  'calico-packet: ',
  'Xi/np/a/b/0#0123456789',
  'Di/np/a#012345678',
  'Di/a b#0123456789',
];

for (const text of FOREIGN) {
  test(`none of ours: ${JSON.stringify(text)}`, (t) => {
    t.is(parseRuleId(text), undefined);
  });
}
