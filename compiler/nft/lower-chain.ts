/**
 * IR to chains: one chain per policy, direction and family; one per program, per tier and per list of profiles. Every rule that decides
 * or logs counts in a named counter. Refuses to know: endpoints, interfaces, which chains are in use.
 */
import type { IrPolicy, IrRule } from '../ir/ir.ts';
import type { Family } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import type { PolicyStage, ResolvedPolicy } from '../calc/resolved.ts';
import { goTo, jump, verdict } from './exprs.ts';
import { setMark } from './mark.ts';
import { lowerTests } from './lower-tests.ts';
import type { ConstantSet, PartsOf } from './lower-tests.ts';
import { identityHash, objectName } from './names.ts';
import type { Expr, NftChain, NftCounter, NftRule } from './program.ts';
import type { LoggedSubject } from './rule-id.ts';

/** What denied packets meet. */
export type DenyAction = 'drop' | 'reject';

/** A chain with the counters and constant sets that its rules refer to. */
export interface LoweredChain {
  readonly chain: NftChain;
  readonly counters: readonly NftCounter[];
  readonly constants: readonly ConstantSet[];
}

/** Which packets come through chains and sections, and what becomes of the denied ones. */
export interface Layer {
  /** `ingress`, `egress`, `host-ingress`, …: what the names of sections and counters begin with. */
  readonly name: string;
  readonly direction: Direction;
  readonly family: Family;
  readonly denyAction: DenyAction;
  /** What is allowed is logged, whichever policy allows it. */
  readonly logAllowed: boolean;
}

