/**
 * IR tests to nft expressions. A conjunction of tests becomes one or more expression lists, because an address set is two kernel sets:
 * single addresses in a hash, prefixes in an interval set. Refuses to know: verdicts, chains, members.
 */
import { FIELDS } from '../model/fields.ts';
import { ADDRESS_BITS, maskCidr } from '../model/ip.ts';
import type { Cidr, Family } from '../model/ip.ts';
import type { FieldName } from '../model/fields.ts';
import type { Range, Test } from '../ir/ir.ts';
import {
  fieldKeyTypes,
  icmpMatch,
  icmpTypeRange,
  cidrMatch,
  l4proto,
  lookupFields,
  metaNfproto,
  rangeMatch,
} from './exprs.ts';
import { identityHash, objectName } from './names.ts';
import type { Expr, KeyPart, NftElement, NftSet } from './program.ts';
import { withoutRepeatedLoads } from './repeated-loads.ts';

/** The kernel sets that hold one IR set's members of one family. */
export interface SetParts {
  readonly exact: string;
  /** `undefined` while the set has no prefix of that family. */
  readonly nets: string | undefined;
}

/** A set whose elements are part of its identity. */
export interface ConstantSet {
  readonly set: NftSet;
  readonly elements: readonly NftElement[];
}

export interface LoweredTests {
  /** Each list matches on its own; no packet matches two when `disjoint` was asked for. */
  readonly alternatives: readonly (readonly Expr[])[];
  readonly constants: readonly ConstantSet[];
}

export type PartsOf = (set: string, family: Family) => SetParts;

/** `disjoint` keeps alternatives from matching the same packet (for rules that do not end the evaluation). */
export function lowerTests(
  tests: readonly Test[],
  family: Family,
  partsOf: PartsOf,
  disjoint: boolean,
): LoweredTests {
  const constants: ConstantSet[] = [];
  const needsFamily = tests.some((test) => fieldsOf(test).some(isAddress));
  let alternatives: (readonly Expr[])[] = [needsFamily ? metaNfproto(family) : []];
  for (const test of inLoadOrder(tests)) {
    const choices =
      test.kind === 'ranges'
        ? [lowerRanges(test, family, constants)]
        : lowerMember(test, family, partsOf(test.set, family), disjoint);
    alternatives = alternatives.flatMap((exprs) => choices.map((choice) => [...exprs, ...choice]));
  }
  return { alternatives: alternatives.map(withoutRepeatedLoads), constants };
}

/** Protocol before what depends on it, so that nft can name the fields. */
function inLoadOrder(tests: readonly Test[]): Test[] {
  return [...tests].sort((a, b) => loadRank(a) - loadRank(b));
}

function loadRank(test: Test): number {
  return fieldsOf(test)[0] === 'protocol' ? 0 : 1;
}

function fieldsOf(test: Test): readonly FieldName[] {
  return test.kind === 'ranges' ? [test.field] : test.fields;
}

function isAddress(field: FieldName): boolean {
  return FIELDS[field].kind === 'address';
}

function lowerMember(
  test: Test & { kind: 'member' },
  family: Family,
  parts: SetParts,
  disjoint: boolean,
): Expr[][] {
  const lookup = (set: string, negate: boolean): Expr[] =>
    lookupFields(test.fields, family, set, negate);
  if (parts.nets === undefined) return [lookup(parts.exact, test.negate)];
  if (test.negate) return [[...lookup(parts.exact, true), ...lookup(parts.nets, true)]];
  const notExact = disjoint ? lookup(parts.exact, true) : [];
  return [lookup(parts.exact, false), [...notExact, ...lookup(parts.nets, false)]];
}

function lowerRanges(
  test: Test & { kind: 'ranges' },
  family: Family,
  constants: ConstantSet[],
): readonly Expr[] {
  const [range, ...more] = test.ranges;
  if (range === undefined) throw new RangeError(`no range for ${test.field}`);
  const inline = more.length === 0 ? lowerRange(test.field, range, family, test.negate) : undefined;
  if (inline !== undefined) return inline;
  const constant = constantSet(test.field, test.ranges, family);
  constants.push(constant);
  return lookupFields([test.field], family, constant.set.name, test.negate);
}

/** `undefined` where one range has no readable form without a set. */
function lowerRange(
  field: FieldName,
  { first, last }: Range,
  family: Family,
  negate: boolean,
): readonly Expr[] | undefined {
  switch (FIELDS[field].kind) {
    case 'address': {
      const cidr = rangeToCidr(family, first, last);
      if (cidr !== undefined) return cidrMatch(field as 'saddr' | 'daddr', cidr, negate);
      return rangeMatch(field as 'saddr', family, first, last, negate);
    }
    case 'protocol':
      if (first === last) return l4proto(Number(first), negate);
      return rangeMatch('protocol', family, first, last, negate);
    case 'port':
      return rangeMatch(field as 'sport', family, first, last, negate);
    case 'icmp': {
      const type = Number(first >> 8n);
      if (last - first === 255n) return icmpTypeRange(type, type, negate);
      return negate ? undefined : icmpMatch(type, Number(first & 255n));
    }
  }
}

function rangeToCidr(family: Family, first: bigint, last: bigint): Cidr | undefined {
  const size = last - first + 1n;
  if ((size & (size - 1n)) !== 0n) return undefined;
  const bits = size.toString(2).length - 1;
  const cidr = maskCidr({ family, value: first }, ADDRESS_BITS[family] - bits);
  return cidr.value === first ? cidr : undefined;
}

const SET_LABELS: Readonly<Record<(typeof FIELDS)[FieldName]['kind'], string>> = {
  address: 'nets',
  protocol: 'protocols',
  port: 'ports',
  icmp: 'icmp',
};

/** Longest list of values spelled out in a set's name. */
const MAX_SPELLED = 40;

function constantSet(field: FieldName, ranges: readonly Range[], family: Family): ConstantSet {
  const { kind } = FIELDS[field];
  const label =
    kind === 'port' || kind === 'protocol' ? SET_LABELS[kind] : `${SET_LABELS[kind]}${family}`;
  const spelled = ranges
    .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
    .join('_');
  const isSpelled = spelled.length <= MAX_SPELLED && kind !== 'address';
  const name = objectName(label, isSpelled ? spelled : identityHash([label, spelled]));
  const interval = kind !== 'icmp';
  const set: NftSet = {
    name,
    key: fieldKeyTypes([field], family),
    interval,
    verdictMap: false,
    constant: false,
    comment: undefined,
    origin: `constant set ${name}`,
  };
  return { set, elements: ranges.map((range) => constantElement(range, interval)) };
}

function constantElement({ first, last }: Range, interval: boolean): NftElement {
  const key: KeyPart[] = interval ? [first] : [first >> 8n, first & 255n];
  return { key, keyEnd: interval ? [last] : undefined, verdict: undefined };
}
