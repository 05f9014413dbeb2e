/** Random nf_tables objects in the forms that lowering can make, for round trips. Shapes only: nothing here means a policy. */
import * as fc from 'fast-check';
import { DATA_TYPES } from '../../compiler/nft/datatypes.ts';
import type {
  DataType,
  Expr,
  KeyPart,
  NftElement,
  NftRule,
  NftSet,
  Verdict,
} from '../../compiler/nft/program.ts';

const name = fc.stringMatching(/^[a-z][a-z0-9/_.-]{0,30}$/);
const register = fc.integer({ min: 8, max: 23 });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 16 });
/** Without NUL, which ends a comment. */
const comment = fc.option(
  fc.string({ unit: 'grapheme', maxLength: 60 }).filter((text) => !text.includes('\0')),
  { nil: undefined },
);

const arbitraryVerdict: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constantFrom<Verdict>({ kind: 'accept' }, { kind: 'drop' }, { kind: 'return' }),
  fc.record({ kind: fc.constantFrom('jump', 'goto'), chain: name }),
);

/** One arbitrary per kind, so that a new kind does not compile without. */
const EXPRS: {
  readonly [K in Exclude<Expr['kind'], 'foreign'>]: fc.Arbitrary<Extract<Expr, { kind: K }>>;
} = {
  meta: fc.record({
    kind: fc.constant('meta'),
    key: fc.constantFrom('nfproto', 'l4proto', 'iif', 'iifname', 'oifname', 'mark'),
    dreg: register,
  }),
  'meta-set': fc.record({
    kind: fc.constant('meta-set'),
    key: fc.constant('mark'),
    sreg: register,
  }),
  payload: fc.record({
    kind: fc.constant('payload'),
    base: fc.constantFrom('network', 'transport'),
    offset: fc.nat(40),
    lenBytes: fc.integer({ min: 1, max: 16 }),
    dreg: register,
  }),
  ct: fc.record({
    kind: fc.constant('ct'),
    key: fc.constantFrom('state', 'status'),
    dreg: register,
  }),
  fib: fc.record({
    kind: fc.constant('fib'),
    flags: fc.uniqueArray(fc.constantFrom('saddr', 'daddr', 'iif', 'oif')),
    result: fc.constantFrom('oif', 'type', 'present'),
    dreg: register,
  }),
  bitwise: fc
    .tuple(
      register,
      register,
      fc.array(fc.tuple(fc.nat(255), fc.nat(255)), { minLength: 1, maxLength: 16 }),
    )
    .map(([sreg, dreg, pairs]) => ({
      kind: 'bitwise',
      sreg,
      dreg,
      mask: Uint8Array.from(pairs, ([mask]) => mask),
      xor: Uint8Array.from(pairs, ([, xor]) => xor),
    })),
  cmp: fc.record({
    kind: fc.constant('cmp'),
    op: fc.constantFrom('eq', 'neq', 'lt', 'lte', 'gt', 'gte'),
    sreg: register,
    data: bytes,
  }),
  range: fc.record({
    kind: fc.constant('range'),
    op: fc.constantFrom('eq', 'neq'),
    sreg: register,
    low: bytes,
    high: bytes,
  }),
  lookup: fc.record({
    kind: fc.constant('lookup'),
    sreg: register,
    set: name,
    negate: fc.boolean(),
    verdictMap: fc.boolean(),
  }),
  counter: fc.record({ kind: fc.constant('counter'), name }),
  log: fc.record({
    kind: fc.constant('log'),
    group: fc.nat(0xffff),
    prefix: fc.stringMatching(/^[ -~]{0,63}$/),
    snaplenBytes: fc.nat(0xffff),
  }),
  limit: fc.record({
    kind: fc.constant('limit'),
    perSecond: fc.integer({ min: 1, max: 1_000_000 }),
    burst: fc.integer({ min: 1, max: 1_000_000 }),
  }),
  notrack: fc.constant({ kind: 'notrack' }),
  reject: fc.record({
    kind: fc.constant('reject'),
    reject: fc.constantFrom('admin-prohibited', 'tcp-reset'),
  }),
  verdict: fc.record({ kind: fc.constant('verdict'), verdict: arbitraryVerdict }),
};

const arbitraryExpr: fc.Arbitrary<Expr> = fc.oneof(...Object.values(EXPRS));

export const arbitraryRule: fc.Arbitrary<NftRule> = fc.record({
  exprs: fc.array(arbitraryExpr, { maxLength: 12 }),
  comment,
  origin: fc.constant('test'),
});

const dataType = fc.constantFrom(...(Object.keys(DATA_TYPES) as DataType[]));

/** Any key but ranges of interface names, which nft has not. */
export const arbitrarySet: fc.Arbitrary<NftSet> = fc
  .record({
    name,
    key: fc.array(dataType, { minLength: 1, maxLength: 4 }),
    interval: fc.boolean(),
    verdictMap: fc.boolean(),
    constant: fc.boolean(),
    comment,
    origin: fc.constant('test'),
  })
  .map((set) => ({ ...set, interval: set.interval && !set.key.includes('ifname') }));

/** Elements of a set; of an interval set with one key part they are disjoint. */
export function arbitraryElements(set: NftSet): fc.Arbitrary<NftElement[]> {
  const verdict = set.verdictMap ? arbitraryVerdict : fc.constant(undefined);
  const [only] = set.key;
  if (set.interval && set.key.length === 1 && only !== undefined) {
    return fc
      .tuple(fc.uniqueArray(arbitraryNumber(only), { maxLength: 20 }), verdict)
      .map(([values, verdict]) => disjointRanges(values, verdict));
  }
  const parts = fc.tuple(...set.key.map(arbitraryPart));
  const keyEnd = set.interval ? parts : fc.constant(undefined);
  return fc.array(fc.record({ key: parts, keyEnd, verdict }), { maxLength: 20 });
}

function disjointRanges(values: readonly bigint[], verdict: Verdict | undefined): NftElement[] {
  const sorted = values.toSorted((a, b) => (a < b ? -1 : 1));
  const ranges: NftElement[] = [];
  for (let i = 0; i + 1 < sorted.length; i += 2) {
    ranges.push({ key: [sorted[i] ?? 0n], keyEnd: [sorted[i + 1] ?? 0n], verdict });
  }
  return ranges;
}

/** The ends of the value range come up often. */
function arbitraryNumber(type: DataType): fc.Arbitrary<bigint> {
  const max = (1n << BigInt(DATA_TYPES[type].lenBytes * 8)) - 1n;
  return fc.oneof(fc.constantFrom(0n, 1n, max - 1n, max), fc.bigInt(0n, max));
}

function arbitraryPart(type: DataType): fc.Arbitrary<KeyPart> {
  return type === 'ifname' ? fc.stringMatching(/^[a-z][a-z0-9.-]{0,14}$/) : arbitraryNumber(type);
}
