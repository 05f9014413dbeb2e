/**
 * The verdict of one list of policies on one new connection at one endpoint in one direction, straight from specification
 * sections 3.3 to 3.5 and 3.7. Refuses to know where the packet comes from and goes to: flow.ts.
 */
import type { HostEndpoint, WorkloadEndpoint } from '../model/cluster.ts';
import type { Packet } from '../model/packet.ts';
import { policyId } from '../model/policy.ts';
import type { Direction, Rule } from '../model/policy.ts';
import { decideImplicitly } from './decision.ts';
import type { Decision, Decisive, RuleRef, Step, TierVisit, Verdict } from './decision.ts';
import { failingCondition } from './match.ts';
import { orderedTiers } from './tiers.ts';
import type { PolicyList, TierView } from './tiers.ts';
import { findProfile } from './world.ts';
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

/**
 * `packet` not part of an established connection, with the addresses that it has at the stage. Only the normal list ends in profiles;
 * what the others do not decide is `undecided`, which allows: the packet goes on.
 */
export function evaluate(
  world: World,
  endpoint: WorkloadEndpoint | HostEndpoint,
  direction: Direction,
  packet: Packet,
  list: PolicyList = 'normal',
): Decision {
  if (endpoint.kind === 'WorkloadEndpoint' && !endpoint.active) {
    return decideImplicitly('deny', 'inactive-endpoint');
  }
  const judged: Case = { world, direction, packet, tiers: [], trace: [], logged: [] };
  const end = (verdict: Verdict, decisive: Decisive): Decision => ({
    verdict,
    decisive,
    tiers: judged.tiers,
    trace: judged.trace,
    logged: judged.logged,
  });
  for (const tier of orderedTiers(world, endpoint, list, direction)) {
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
  if (list === 'normal') return decideByProfiles(judged, endpoint.profiles, end);
  return end('allow', {
    kind: 'implicit',
    reason: 'undecided',
    tier: undefined,
    selectedBy: [],
  });
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
