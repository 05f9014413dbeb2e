/** Rules that no packet reaches, because an earlier rule of the same policy decides every packet that they match. */
import type { Direction, Policy, Rule } from '../model/policy.ts';
import { DIRECTIONS } from './conditions.ts';
import { covers, shapeOf } from './covers.ts';
import type { Shape } from './covers.ts';
import { rulePath } from './places.ts';
import type { FindWarnings, Warning } from './rule.ts';

export const findShadowedRules: FindWarnings = (world) =>
  world.policies.flatMap(({ key, value: policy }) =>
    DIRECTIONS.flatMap((direction) =>
      policy.types.includes(direction)
        ? inDirection(policy, direction).map((warning) => ({ key, ...warning }))
        : [],
    ),
  );

interface Shaped {
  readonly rule: Rule;
  readonly shape: Shape;
}

function inDirection(policy: Policy, direction: Direction): readonly Omit<Warning, 'key'>[] {
  const deciding: Shaped[] = [];
  const byIndex = Map.groupBy(policy[direction], (rule) => rule.index);
  return [...byIndex].flatMap(([index, rules]) => {
    const shaped = rules.flatMap((rule): Shaped[] => {
      const shape = shapeOf(rule, policy.namespace);
      return shape === undefined ? [] : [{ rule, shape }];
    });
    const covering = shaped.map(({ shape }) =>
      deciding.find((earlier) => covers(earlier.shape, shape)),
    );
    deciding.push(...shaped.filter(({ rule }) => rule.action !== 'log'));
    const [first] = covering;
    if (first === undefined || covering.includes(undefined)) return [];
    const message = `the rule is never reached: ${direction}[${first.rule.index}] (${first.rule.action}) matches everything that it matches`;
    return [{ path: rulePath(direction, index), message }];
  });
}
