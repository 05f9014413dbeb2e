/**
 * The verdict of policy on one new connection at one workload endpoint in one direction, straight from specification
 * sections 3.1 to 3.5. Refuses to know where the packet comes from and goes to: flow.ts.
 */
import type { WorkloadEndpoint } from '../model/cluster.ts';
import type { Packet } from '../model/packet.ts';
import { policyId } from '../model/policy.ts';
import type { Direction, Policy, Rule } from '../model/policy.ts';
import { decideImplicitly } from './decision.ts';
import type { Decision, Decisive, RuleRef, Step, TierVisit, Verdict } from './decision.ts';
import { failingCondition } from './match.ts';
import { governs } from './selector.ts';
import { enforcedPolicies, findProfile, findTier } from './world.ts';
import type { World } from './world.ts';

/** What is being judged. */
interface Case {
  readonly world: World;
  readonly direction: Direction;
  readonly packet: Packet;
  /** Filled on the way. */
  readonly tiers: TierVisit[];
  readonly trace: Step[];
  readonly logged: RuleRef[];
}

/** A tier with the enforced policies of one direction that select the endpoint, in order. */
interface TierView {
  readonly name: string;
  readonly isDeclared: boolean;
  readonly order: number;
  readonly passesAtEnd: boolean;
  readonly policies: readonly Policy[];
}

/** A list of rules and where they stand. */
interface RuleList {
  readonly tier: string | undefined;
  readonly id: string;
  readonly namespace: string | undefined;
  readonly rules: readonly Rule[];
}

/** A terminal rule that matched. */
interface Hit {
  readonly action: 'allow' | 'deny' | 'pass';
  readonly rule: RuleRef;
}

/** `packet` as the endpoint's interface sees it: after DNAT, not part of an established connection. */
export function evaluate(
  world: World,
  endpoint: WorkloadEndpoint,
  direction: Direction,
  packet: Packet,
): Decision {
  if (!endpoint.active) return decideImplicitly('deny', 'inactive-endpoint');
  const judged: Case = { world, direction, packet, tiers: [], trace: [], logged: [] };
  const end = (verdict: Verdict, decisive: Decisive): Decision => ({
    verdict,
    decisive,
    tiers: judged.tiers,
    trace: judged.trace,
    logged: judged.logged,
  });
  for (const tier of orderedTiers(world, endpoint, direction)) {
    judged.tiers.push({ tier: tier.name, policies: tier.policies.map(policyId) });
    const hit = firstHit(judged, tier);
    if (hit?.action === 'pass') continue;
    if (hit !== undefined) return end(hit.action, { kind: 'rule', rule: hit.rule });
    if (!tier.passesAtEnd) {
      const selectedBy = tier.policies.map(policyId);
      return end('deny', { kind: 'implicit', reason: 'end-of-tier', tier: tier.name, selectedBy });
    }
    judged.trace.push({ kind: 'end-of-tier', tier: tier.name });
  }
  return decideByProfiles(judged, endpoint.profiles, end);
}

function decideByProfiles(
  judged: Case,
  profiles: readonly string[],
  end: (verdict: Verdict, decisive: Decisive) => Decision,
): Decision {
  for (const name of profiles) {
    const profile = findProfile(judged.world, name);
    if (profile === undefined) {
      return end('deny', {
        kind: 'implicit',
        reason: 'missing-profile',
        tier: undefined,
        selectedBy: [`pro/${name}`],
      });
    }
    const rules = profile[judged.direction];
    const hit = firstHitIn(judged, {
      tier: undefined,
      id: `pro/${name}`,
      namespace: undefined,
      rules,
    });
    // Pass leaves this profile and goes on with the next one (section 3.3).
    if (hit !== undefined && hit.action !== 'pass') {
      return end(hit.action, { kind: 'rule', rule: hit.rule });
    }
  }
  return end('deny', { kind: 'implicit', reason: 'no-profile', tier: undefined, selectedBy: [] });
}

/** Only tiers with at least one policy for the direction; workloads know normal policies only (section 3.4, 5). */
function orderedTiers(
  world: World,
  endpoint: WorkloadEndpoint,
  direction: Direction,
): readonly TierView[] {
  const policies = enforcedPolicies(world).filter(
    (policy) =>
      !policy.doNotTrack &&
      !policy.preDnat &&
      policy.types.includes(direction) &&
      governs(world, policy, endpoint),
  );
  const names = [...new Set(policies.map((policy) => policy.tier))];
  const views = names.map((name): TierView => {
    const tier = findTier(world, name);
    return {
      name,
      isDeclared: tier !== undefined,
      order: tier?.order ?? Infinity,
      passesAtEnd: tier?.defaultAction === 'pass',
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

function firstHit(judged: Case, tier: TierView): Hit | undefined {
  for (const policy of tier.policies) {
    const hit = firstHitIn(judged, {
      tier: tier.name,
      id: policyId(policy),
      namespace: policy.namespace,
      rules: policy[judged.direction],
    });
    if (hit !== undefined) return hit;
  }
  return undefined;
}

/** Section 3.3: the first matching rule that is not a log rule. */
function firstHitIn(judged: Case, list: RuleList): Hit | undefined {
  const { world, direction, packet, trace, logged } = judged;
  for (const rule of list.rules) {
    const { index, name, action } = rule;
    const ref: RuleRef = { tier: list.tier, policy: list.id, direction, index, name };
    const because = failingCondition(world, rule, list.namespace, packet);
    if (because !== undefined) {
      trace.push({ kind: 'no-match', rule: ref, because });
      continue;
    }
    trace.push({ kind: 'match', rule: ref, action });
    if (action !== 'log') return { action, rule: ref };
    logged.push(ref);
  }
  return undefined;
}
