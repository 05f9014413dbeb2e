/**
 * Resolved policies to IR, one family at a time. Comes in: rules with set ids. Goes out: conjunctions of tests; a list that mixes port
 * numbers and names becomes one rule per alternative. Refuses to know: kernel objects, and what sets contain.
 */
import type { ResolvedEntity, ResolvedPolicy, ResolvedRule } from '../calc/resolved.ts';
import { lastAddress } from '../model/ip.ts';
import type { Cidr, Family } from '../model/ip.ts';
import { ICMP_PROTOCOL } from '../model/packet.ts';
import type { FieldName } from '../model/fields.ts';
import type {
  Direction,
  EntityMatch,
  HeaderCondition,
  IcmpMatch,
  PortMatch,
  RuleMatch,
} from '../model/policy.ts';
import type { IrPolicy, IrRule, Range, Test } from './ir.ts';
import { normalizeRanges, single } from './ranges.ts';

/** Protocols whose ports can be named (specification section 4.2). */
const NAMED_PORT_PROTOCOLS: readonly Range[] = [6, 17, 132].flatMap(single);

/** Each inner list is a conjunction; the outer list is their disjunction. */
type Alternatives = readonly (readonly Test[])[];

interface Side {
  readonly address: FieldName;
  readonly port: FieldName;
  readonly match: EntityMatch;
  readonly sets: ResolvedEntity;
}

export function lowerPolicy(
  policy: ResolvedPolicy,
  direction: Direction,
  family: Family,
): IrPolicy {
  const rules = policy[direction].flatMap((rule) => lowerRule(rule, family));
  return { id: policy.id, direction, family, rules };
}

function lowerRule(resolved: ResolvedRule, family: Family): IrRule[] {
  const { rule } = resolved;
  const toRule = (tests: readonly Test[]): IrRule => ({
    tests,
    verdict: rule.action,
    index: rule.index,
  });
  if (rule.match === 'nothing') return [];
  if (rule.match === 'everything') return [toRule([])];
  if (!appliesToFamily(rule.match, family)) return [];
  const sides: Side[] = [
    {
      address: 'saddr',
      port: 'sport',
      match: rule.match.source,
      sets: resolved.source,
    },
    {
      address: 'daddr',
      port: 'dport',
      match: rule.match.destination,
      sets: resolved.destination,
    },
  ];
  const fixed = [
    ...headerTests(rule.match, family),
    ...sides.flatMap((side) => addressTests(side, family)),
    ...sides.flatMap((side) => notPortTests(side)),
  ];
  const choices = sides.flatMap((side) => [
    ...portChoices(side, rule.action === 'log'),
    ...notNamedPortChoices(side, rule.match as RuleMatch),
  ]);
  return combine(fixed, choices).map(toRule);
}

/** Specification section 4.1. */
function appliesToFamily(match: RuleMatch, family: Family): boolean {
  if ((match.ipVersion ?? family) !== family) return false;
  if ((match.protocol?.family ?? family) !== family) return false;
  const { source, destination } = match;
  for (const nets of [source.nets, source.notNets, destination.nets, destination.notNets]) {
    if (nets.length > 0 && !nets.some((net) => net.family === family)) return false;
  }
  return ![...source.notNets, ...destination.notNets].some(
    (net) => net.family === family && net.prefixLen === 0,
  );
}

type HeaderTests = {
  readonly [C in HeaderCondition]: (
    wanted: NonNullable<RuleMatch[C]>,
    match: RuleMatch,
    family: Family,
  ) => readonly Test[];
};

/** In the order of the tests. A condition without a row does not compile: left out, it would widen the rule. */
const HEADER_TESTS: HeaderTests = {
  // Of the whole rule: appliesToFamily.
  ipVersion: () => [],
  protocol: ({ number }) => [rangesTest('protocol', false, single(number))],
  notProtocol: ({ number }) => [rangesTest('protocol', true, single(number))],
  icmp: (icmp, match, family) => [
    ...impliedProtocol(match, family),
    rangesTest('icmp', false, [icmpRange(icmp)]),
  ],
  notIcmp: (icmp, match, family) => [
    ...(match.icmp === undefined ? impliedProtocol(match, family) : []),
    rangesTest('icmp', true, [icmpRange(icmp)]),
  ],
};

const HEADER_CONDITIONS = Object.keys(HEADER_TESTS) as readonly HeaderCondition[];

