/**
 * Tiers that no packet reaches. Only the simple case is looked at, which is certain: an earlier tier has a policy for every endpoint, and
 * either that policy ends with an unconditional allow or deny, or the tier denies what is left; and nothing passes before.
 */
import type { OrderedTier } from '../calc/order.ts';
import { comparePolicies, compareTiers } from '../calc/order.ts';
import { policyId } from '../model/policy.ts';
import type { Direction, Policy, Rule } from '../model/policy.ts';
import { DIRECTIONS } from './conditions.ts';
import { isUnconditional, shapeOf } from './covers.ts';
import type { FindWarnings, Warning } from './rule.ts';
import type { Keyed, LintWorld } from './world.ts';

export const findUnreachableTiers: FindWarnings = (world) => {
  const byTier = Map.groupBy(world.policies, ({ value }) => value.tier);
  const tiers = [...byTier]
    .map(([name, policies]) => ({ tier: orderedTier(name, world), policies }))
    .sort((a, b) => compareTiers(a.tier, b.tier));
  return DIRECTIONS.flatMap((direction) => {
    const closed = tiers.findIndex(
      ({ tier, policies }) => closing(tier, policies, direction) !== undefined,
    );
    const earlier = tiers[closed];
    if (earlier === undefined) return [];
    const reason = closing(earlier.tier, earlier.policies, direction) ?? '';
    return tiers
      .slice(closed + 1)
      .flatMap(({ tier, policies }) => unreached(tier.name, policies, direction, reason, world));
  });
};

function orderedTier(name: string, world: LintWorld): OrderedTier {
  const tier = world.tiers.get(name);
  return tier === undefined
    ? { name, known: false, order: undefined, defaultAction: 'deny' }
    : { name, known: true, order: tier.order, defaultAction: tier.defaultAction };
}

/** How the tier decides every packet of the direction, in words. */
function closing(
  tier: OrderedTier,
  policies: readonly Keyed<Policy>[],
  direction: Direction,
): string | undefined {
  const enforced = policies
    .map(({ value }) => value)
    .filter((policy) => isEnforced(policy) && policy.types.includes(direction))
    .sort(comparePolicies);
  for (const policy of enforced) {
    const last = finalRule(policy, direction);
    if (last !== undefined && isForAll(policy)) {
      return `${policyId(policy)} ${direction}[${last.index}] in tier ${JSON.stringify(tier.name)} decides every packet before`;
    }
    if (policy[direction].some(({ action }) => action === 'pass')) return undefined;
  }
  const catching = enforced.find(isForAll);
  return catching === undefined || tier.defaultAction === 'pass'
    ? undefined
    : `tier ${JSON.stringify(tier.name)} denies what its policies leave undecided, and ${policyId(catching)} puts every endpoint under it`;
}

/** The rule that decides every packet which no earlier rule of the policy has decided; none where an earlier rule may pass. */
function finalRule(policy: Policy, direction: Direction): Rule | undefined {
  const ending = policy[direction].find((rule) => {
    if (rule.action === 'log') return false;
    const shape = shapeOf(rule, policy.namespace);
    return rule.action === 'pass' || (shape !== undefined && isUnconditional(shape));
  });
  return ending?.action === 'pass' ? undefined : ending;
}

function isEnforced({ staged, preDnat, doNotTrack }: Policy): boolean {
  return !staged && !preDnat && !doNotTrack;
}

function isForAll(policy: Policy): boolean {
  const { namespace, selector, namespaceSelector, serviceAccountSelector } = policy;
  return (
    namespace === undefined &&
    (selector === undefined || selector.kind === 'all') &&
    namespaceSelector === undefined &&
    serviceAccountSelector === undefined
  );
}

/** Host policies for forwarded, untracked and pre-DNAT traffic are judged elsewhere, so a tier with one is left alone. */
function unreached(
  tier: string,
  policies: readonly Keyed<Policy>[],
  direction: Direction,
  reason: string,
  world: LintWorld,
): readonly Warning[] {
  const governing = policies.filter(({ value }) => value.types.includes(direction));
  const [first] = governing;
  if (first === undefined || governing.some(({ value }) => value.applyOnForward)) return [];
  const key = world.tierKeys.get(tier);
  const message = `${direction} policies of tier ${JSON.stringify(tier)} are never reached: ${reason}`;
  return [
    key === undefined
      ? { key: first.key, path: ['spec', 'tier'], message }
      : { key, path: ['metadata', 'name'], message },
  ];
}
