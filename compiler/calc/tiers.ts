/**
 * The policies of one endpoint as ordered tiers, split by the stage they act in. Comes in: policies that select it. Goes out: per stage and
 * direction the tiers that take part. Refuses to know: who selects whom. Specification sections 3.1 to 3.4 and 3.6.
 */
import type { HostEndpoint } from '../model/cluster.ts';
import { policyId } from '../model/policy.ts';
import type { Direction, Policy } from '../model/policy.ts';
import { comparePolicies, compareTiers } from './order.ts';
import type { OrderedTier } from './order.ts';
import type {
  PolicyStage,
  ResolvedDirection,
  ResolvedHostEndpoint,
  ResolvedTier,
  ResolvedTiers,
} from './resolved.ts';

/** Each policy acts in exactly one stage; a tracked one of a host endpoint perhaps also on forward. */
export function stageOf(policy: Policy): PolicyStage {
  if (policy.doNotTrack) return 'untracked';
  return policy.preDnat ? 'pre-dnat' : 'tracked';
}

type TierOf = (name: string) => OrderedTier;

interface TierPolicies {
  readonly tier: OrderedTier;
  readonly policies: readonly Policy[];
}

/** Both directions of an endpoint that profiles follow. */
export function resolveDirections(
  policies: readonly Policy[],
  profiles: readonly string[],
  tierOf: TierOf,
): { readonly ingress: ResolvedDirection; readonly egress: ResolvedDirection } {
  const tiers = orderTiers(policies, tierOf);
  const ids = profiles.map((name) => `pro/${name}`);
  return {
    ingress: { tiers: tiersFor(tiers, 'ingress'), profiles: ids },
    egress: { tiers: tiersFor(tiers, 'egress'), profiles: ids },
  };
}

export function resolveHostEndpoint(
  endpoint: HostEndpoint,
  policies: readonly Policy[],
  tierOf: TierOf,
): ResolvedHostEndpoint {
  const { tracked = [], ...early } = Object.groupBy(policies, stageOf);
  const forward = tracked.filter(({ applyOnForward }) => applyOnForward);
  const undecided = (of: readonly Policy[] = []): ResolvedTiers => {
    const tiers = orderTiers(of, tierOf);
    return { ingress: tiersFor(tiers, 'ingress'), egress: tiersFor(tiers, 'egress') };
  };
  const isWildcard = endpoint.interfaceName === '*';
  return {
    endpoint,
    normal: resolveDirections(tracked, endpoint.profiles, tierOf),
    forward: forward.length === 0 ? undefined : undecided(forward),
    preDnat: undecided(early['pre-dnat']).ingress.map(passing),
    untracked: {
      ingress: isWildcard ? [] : undecided(early.untracked).ingress.map(passing),
      egress: isWildcard ? [] : undecided(early.untracked).egress.map(passing),
    },
  };
}

/** Every list of tiers that a host endpoint has. */
export function tiersOfHost(host: ResolvedHostEndpoint): readonly ResolvedTier[] {
  const { normal, forward, preDnat, untracked } = host;
  return [
    ...normal.ingress.tiers,
    ...normal.egress.tiers,
    ...(forward === undefined ? [] : [...forward.ingress, ...forward.egress]),
    ...preDnat,
    ...untracked.ingress,
    ...untracked.egress,
  ];
}

/** Untracked and pre-DNAT policy never drops by itself. */
function passing(tier: ResolvedTier): ResolvedTier {
  return { ...tier, end: 'pass' };
}

function orderTiers(policies: readonly Policy[], tierOf: TierOf): TierPolicies[] {
  const byTier = Map.groupBy(policies, (policy) => policy.tier);
  return [...byTier]
    .map(([name, members]) => ({ tier: tierOf(name), policies: members.sort(comparePolicies) }))
    .sort((a, b) => compareTiers(a.tier, b.tier));
}

/** A tier without a policy for the direction plays no part in it. */
function tiersFor(tiers: readonly TierPolicies[], direction: Direction): ResolvedTier[] {
  return tiers.flatMap(({ tier, policies }) => {
    const governing = policies.filter(({ types }) => types.includes(direction)).map(policyId);
    return governing.length === 0
      ? []
      : [{ name: tier.name, end: tier.defaultAction, policies: governing }];
  });
}
