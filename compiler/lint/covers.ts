/**
 * Whether one rule's conditions hold for every packet that meets another's, whatever the cluster looks like. Sound, not complete: `true`
 * is a proof, `false` says nothing. Both rules are of one policy, so selectors mean the same in both.
 */
import { cidrContains } from '../model/ip.ts';
import type { Cidr, Family } from '../model/ip.ts';
import { ANY_ENTITY } from '../model/policy.ts';
import type {
  EntityMatch,
  HeaderCondition,
  PortMatch,
  ProtocolMatch,
  Rule,
  RuleMatch,
} from '../model/policy.ts';
import { printSelector } from '../model/selector-text.ts';
import type { Selector } from '../model/selector.ts';
import { entityScope } from '../selector/scope.ts';

/** A rule that can match, with what the comparison needs of it. */
export interface Shape {
  readonly match: RuleMatch;
  readonly families: readonly Family[];
  readonly source: EntityShape;
  readonly destination: EntityShape;
}

interface EntityShape {
  readonly entity: EntityMatch;
  /** Texts of conditions that all hold for the end's owner; `undefined` = no owner is asked for. */
  readonly positive: ReadonlySet<string> | undefined;
  readonly negative: string | undefined;
}

const ANY_MATCH: RuleMatch = {
  ipVersion: undefined,
  protocol: undefined,
  notProtocol: undefined,
  icmp: undefined,
  notIcmp: undefined,
  source: ANY_ENTITY,
  destination: ANY_ENTITY,
};

/** `undefined` for a rule that matches nothing. `namespace` is the policy's. */
export function shapeOf(rule: Rule, namespace: string | undefined): Shape | undefined {
  if (rule.match === 'nothing') return undefined;
  const match = rule.match === 'everything' ? ANY_MATCH : rule.match;
  const families = ([4, 6] as const).filter((family) => canBe(match, family));
  if (families.length === 0) return undefined;
  const source = entityShape(match.source, namespace);
  const destination = entityShape(match.destination, namespace);
  return { match, families, source, destination };
}

export function isUnconditional(shape: Shape): boolean {
  return covers(shape, ANY_SHAPE);
}

/** Every packet that meets `narrow` meets `wide`. */
export function covers(wide: Shape, narrow: Shape): boolean {
  return narrow.families.every(
    (family) =>
      wide.families.includes(family) &&
      coversHeader(wide.match, narrow.match) &&
      coversEntity(wide, narrow, 'source', family) &&
      coversEntity(wide, narrow, 'destination', family),
  );
}

/** Specification section 4.1: nets of one family restrict the rule to it. */
function canBe(match: RuleMatch, family: Family): boolean {
  if ((match.ipVersion ?? family) !== family) return false;
  if ((match.protocol?.family ?? family) !== family) return false;
  const { source, destination } = match;
  return [source.nets, source.notNets, destination.nets, destination.notNets].every(
    (nets) => nets.length === 0 || nets.some((net) => net.family === family),
  );
}

function entityShape(entity: EntityMatch, namespace: string | undefined): EntityShape {
  const { positive, negative } = entityScope(entity, namespace);
  return {
    entity,
    positive: positive && new Set(conjuncts(positive)),
    negative: negative && printSelector(negative),
  };
}

/** `all()` asks for an owner and nothing of it. */
function conjuncts(selector: Selector): readonly string[] {
  if (selector.kind === 'and') return selector.operands.flatMap(conjuncts);
  return selector.kind === 'all' ? [] : [printSelector(selector)];
}

const ANY_SHAPE: Shape = {
  match: ANY_MATCH,
  families: [4, 6],
  source: entityShape(ANY_ENTITY, undefined),
  destination: entityShape(ANY_ENTITY, undefined),
};

type HeaderCovers = {
  readonly [C in HeaderCondition]: (
    wanted: NonNullable<RuleMatch[C]>,
    narrow: RuleMatch,
  ) => boolean;
};

