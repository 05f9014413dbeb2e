/**
 * IR to chains: one chain per policy, direction and family; one per tier of a program; one for its profiles. Every rule that decides or
 * logs counts in a named counter. Refuses to know: endpoints, interfaces, which chains are in use.
 */
import type { IrPolicy, IrRule } from '../ir/ir.ts';
import type { Family } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import { goTo, jump, verdict } from './exprs.ts';
import { lowerTests } from './lower-tests.ts';
import type { ConstantSet, PartsOf } from './lower-tests.ts';
import { identityHash, layer, objectName } from './names.ts';
import type { Expr, NftChain, NftCounter, NftRule } from './program.ts';

/** What denied packets meet. */
export type DenyAction = 'drop' | 'reject';

/** NFLOG group of all our records; Calico uses 1 and 2. */
export const LOG_GROUP = 5;

/** Headers of any packet we match, and some payload. */
const SNAPLEN_BYTES = 128;

const MAX_PREFIX_BYTES = 63;

/** A chain with the counters and constant sets that its rules refer to. */
export interface LoweredChain {
  readonly chain: NftChain;
  readonly counters: readonly NftCounter[];
  readonly constants: readonly ConstantSet[];
}

export interface LowerContext {
  readonly denyAction: DenyAction;
  readonly partsOf: PartsOf;
  /** Origins of rules that the kernel refused: they match nothing (allow, pass, log) or everything (deny). */
  isRefused(origin: string): boolean;
  /** The same for rules that refer to a set that the kernel refused. */
  isSetRefused(set: string): boolean;
}

/** `np/shop/web ingress[0]`: names a rule in messages. */
export function ruleOrigin(policyId: string, direction: Direction, index: number): string {
  return `${policyId} ${direction}[${index}]`;
}

/** Rules of a policy that changed are new: what the kernel said of the old ones no longer counts. */
export function dropRuleOrigins(origins: Set<string>, policyId: string): void {
  for (const origin of origins) if (origin.startsWith(`${policyId} `)) origins.delete(origin);
}

/** `ingress/np/shop/web/0`: packets and bytes that a policy rule matched, both families together. */
export function ruleCounter(policyId: string, direction: Direction, index: number): NftCounter {
  const origin = ruleOrigin(policyId, direction, index);
  return { name: objectName(direction, policyId, String(index)), comment: undefined, origin };
}

/** Chain of one policy. `passTo` is the chain that a Pass goes to; only chains with a Pass depend on it. */
export function policyChainName(policy: IrPolicy, passTo: string): string {
  const name = [layer(policy.direction, policy.family), policy.id];
  const hasPass = policy.rules.some((rule) => rule.verdict === 'pass');
  return hasPass && !isProfile(policy.id)
    ? objectName(...name, identityHash(passTo))
    : objectName(...name);
}

function isProfile(id: string): boolean {
  return id.startsWith('pro/');
}

export function lowerPolicyChain(
  policy: IrPolicy,
  passTo: string,
  context: LowerContext,
): LoweredChain {
  const counters = new Map<string, NftCounter>();
  const constants: ConstantSet[] = [];
  const rules = policy.rules.flatMap((rule) => {
    const origin = ruleOrigin(policy.id, policy.direction, rule.index);
    const effective = isRefused(rule, origin, context) ? failClosed(rule) : rule;
    if (effective === undefined) return [];
    const counter = ruleCounter(policy.id, policy.direction, rule.index);
    counters.set(counter.name, counter);
    const { partsOf } = context;
    const lowered = lowerTests(effective.tests, policy.family, partsOf, rule.verdict === 'log');
    constants.push(...lowered.constants);
    const ending = ruleEnding(policy, effective, counter, passTo, context.denyAction);
    return lowered.alternatives.map((exprs): NftRule => ({
      exprs: [...exprs, ...ending],
      comment: undefined,
      origin,
    }));
  });
  const name = policyChainName(policy, passTo);
  return { chain: { name, base: undefined, rules }, counters: [...counters.values()], constants };
}

function isRefused(rule: IrRule, origin: string, context: LowerContext): boolean {
  return (
    context.isRefused(origin) ||
    rule.tests.some((test) => test.kind === 'member' && context.isSetRefused(test.set))
  );
}

function failClosed(rule: IrRule): IrRule | undefined {
  return rule.verdict === 'deny' ? { ...rule, tests: [] } : undefined;
}