export interface LowerContext {
  /** The configured one. */
  readonly denyAction: DenyAction;
  /** One bit of the packet mark. */
  readonly acceptMark: number;
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

/** A policy's chain, or its rules for the chains of the tiers that it is in. */
export interface LoweredPolicy extends LoweredChain {
  /**
   * With a Pass, the rules stand in the tier's own chain, so that one return leaves the tier. A goto to the next tier's chain would
   * nest the tiers, and the kernel nests no more than 16 chains.
   */
  readonly isInlined: boolean;
}

/**
 * A policy's chain is the same in all layers of a direction and family, but where denied packets cannot meet what is configured, as no
 * packet can be rejected after routing, and where allowed packets are logged for the endpoint's sake.
 */
export function policyLayer(
  { direction, family, denyAction, logAllowed }: Layer,
  context: LowerContext,
): string {
  const action = denyAction === context.denyAction ? '' : `-${denyAction}`;
  return `${direction}${family}${action}${logAllowed ? LOGGED : ''}`;
}

const LOGGED = '-logged';

export function lowerPolicyChain(
  policy: IrPolicy,
  { stage, logAllowed }: Pick<ResolvedPolicy, 'stage' | 'logAllowed'>,
  layer: Layer,
  context: LowerContext,
): LoweredPolicy {
  const counters = new Map<string, NftCounter>();
  const constants: ConstantSet[] = [];
  const allow = ALLOW[stage](context.acceptMark);
  const rules = policy.rules.flatMap((rule) => {
    const origin = ruleOrigin(policy.id, policy.direction, rule.index);
    const effective = isRefused(rule, origin, context) ? failClosed(rule) : rule;
    if (effective === undefined) return [];
    const counter = ruleCounter(policy.id, policy.direction, rule.index);
    counters.set(counter.name, counter);
    const { partsOf } = context;
    const lowered = lowerTests(effective.tests, policy.family, partsOf, rule.verdict === 'log');
    constants.push(...lowered.constants);
    const ending = ruleEnding(effective, counter, allow, layer.denyAction);
    const isLogged = (logAllowed || layer.logAllowed) && rule.verdict === 'allow';
    const subject = { ...ruleSubject(policy, rule), isLogged };
    return lowered.alternatives.map((exprs): NftRule => ({
      exprs: [...exprs, ...ending],
      comment: undefined,
      origin,
      subject,
    }));
  });
  const chain = {
    name: objectName(policyLayer(layer, context), policy.id),
    base: undefined,
    rules,
  };
  const isInlined =
    !policy.id.startsWith('pro/') && policy.rules.some(({ verdict: ends }) => ends === 'pass');
  return { chain, counters: [...counters.values()], constants, isInlined };
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

const ACCEPT = verdict({ kind: 'accept' });

/** Which group and under which id is said where the rule gets its own: logging.ts. */
const LOG: Expr = Object.freeze({ kind: 'log', group: 0, prefix: '', snaplenBytes: 0 });

/** What allowing does, by stage: later stages have to learn of what an early one allowed. */
const ALLOW: Readonly<Record<PolicyStage, (mark: number) => readonly Expr[]>> = {
  tracked: () => [ACCEPT],
  'pre-dnat': (mark) => [...setMark(mark), ACCEPT],
  untracked: (mark) => [...setMark(mark), { kind: 'notrack' }, ACCEPT],
};

function ruleEnding(
  rule: IrRule,
  counter: NftCounter,
  allow: readonly Expr[],
  denyAction: DenyAction,
): Expr[] {
  const count: Expr = { kind: 'counter', name: counter.name };
  switch (rule.verdict) {
    case 'allow':
      return [count, ...allow];
    case 'deny':
      return [count, ...deny(denyAction)];
    case 'pass':
      return [count, verdict({ kind: 'return' })];
    case 'log':
      return [count, LOG];
  }
}

function ruleSubject({ id, direction }: IrPolicy, { index }: IrRule): LoggedSubject {
  return { direction, cause: { kind: 'rule', policy: id, index } };
}

/** The configured end of a denied packet. */
export function deny(action: DenyAction): Expr[] {
  return action === 'drop'
    ? [verdict({ kind: 'drop' })]
    : [{ kind: 'reject', reject: 'admin-prohibited' }];
}

/** A chain of a program: its entry, one of its tiers, or the profiles after the last tier. */
export type Section =
  | {
      readonly kind: 'program';
      readonly name: string;
      /** Names of tier sections, in order; a tier that leaves its packets undecided returns. */
      readonly tiers: readonly string[];
      /** Name of the profiles' section, which decides; `undefined` = what no tier decides stays undecided. */
      readonly profiles: string | undefined;
    }
  | {
      readonly kind: 'tier';
      readonly name: string;
      readonly tier: string;
      readonly end: 'deny' | 'pass';
      /** Policy ids, in order. */
      readonly policies: readonly string[];
    }
  | { readonly kind: 'profiles'; readonly name: string; readonly policies: readonly string[] };

export function programSectionName(layer: Layer, sections: readonly string[]): string {
  return objectName(layerPrefix(layer), 'program', identityHash(sections));
}

/** The same tier with the same policies is one chain, whatever program it is in. */
export function tierSectionName(
  layer: Layer,
  tier: { readonly name: string; readonly end: string; readonly policies: readonly string[] },
): string {
  const hash = identityHash([tier.name, tier.end, tier.policies]);
  return objectName(layerPrefix(layer), 'tier', tier.name, hash);
}

export function profileSectionName(layer: Layer, profiles: readonly string[]): string {
  return objectName(layerPrefix(layer), 'profiles', identityHash(profiles));
}

/** `ingress4`: first part of every section of that layer and family. */
function layerPrefix({ name, family, logAllowed }: Layer): string {
  return `${name}${family}${logAllowed ? LOGGED : ''}`;
}

/** `policies`: in the order of the section's; those without rules are left out by the caller. */
export function lowerSection(
  section: Section,
  layer: Layer,
  policies: readonly LoweredPolicy[],
): LoweredChain {
  const origin = `${layer.name} ${section.name}`;
  const call = (to: Expr): NftRule => ({ exprs: [to], comment: undefined, origin });
  if (section.kind === 'program') {
    const calls = section.tiers.map((tier) => call(jump(tier)));
    const rules = section.profiles === undefined ? calls : [...calls, call(goTo(section.profiles))];
    return { chain: { name: section.name, base: undefined, rules }, counters: [], constants: [] };
  }
  const end = endOf(section, layer);
  const inlined = policies.filter(({ isInlined }) => isInlined);
  const rules = policies.flatMap(({ isInlined, chain }) =>
    isInlined ? chain.rules : [call(jump(chain.name))],
  );
  return {
    chain: { name: section.name, base: undefined, rules: [...rules, ...end.rules] },
    counters: [...inlined.flatMap(({ counters }) => counters), ...end.counters],
    constants: inlined.flatMap(({ constants }) => constants),
  };
}

type DecidingSection = Exclude<Section, { readonly kind: 'program' }>;

/** What happens to a packet that no policy of the section decided; a tier that passes simply returns. */
function endOf(
  section: DecidingSection,
  layer: Layer,
): { readonly rules: readonly NftRule[]; readonly counters: readonly NftCounter[] } {
  if (section.kind === 'tier' && section.end === 'pass') return { rules: [], counters: [] };
  const origin = `${layer.name} ${section.name}`;
  const counter = { name: endCounter(section, layer.name), comment: selectedBy(section), origin };
  const exprs: Expr[] = [{ kind: 'counter', name: counter.name }, ...deny(layer.denyAction)];
  const comment = section.kind === 'tier' ? `end of tier ${section.tier}` : 'no profile allows';
  const subject = endSubject(section, layer);
  return { rules: [{ exprs, comment, origin, subject }], counters: [counter] };
}

function endSubject(section: DecidingSection, { direction }: Layer): LoggedSubject {
  const { policies: selectedBy } = section;
  const isTier = section.kind === 'tier';
  const [reason, tier] = isTier ? ['end-of-tier', section.tier] : ['no-profile', undefined];
  return { direction, cause: { kind: 'implicit', reason, tier, selectedBy } };
}

const MAX_COMMENT_LENGTH = 120;

/** Why the endpoint's packets come here at all; cut to what a comment holds. */
function selectedBy(section: DecidingSection): string | undefined {
  if (section.policies.length === 0) return undefined;
  const label = section.kind === 'tier' ? 'selected by' : 'profiles';
  const text = `${label} ${section.policies.join(', ')}`;
  return text.length <= MAX_COMMENT_LENGTH ? text : `${text.slice(0, MAX_COMMENT_LENGTH - 3)}...`;
}

/** `ingress/end-of-tier/default/<hash>` and `ingress/no-profile/<hash>`: implicit denies, both families together. */
function endCounter(section: DecidingSection, layer: string): string {
  const hash = identityHash(section.policies);
  return section.kind === 'tier'
    ? objectName(layer, 'end-of-tier', section.tier, hash)
    : objectName(layer, 'no-profile', hash);
}
