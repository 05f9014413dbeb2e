/**
 * The tiers and policies that govern an endpoint in one direction, in order (specification sections 3.1, 3.2 and 3.4, points 1 to 5). Refuses to
 * know packets.
 */
import type { HostEndpoint, WorkloadEndpoint } from '../model/cluster.ts';
import type { Direction, Policy } from '../model/policy.ts';
import { governs } from './selector.ts';
import { enforcedPolicies, findTier } from './world.ts';
import type { World } from './world.ts';

/** A tier with the enforced policies of one direction that select the endpoint, in order. */
export interface TierView {
  readonly name: string;
  readonly isDeclared: boolean;
  readonly order: number;
  readonly passesAtEnd: boolean;
  readonly policies: readonly Policy[];
}

/** The four lists of section 3.4, point 2. */
export type PolicyList = 'untracked' | 'pre-dnat' | 'forward' | 'normal';

const IS_IN: Readonly<Record<PolicyList, (policy: Policy) => boolean>> = {
  untracked: ({ doNotTrack }) => doNotTrack,
  'pre-dnat': ({ doNotTrack, preDnat }) => !doNotTrack && preDnat,
  forward: ({ doNotTrack, preDnat, applyOnForward }) => !doNotTrack && !preDnat && applyOnForward,
  normal: ({ doNotTrack, preDnat }) => !doNotTrack && !preDnat,
};

/** Policies of the list that select the endpoint, whatever their directions. */
export function policiesOf(
  world: World,
  endpoint: WorkloadEndpoint | HostEndpoint,
  list: PolicyList,
): readonly Policy[] {
  return enforcedPolicies(world).filter(
    (policy) => IS_IN[list](policy) && governs(world, policy, endpoint),
  );
}

/** Only tiers with at least one policy for the direction. */
export function orderedTiers(
  world: World,
  endpoint: WorkloadEndpoint | HostEndpoint,
  list: PolicyList,
  direction: Direction,
): readonly TierView[] {
  const policies = policiesOf(world, endpoint, list).filter(({ types }) =>
    types.includes(direction),
  );
  const alwaysPasses = list === 'untracked' || list === 'pre-dnat';
  const names = [...new Set(policies.map((policy) => policy.tier))];
  const views = names.map((name): TierView => {
    const tier = findTier(world, name);
    return {
      name,
      isDeclared: tier !== undefined,
      order: tier?.order ?? Infinity,
      passesAtEnd: alwaysPasses || tier?.defaultAction === 'pass',
      policies: policies.filter((policy) => policy.tier === name).toSorted(comparePolicies),
    };
  });
  return views.toSorted(compareTiers);
}

/** Section 3.1. */
function compareTiers(a: TierView, b: TierView): number {
  if (a.isDeclared !== b.isDeclared) return a.isDeclared ? -1 : 1;
  if (a.order !== b.order) return a.order < b.order ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

/** Section 3.2. */
function comparePolicies(a: Policy, b: Policy): number {
  const [orderA, orderB] = [a.order ?? Infinity, b.order ?? Infinity];
  if (orderA !== orderB) return orderA < orderB ? -1 : 1;
  return tieBreak(a) < tieBreak(b) ? -1 : 1;
}

function tieBreak(policy: Policy): string {
  return `${policy.name}/${policy.namespace ?? ''}/${policy.policyKind}`;
}