function ruleEnding(
  policy: IrPolicy,
  rule: IrRule,
  counter: NftCounter,
  passTo: string,
  denyAction: DenyAction,
): Expr[] {
  const count: Expr = { kind: 'counter', name: counter.name };
  switch (rule.verdict) {
    case 'allow':
      return [count, verdict({ kind: 'accept' })];
    case 'deny':
      return [count, ...deny(denyAction)];
    case 'pass':
      return [count, isProfile(policy.id) ? verdict({ kind: 'return' }) : goTo(passTo)];
    case 'log':
      return [count, log(counter.name)];
  }
}

/** The configured end of a denied packet. */
export function deny(action: DenyAction): Expr[] {
  return action === 'drop'
    ? [verdict({ kind: 'drop' })]
    : [{ kind: 'reject', reject: 'admin-prohibited' }];
}

function log(ruleId: string): Expr {
  const prefix =
    ruleId.length <= MAX_PREFIX_BYTES
      ? ruleId
      : `${ruleId.slice(0, MAX_PREFIX_BYTES - 13)}_${identityHash(ruleId).slice(0, 12)}`;
  return { kind: 'log', group: LOG_GROUP, prefix, snaplenBytes: SNAPLEN_BYTES };
}

/** One step of a program: a tier, or the profiles after the last tier. */
export type Section =
  | {
      readonly kind: 'tier';
      readonly name: string;
      readonly tier: string;
      readonly end: 'deny' | 'pass';
      /** Policy ids, in order. */
      readonly policies: readonly string[];
      /** Name of the section that Pass and an open end lead to. */
      readonly next: string;
    }
  | { readonly kind: 'profiles'; readonly name: string; readonly policies: readonly string[] };

/** Name of a tier's chain: the same tier, policies and continuation share it. */
export function tierSectionName(
  direction: Direction,
  family: Family,
  tier: { readonly name: string; readonly end: string; readonly policies: readonly string[] },
  next: string,
): string {
  const hash = identityHash([tier.name, tier.end, tier.policies, next]);
  return objectName(layer(direction, family), 'tier', tier.name, hash);
}

export function profileSectionName(
  direction: Direction,
  family: Family,
  profiles: readonly string[],
): string {
  return objectName(layer(direction, family), 'profiles', identityHash(profiles));
}

/** `policyChains`: names, in the order of `section.policies`; chains without rules are left out by the caller. */
export function lowerSection(
  section: Section,
  direction: Direction,
  policyChains: readonly string[],
  denyAction: DenyAction,
): LoweredChain {
  const origin = `${direction} ${section.name}`;
  const jumps = policyChains.map((chain): NftRule => ({
    exprs: [jump(chain)],
    comment: undefined,
    origin,
  }));
  if (section.kind === 'tier' && section.end === 'pass') {
    const end: NftRule = { exprs: [goTo(section.next)], comment: undefined, origin };
    return lowered(section.name, [...jumps, end], []);
  }
  const counter = { name: endCounter(section, direction), comment: selectedBy(section), origin };
  const exprs: Expr[] = [{ kind: 'counter', name: counter.name }, ...deny(denyAction)];
  const comment = section.kind === 'tier' ? `end of tier ${section.tier}` : 'no profile allows';
  return lowered(section.name, [...jumps, { exprs, comment, origin }], [counter]);
}

const MAX_COMMENT_LENGTH = 120;

/** Why the endpoint's packets come here at all; cut to what a comment holds. */
function selectedBy(section: Section): string | undefined {
  if (section.policies.length === 0) return undefined;
  const label = section.kind === 'tier' ? 'selected by' : 'profiles';
  const text = `${label} ${section.policies.join(', ')}`;
  return text.length <= MAX_COMMENT_LENGTH ? text : `${text.slice(0, MAX_COMMENT_LENGTH - 3)}...`;
}

/** `ingress/end-of-tier/default/<hash>` and `ingress/no-profile/<hash>`: implicit denies, both families together. */
function endCounter(section: Section, direction: Direction): string {
  const hash = identityHash(section.policies);
  return section.kind === 'tier'
    ? objectName(direction, 'end-of-tier', section.tier, hash)
    : objectName(direction, 'no-profile', hash);
}

function lowered(
  name: string,
  rules: readonly NftRule[],
  counters: readonly NftCounter[],
): LoweredChain {
  return { chain: { name, base: undefined, rules }, counters, constants: [] };
}