/** Whether each packet that meets `narrow` meets the condition. One without a row does not compile: it would be no proof. */
const HEADER_COVERS: HeaderCovers = {
  // Families are compared before.
  ipVersion: () => true,
  protocol: ({ number }, { protocol }) => protocol?.number === number,
  notProtocol: (notProtocol, narrow) => excludes(narrow, notProtocol),
  icmp: ({ type, code }, { icmp }) =>
    icmp?.type === type && (code === undefined || icmp.code === code),
  notIcmp: ({ type, code }, { notIcmp }) => notIcmp?.type === type && notIcmp.code === code,
};

const HEADER_CONDITIONS = Object.keys(HEADER_COVERS) as readonly HeaderCondition[];

function coversHeader(wide: RuleMatch, narrow: RuleMatch): boolean {
  return HEADER_CONDITIONS.every((condition) =>
    coversCondition(condition, wide[condition], narrow),
  );
}

function coversCondition<C extends HeaderCondition>(
  condition: C,
  wanted: RuleMatch[C],
  narrow: RuleMatch,
): boolean {
  return wanted === undefined || HEADER_COVERS[condition](wanted, narrow);
}

function excludes(narrow: RuleMatch, notProtocol: ProtocolMatch): boolean {
  const { number } = notProtocol;
  if (narrow.notProtocol?.number === number) return true;
  return narrow.protocol !== undefined && narrow.protocol.number !== number;
}

function coversEntity(
  wide: Shape,
  narrow: Shape,
  side: 'source' | 'destination',
  family: Family,
): boolean {
  const [a, b] = [wide[side], narrow[side]];
  const { service } = a.entity;
  return (
    coversNets(a.entity, b.entity, family) &&
    coversOwners(a, b) &&
    coversPorts(a.entity, b.entity) &&
    coversNotPorts(a, b, wide.match, narrow.match) &&
    (service === undefined ||
      (service.namespace === b.entity.service?.namespace && service.name === b.entity.service.name))
  );
}

function coversNets(a: EntityMatch, b: EntityMatch, family: Family): boolean {
  const of = (nets: readonly Cidr[]): readonly Cidr[] =>
    nets.filter((net) => net.family === family);
  const inside = of(b.nets);
  if (a.nets.length > 0) {
    if (b.nets.length === 0) return false;
    if (!inside.every((net) => of(a.nets).some((outer) => contains(outer, net)))) return false;
  }
  return of(a.notNets).every(
    (excluded) =>
      of(b.notNets).some((net) => contains(net, excluded)) ||
      (b.nets.length > 0 && inside.every((net) => !overlaps(net, excluded))),
  );
}

function contains(outer: Cidr, inner: Cidr): boolean {
  return outer.prefixLen <= inner.prefixLen && cidrContains(outer, inner);
}

function overlaps(a: Cidr, b: Cidr): boolean {
  return contains(a, b) || contains(b, a);
}

function coversOwners(a: EntityShape, b: EntityShape): boolean {
  if (a.negative !== undefined && a.negative !== b.negative) return false;
  return a.positive === undefined || (b.positive?.isSupersetOf(a.positive) ?? false);
}

function coversPorts(a: EntityMatch, b: EntityMatch): boolean {
  if (a.ports.length === 0) return true;
  return b.ports.length > 0 && b.ports.every((port) => isAmong(port, a.ports));
}

/** A named port stands for other numbers at other owners and protocols, so those must be the same. */
function coversNotPorts(
  a: EntityShape,
  b: EntityShape,
  wide: RuleMatch,
  narrow: RuleMatch,
): boolean {
  const { notPorts } = a.entity;
  if (notPorts.length === 0) return true;
  const hasNames = notPorts.some(({ kind }) => kind === 'named');
  if (hasNames && !(isSameOwners(a, b) && wide.protocol?.number === narrow.protocol?.number)) {
    return false;
  }
  return notPorts.every((port) => isAmong(port, b.entity.notPorts));
}

function isSameOwners(a: EntityShape, b: EntityShape): boolean {
  if (a.positive === undefined || b.positive === undefined) return a.positive === b.positive;
  return a.positive.symmetricDifference(b.positive).size === 0;
}

function isAmong(port: PortMatch, ports: readonly PortMatch[]): boolean {
  return ports.some((other) => {
    if (port.kind === 'named') return other.kind === 'named' && other.name === port.name;
    return other.kind === 'range' && other.first <= port.first && port.last <= other.last;
  });
}
