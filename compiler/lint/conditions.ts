/** The rules of a policy with their conditions, one at a time, as lint rules walk over them. */
import type { Path } from '../model/issue.ts';
import type { Direction, EntityMatch, Policy, Rule, RuleMatch } from '../model/policy.ts';
import { rulePath } from './places.ts';
import type { Side } from './places.ts';

export const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];
const SIDES: readonly Side[] = ['source', 'destination'];

export interface RuleSide {
  readonly direction: Direction;
  readonly side: Side;
  readonly entity: EntityMatch;
  readonly match: RuleMatch;
  /** Of the rule. */
  readonly path: Path;
}

/** Both ends of every rule that has conditions and is used. */
export function ruleSides(policy: Policy): readonly RuleSide[] {
  return DIRECTIONS.filter((direction) => policy.types.includes(direction)).flatMap((direction) =>
    policy[direction].flatMap((rule) => sidesOf(rule, direction)),
  );
}

function sidesOf({ match, index }: Rule, direction: Direction): readonly RuleSide[] {
  if (typeof match === 'string') return [];
  const path = rulePath(direction, index);
  return SIDES.map((side) => ({ direction, side, entity: match[side], match, path }));
}
