/**
 * Runs a program on one packet, as the kernel would run what the back ends make of it. A program, a packet and a way to ask
 * for set members come in, a verdict and what gave it go out. Refuses to know policies, selectors and how sets are kept.
 */
import type { Packet } from '../model/packet.ts';
import { READS } from './fields.ts';
import type { IrPolicy, IrProgram, IrRule, IrTier, SetId, Test } from './ir.ts';

/** Whether the tuple of values, in the order of the test's fields, is in the set. The family is the program's. */
export type MemberOf = (set: SetId, values: readonly bigint[]) => boolean;

/** `index` is the manifest's rule index. */
export interface IrRuleRef {
  readonly policy: string;
  readonly index: number;
}

export type DecidedBy =
  | { readonly kind: 'rule'; readonly rule: IrRuleRef }
  | { readonly kind: 'end-of-tier'; readonly tier: string }
  | { readonly kind: 'no-profile' };

export interface IrDecision {
  readonly verdict: 'allow' | 'deny';
  readonly by: DecidedBy;
  /** Log rules that matched before the decision, in order; alternatives of one rule count as one. */
  readonly logged: readonly IrRuleRef[];
}

/** A terminal rule that matched. */
interface Hit {
  readonly verdict: 'allow' | 'deny' | 'pass';
  readonly rule: IrRuleRef;
}

/** `packet` is of the program's family. Throws RangeError when it is not. */
export function evalProgram(program: IrProgram, packet: Packet, memberOf: MemberOf): IrDecision {
  if (packet.family !== program.family) {
    throw new RangeError(`IPv${packet.family} packet for an IPv${program.family} program`);
  }
  const logged: IrRuleRef[] = [];
  const run = (policy: IrPolicy): Hit | undefined => runPolicy(policy, packet, memberOf, logged);
  for (const tier of program.tiers) {
    const hit = firstHit(tier, run);
    if (hit?.verdict === 'pass') continue;
    if (hit !== undefined) {
      return { verdict: hit.verdict, by: { kind: 'rule', rule: hit.rule }, logged };
    }
    if (tier.end === 'deny') {
      return { verdict: 'deny', by: { kind: 'end-of-tier', tier: tier.name }, logged };
    }
  }
  for (const profile of program.profiles) {
    const hit = run(profile);
    // Pass leaves this profile and goes on with the next one.
    if (hit !== undefined && hit.verdict !== 'pass') {
      return { verdict: hit.verdict, by: { kind: 'rule', rule: hit.rule }, logged };
    }
  }
  return { verdict: 'deny', by: { kind: 'no-profile' }, logged };
}

/** Whether all tests of the rule hold. */
export function ruleMatches(rule: IrRule, packet: Packet, memberOf: MemberOf): boolean {
  return rule.tests.every((test) => testHolds(test, packet, memberOf));
}

function firstHit(tier: IrTier, run: (policy: IrPolicy) => Hit | undefined): Hit | undefined {
  for (const policy of tier.policies) {
    const hit = run(policy);
    if (hit !== undefined) return hit;
  }
  return undefined;
}

function runPolicy(
  policy: IrPolicy,
  packet: Packet,
  memberOf: MemberOf,
  logged: IrRuleRef[],
): Hit | undefined {
  let loggedIndex: number | undefined;
  for (const rule of policy.rules) {
    if (!ruleMatches(rule, packet, memberOf)) continue;
    const ref: IrRuleRef = { policy: policy.id, index: rule.index };
    if (rule.verdict !== 'log') return { verdict: rule.verdict, rule: ref };
    if (loggedIndex !== rule.index) logged.push(ref);
    loggedIndex = rule.index;
  }
  return undefined;
}

/**
 * A `ranges` test of an absent field fails whether negated or not: in the kernel the load fails and breaks the rule. A tuple
 * with an absent field is not in any set, so a negated `member` test holds: sets of ports carry the protocol beside them.
 */
function testHolds(test: Test, packet: Packet, memberOf: MemberOf): boolean {
  switch (test.kind) {
    case 'ranges': {
      const value = READS[test.field](packet);
      if (value === undefined) return false;
      const isIn = test.ranges.some(({ first, last }) => first <= value && value <= last);
      return isIn !== test.negate;
    }
    case 'member': {
      const values = test.fields.map((field) => READS[field](packet));
      const isIn = isComplete(values) && memberOf(test.set, values);
      return isIn !== test.negate;
    }
  }
}

function isComplete(values: readonly (bigint | undefined)[]): values is readonly bigint[] {
  return values.every((value) => value !== undefined);
}
