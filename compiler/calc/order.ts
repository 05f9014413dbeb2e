/** Order of tiers and of the policies inside one. Specification sections 3.1 and 3.2. */
import type { Tier } from '../model/cluster.ts';
import type { Policy } from '../model/policy.ts';
import { compareUtf8 } from '../model/text-order.ts';

/** A tier as policies see it: `known` is false when no Tier object has that name; such tiers deny and come last. */
export interface OrderedTier {
  readonly name: string;
  readonly known: boolean;
  readonly order: number | undefined;
  readonly defaultAction: Tier['defaultAction'];
}

export function compareTiers(a: OrderedTier, b: OrderedTier): number {
  return (
    Number(b.known) - Number(a.known) ||
    compareOrder(a.order, b.order) ||
    compareUtf8(a.name, b.name)
  );
}

/** Within one tier: `order`, then the string `name/namespace/kind` bytewise. */
export function comparePolicies(a: Policy, b: Policy): number {
  return compareOrder(a.order, b.order) || compareUtf8(tieBreak(a), tieBreak(b));
}

function compareOrder(a: number | undefined, b: number | undefined): number {
  const left = a ?? Infinity;
  const right = b ?? Infinity;
  return left < right ? -1 : left > right ? 1 : 0;
}

function tieBreak(policy: Policy): string {
  return `${policy.name}/${policy.namespace ?? ''}/${policy.policyKind}`;
}
