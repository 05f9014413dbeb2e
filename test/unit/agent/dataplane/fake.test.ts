/** The fake refuses what the kernel refuses, or tests on it would pass with transactions that nothing accepts. */
import test from 'ava';
import { FakeDataplane } from '../../../../agent/dataplane/fake.ts';
import { DISPATCH } from '../../../../compiler/nft/base.ts';
import type { NftElement, NftOp, NftSet } from '../../../../compiler/nft/program.ts';

const origin = 'test';
const RANGES: NftSet = { ...DISPATCH.sourcePrefixes4, name: 'ranges' };
const MAP: NftSet = { ...DISPATCH.fromInterface, name: 'map' };

function chain(name: string): NftOp {
  return { op: 'add-chain', chain: { name, base: undefined, rules: [] }, origin };
}

function goes(name: string, to: string): NftElement {
  return { key: [name], keyEnd: undefined, verdict: { kind: 'goto', chain: to } };
}

function range(name: string, first: bigint, last: bigint): NftElement {
  return { key: [name, first], keyEnd: [name, last], verdict: undefined };
}

function elements(
  op: 'add-elements' | 'delete-elements',
  set: NftSet,
  ...all: NftElement[]
): NftOp {
  return { op, set, elements: all, origin };
}

const lookup: NftOp = {
  op: 'add-rule',
  chain: 'b',
  rule: {
    exprs: [{ kind: 'lookup', sreg: 8, set: 'map', negate: false, verdictMap: true }],
    comment: undefined,
    origin,
  },
  origin,
};

const START: readonly NftOp[] = [
  { op: 'add-table', origin },
  { op: 'add-set', set: RANGES, origin },
  { op: 'add-set', set: MAP, origin },
  chain('a'),
  chain('b'),
  chain('c'),
  elements('add-elements', RANGES, range('x', 10n, 19n)),
  elements('add-elements', MAP, goes('x', 'a')),
  lookup,
];

const ROWS: readonly { name: string; in: readonly NftOp[]; out: string | undefined }[] = [
  { name: 'a set twice', in: [{ op: 'add-set', set: MAP, origin }], out: 'EEXIST' },
  {
    name: 'a range that overlaps another',
    in: [elements('add-elements', RANGES, range('x', 15n, 30n))],
    out: 'EEXIST',
  },
  {
    name: 'the same range, and one of another interface',
    in: [elements('add-elements', RANGES, range('x', 10n, 19n), range('y', 15n, 30n))],
    out: undefined,
  },
  {
    name: 'a range in place of another',
    in: [
      elements('delete-elements', RANGES, range('x', 10n, 19n)),
      elements('add-elements', RANGES, range('x', 15n, 30n)),
    ],
    out: undefined,
  },
  {
    name: 'another verdict for a key',
    in: [elements('add-elements', MAP, goes('x', 'b'))],
    out: 'EEXIST',
  },
  {
    name: 'a chain that an element leads to',
    in: [{ op: 'delete-chain', name: 'a', origin }],
    out: 'EBUSY',
  },
  {
    name: 'a set that a rule looks up',
    in: [{ op: 'delete-set', name: 'map', origin }],
    out: 'EBUSY',
  },
  {
    name: 'rules, then the set, then the chain',
    in: [
      { op: 'flush-chain', name: 'b', origin },
      { op: 'delete-set', name: 'map', origin },
      { op: 'delete-chain', name: 'a', origin },
    ],
    out: undefined,
  },
];

for (const row of ROWS) {
  test(row.name, async (t) => {
    const fake = new FakeDataplane();
    t.true((await fake.commit(START)).ok);
    const result = await fake.commit(row.in);
    t.is(result.ok ? undefined : result.refusals[0]?.errnoName, row.out);
  });
}
