/** Policies that govern nobody. */
import { policyScope } from '../selector/scope.ts';
import { scopePath } from './places.ts';
import type { FindWarnings } from './rule.ts';
import { explainMismatch } from './selector-words.ts';

export const findIdlePolicies: FindWarnings = (world) =>
  world.policies.flatMap(({ key, value: policy }) => {
    const scope = policyScope(policy);
    if (!world.hasEndpoints || world.endpoints(scope).length > 0) return [];
    const message = `the policy selects no endpoint${explainMismatch(scope, world)}`;
    return [{ key, path: scopePath(policy), message }];
  });
