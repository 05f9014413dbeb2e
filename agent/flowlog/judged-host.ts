/**
 * In which stage of host policy a packet was judged. Comes in: the rule, the hook, who has the rule; goes out: the stage, or nothing where it
 * was, or may as well have been, a workload's policy: host endpoints and workloads share rules. Refuses to know interfaces.
 */
import type { ResolvedTier } from '../../compiler/calc/resolved.ts';
import type { Policy } from '../../compiler/model/policy.ts';
import type { HostEndpoint } from '../../compiler/model/cluster.ts';
import { HOST_STAGE_NAMES, stageName } from '../../compiler/nft/host-stages.ts';
import type { HostStage } from '../../compiler/nft/host-stages.ts';
import type { RuleMeaning } from '../../compiler/nft/rule-id.ts';

/** As people say it; which way is the record's direction. */
export type RecordStage = 'untracked' | 'pre-dnat' | 'normal' | 'forward' | 'post-dnat';

export interface JudgedHost {
  readonly endpoint: Pick<HostEndpoint, 'name' | 'labels'>;
  readonly stage: RecordStage;
}

/** What of a policy decides where in host policy it stands. */
export type PolicyFlags = Pick<Policy, 'doNotTrack' | 'preDnat'>;

/** What is known of a packet where it was judged. */
export interface JudgedAt {
  readonly meaning: RuleMeaning;
  readonly hook: string | undefined;
  /** Of the policy that `meaning` names. */
  readonly policy: PolicyFlags | undefined;
  /** Whether the rule is one that the host endpoint has for what is forwarded. */
  readonly isOfHost: boolean;
  /** Whether it may be one of the workload that is judged at the same hook. */
  readonly mayBeOfWorkload: boolean;
}

/** Whether one of these policies or profiles has the rule. */
export function hasRule(
  { cause }: RuleMeaning,
  tiers: readonly ResolvedTier[] = [],
  profiles: readonly string[] = [],
): boolean {
  if (cause.kind !== 'rule') return false;
  const { policy } = cause;
  return tiers.some(({ policies }) => policies.includes(policy)) || profiles.includes(policy);
}

const STAGES: Readonly<Record<HostStage, RecordStage>> = {
  'untracked-ingress': 'untracked',
  'untracked-egress': 'untracked',
  'pre-dnat': 'pre-dnat',
  ingress: 'normal',
  egress: 'normal',
  dnat: 'post-dnat',
  'forward-ingress': 'forward',
  'forward-egress': 'forward',
};

/** `undefined` = no host endpoint's, or nobody can tell. */
export function judgedStage(at: JudgedAt): RecordStage | undefined {
  const { cause, counter } = at.meaning;
  // Counters of implicit denies begin with the stage; those of rules are the same in all stages.
  if (cause.kind === 'rule') return stageOfRule(at);
  const stage = HOST_STAGE_NAMES.find((name) => counter.startsWith(`${stageName(name)}/`));
  return stage && STAGES[stage];
}

function stageOfRule({ meaning, hook, policy, ...rule }: JudgedAt): RecordStage | undefined {
  if (policy?.doNotTrack === true) return 'untracked';
  if (policy?.preDnat === true) return 'pre-dnat';
  const isIngress = meaning.direction === 'ingress';
  switch (hook ?? '') {
    case 'input':
      return isIngress ? 'normal' : undefined;
    case 'forward':
      return rule.isOfHost && !rule.mayBeOfWorkload ? 'forward' : undefined;
    case 'output':
      return 'normal';
    case 'postrouting':
      return 'post-dnat';
    default:
      return undefined;
  }
}
