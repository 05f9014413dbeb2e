/** Label keys that nobody has, in selectors that match somebody all the same: negated or in an alternative. */
import type { EntityMatch } from '../model/policy.ts';
import type { Selector } from '../model/selector.ts';
import { entityScope, policyScope } from '../selector/scope.ts';
import { ruleSides } from './conditions.ts';
import { peerPath, scopePath } from './places.ts';
import type { FindWarnings, Warning } from './rule.ts';
import { unknownLabels } from './selector-words.ts';
import type { LintWorld } from './world.ts';

export const findUnknownLabels: FindWarnings = (world) =>
  world.policies.flatMap(({ key, value: policy }): Warning[] => {
    if (!world.hasEndpoints) return [];
    const scope = policyScope(policy);
    const own = world.endpoints(scope).length === 0 ? [] : unknownLabels(scope, world);
    return [
      ...own.map((message) => ({ key, path: scopePath(policy), message })),
      ...ruleSides(policy).flatMap(({ side, entity, path }) => {
        const at = peerPath(policy, path, side, entity);
        return unknownIn(entity, policy.namespace, world).map((message) => ({
          key,
          path: at,
          message,
        }));
      }),
    ];
  });

function unknownIn(
  entity: EntityMatch,
  namespace: string | undefined,
  world: LintWorld,
): readonly string[] {
  const { positive, negative } = entityScope(entity, namespace);
  const matching = [positive, negative].filter(
    (selector): selector is Selector =>
      selector !== undefined && (selector === negative || world.matches(selector).length > 0),
  );
  return matching.flatMap((selector) => unknownLabels(selector, world));
}