function headerTests(match: RuleMatch, family: Family): readonly Test[] {
  return HEADER_CONDITIONS.flatMap((condition) =>
    testsOf(condition, match[condition], match, family),
  );
}

function testsOf<C extends HeaderCondition>(
  condition: C,
  wanted: RuleMatch[C],
  match: RuleMatch,
  family: Family,
): readonly Test[] {
  return wanted === undefined ? [] : HEADER_TESTS[condition](wanted, match, family);
}

/** ICMP of the family, where the rule itself does not say it. */
function impliedProtocol({ protocol }: RuleMatch, family: Family): readonly Test[] {
  const icmp = ICMP_PROTOCOL[family];
  return protocol?.number === icmp ? [] : [rangesTest('protocol', false, single(icmp))];
}

function icmpRange({ type, code }: IcmpMatch): Range {
  const first = BigInt((type << 8) | (code ?? 0));
  return { first, last: code === undefined ? first | 0xffn : first };
}

function addressTests({ address, port, match, sets }: Side, family: Family): Test[] {
  const tests: Test[] = [];
  const nets = (list: readonly Cidr[]): Range[] =>
    normalizeRanges(
      list
        .filter((net) => net.family === family)
        .map((net) => ({ first: net.value, last: lastAddress(net) })),
    );
  if (match.nets.length > 0) tests.push(rangesTest(address, false, nets(match.nets)));
  if (match.notNets.length > 0) tests.push(rangesTest(address, true, nets(match.notNets)));
  if (sets.positive !== undefined) tests.push(memberTest([address], false, sets.positive));
  if (sets.negative !== undefined) tests.push(memberTest([address], true, sets.negative));
  if (sets.service !== undefined) {
    const { id, withPorts } = sets.service;
    tests.push(memberTest(withPorts ? [address, 'protocol', port] : [address], false, id));
  }
  return tests;
}

function notPortTests({ port, match }: Side): Test[] {
  const ranges = portRanges(match.notPorts);
  return ranges.length === 0 ? [] : [rangesTest(port, true, ranges)];
}

/** Numbers or any of the names. For `disjoint`, a later alternative excludes the earlier ones, so that no packet takes two. */
function portChoices({ address, port, match, sets }: Side, disjoint: boolean): Alternatives[] {
  if (match.ports.length === 0) return [];
  const ranges = portRanges(match.ports);
  const tests = [
    ...(ranges.length > 0 ? [rangesTest(port, false, ranges)] : []),
    ...(sets.namedPorts === undefined
      ? []
      : [memberTest([address, 'protocol', port], false, sets.namedPorts)]),
  ];
  return [
    tests.map((test, index) => [
      ...(disjoint ? tests.slice(0, index).map((earlier) => ({ ...earlier, negate: true })) : []),
      test,
    ]),
  ];
}

/** Not a declared port of that name; a packet of a protocol without ports is none either. */
function notNamedPortChoices({ address, port, sets }: Side, match: RuleMatch): Alternatives[] {
  if (sets.notNamedPorts === undefined) return [];
  const hasPorts = rangesTest('protocol', false, normalizeRanges(NAMED_PORT_PROTOCOLS));
  const notMember = memberTest([address, 'protocol', port], true, sets.notNamedPorts);
  return match.protocol === undefined
    ? [[[hasPorts, notMember], [{ ...hasPorts, negate: true }]]]
    : [[[notMember]]];
}

function portRanges(ports: readonly PortMatch[]): Range[] {
  return normalizeRanges(
    ports.flatMap((port) =>
      port.kind === 'range' ? [{ first: BigInt(port.first), last: BigInt(port.last) }] : [],
    ),
  );
}

/** The conjunction of `fixed` and of one alternative of each choice, for every combination. */
function combine(fixed: readonly Test[], choices: readonly Alternatives[]): Alternatives {
  return choices.reduce<Alternatives>(
    (rules, alternatives) =>
      rules.flatMap((rule) => alternatives.map((tests) => [...rule, ...tests])),
    [fixed],
  );
}

function rangesTest(field: FieldName, negate: boolean, ranges: readonly Range[]): Test {
  return { kind: 'ranges', field, negate, ranges };
}

function memberTest(fields: readonly FieldName[], negate: boolean, set: string): Test {
  return { kind: 'member', fields, negate, set };
}
