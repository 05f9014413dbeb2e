import test from 'ava';
import * as fc from 'fast-check';
import { fitComment } from '../../../../compiler/nft/comment.ts';
import { chainKey, counterKey, elementKey, ruleKey, setKey } from '../../../../compiler/nft/key.ts';
import type { NftChain, NftElement, NftRule, NftSet } from '../../../../compiler/nft/program.ts';
import { arbitraryRule } from '../../../support/arbitrary-nft.ts';

const SET: NftSet = {
  name: 's',
  key: ['ipv4_addr'],
  interval: false,
  verdictMap: false,
  constant: false,
  comment: undefined,
  origin: 'a',
};

function content({ exprs, comment }: NftRule): string {
  const ordered = exprs.map((expr) =>
    expr.kind === 'fib' ? { ...expr, flags: expr.flags.toSorted() } : expr,
  );
  return JSON.stringify([ordered, comment], (_, value: unknown) =>
    value instanceof Uint8Array ? [...value] : value,
  );
}

test('rules have one key exactly when they are the same but for their origin', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(arbitraryRule, arbitraryRule, (a, b) => {
        const equal = content(a) === content(b);
        return (ruleKey(a) === ruleKey(b)) === equal && ruleKey({ ...a }) === ruleKey(a);
      }),
    ),
  );
});

const DIFFERENT_SETS: readonly { name: string; in: Partial<NftSet> }[] = [
  { name: 'name', in: { name: 't' } },
  { name: 'key', in: { key: ['ipv4_addr', 'inet_proto'] } },
  { name: 'foreign key', in: { key: [] } },
  { name: 'interval', in: { interval: true } },
  { name: 'map', in: { verdictMap: true } },
  { name: 'constant', in: { constant: true } },
  { name: 'comment', in: { comment: 'x' } },
];

for (const { name, in: change } of DIFFERENT_SETS) {
  test(`another ${name} makes another set key`, (t) => {
    t.not(setKey({ ...SET, ...change }), setKey(SET));
  });
}

test('the origin is no part of a key', (t) => {
  t.is(setKey({ ...SET, origin: 'b' }), setKey(SET));
  t.is(
    counterKey({ name: 'c', comment: 'x', origin: 'a' }),
    counterKey({ name: 'c', comment: 'x', origin: 'b' }),
  );
});

const ELEMENTS: readonly { name: string; set: Partial<NftSet>; in: NftElement; out: string }[] = [
  {
    name: 'number and bigint are one',
    set: {},
    in: { key: [1], keyEnd: undefined, verdict: undefined },
    out: '1',
  },
  {
    name: 'a single value of an interval set is a range',
    set: { interval: true },
    in: { key: [80], keyEnd: undefined, verdict: undefined },
    out: '80-80',
  },
  {
    name: 'tuple of ranges',
    set: { interval: true, key: ['inet_proto', 'inet_service'] },
    in: { key: [6, 80], keyEnd: [6, 90], verdict: undefined },
    out: '6 . 80-6 . 90',
  },
  {
    name: 'a map element has its verdict',
    set: { verdictMap: true, key: ['ifname'] },
    in: { key: ['cali1'], keyEnd: undefined, verdict: { kind: 'jump', chain: 'c' } },
    out: 'cali1:jump c',
  },
];

for (const { name, set, in: element, out } of ELEMENTS) {
  test(`element key: ${name}`, (t) => t.is(elementKey({ ...SET, ...set }, element), out));
}

test('a chain of foreign form equals none of ours', (t) => {
  const ours: NftChain = { name: 'c', base: { hook: 'input', priority: 0 }, rules: [] };
  const foreign: NftChain = { ...ours, base: { hook: 'input', priority: Number.NaN } };
  t.not(chainKey(foreign), chainKey(ours));
  const accept = { kind: 'verdict', verdict: { kind: 'accept' } } as const;
  const rule: NftRule = { exprs: [accept], comment: undefined, origin: '' };
  const odd: NftRule = { ...rule, exprs: [{ kind: 'foreign', name: 'quota' }, accept] };
  t.not(chainKey({ ...ours, rules: [odd] }), chainKey({ ...ours, rules: [rule] }));
});

const COMMENTS = [
  { name: 'short', in: 'np/shop/web', out: 'np/shop/web' },
  { name: '127 bytes', in: 'a'.repeat(127), out: 'a'.repeat(127) },
  { name: '128 bytes', in: 'a'.repeat(128), out: 'a'.repeat(127) },
  { name: 'two-byte character across the limit', in: `${'a'.repeat(126)}é`, out: 'a'.repeat(126) },
  { name: 'four-byte characters', in: '🙂'.repeat(40), out: '🙂'.repeat(31) },
];

for (const { name, in: text, out } of COMMENTS) {
  test(`comments are cut at a character, and only once: ${name}`, (t) => {
    t.is(fitComment(text), out);
    t.is(fitComment(fitComment(text)), out);
  });
}
