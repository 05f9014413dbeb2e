/** Ends of rules that no endpoint and no network set can be. */
import { entityScope } from '../selector/scope.ts';
import { ruleSides } from './conditions.ts';
import { peerPath } from './places.ts';
import type { FindWarnings } from './rule.ts';
import { explainMismatch } from './selector-words.ts';

export const findEmptyPeers: FindWarnings = (world) =>
  world.policies.flatMap(({ key, value: policy }) =>
    ruleSides(policy).flatMap(({ side, entity, path }) => {
      const { positive } = entityScope(entity, policy.namespace);
      if (!world.hasEndpoints || positive === undefined || world.matches(positive).length > 0) {
        return [];
      }
      const message = `the rule's ${side} matches no endpoint and no network set${explainMismatch(positive, world)}`;
      return [{ key, path: peerPath(policy, path, side, entity), message }];
    }),
  );
