/**
 * The way through the tiers as rows: every tier, every policy that selects the endpoint there, every rule that was looked at. Comes in: a
 * decision; goes out: data to print. Rules that a converted policy shares an index with are one row.
 */
import type { Decision, Decisive, RuleRef, Step } from '../../compiler/oracle/decision.ts';
import type { RulePlace, Scene } from './scene.ts';

export interface WalkedRule extends RulePlace {
  readonly index: number;
  /** The rule's own name. */
  readonly ruleName: string | undefined;
  readonly action: string;
  readonly matches: boolean;
  /** Conditions that do not hold, as `source.selector`. */
  readonly because: readonly string[];
}

export interface WalkedPolicy {
  /** `np/shop/web`. */
  readonly id: string;
  /** False behind the decision. */
  readonly reached: boolean;
  /** Of those looked at. */
  readonly rules: readonly WalkedRule[];
}

export interface WalkedTier {
  /** `undefined` = the endpoint's profiles, after the last tier. */
  readonly tier: string | undefined;
  readonly policies: readonly WalkedPolicy[];
  /** Nothing decided here, or a rule passed. */
  readonly passes: boolean;
}

type RuleStep = Exclude<Step, { readonly kind: 'end-of-tier' }>;

export function walk(scene: Scene, decision: Decision): readonly WalkedTier[] {
  const steps = decision.trace.filter((step): step is RuleStep => step.kind !== 'end-of-tier');
  const inTier = (tier: string | undefined): readonly RuleStep[] =>
    steps.filter((step) => step.rule.tier === tier);
  const tiers = decision.tiers.map(({ tier, policies }, index): WalkedTier => {
    const isLast = index === decision.tiers.length - 1 && isDecidedIn(decision.decisive);
    return { tier, policies: walkPolicies(scene, policies, inTier(tier)), passes: !isLast };
  });
  const own = inTier(undefined);
  const profiles = [...new Set(own.map(({ rule }) => rule.policy))];
  if (profiles.length === 0) return tiers;
  const last = { tier: undefined, policies: walkPolicies(scene, profiles, own), passes: false };
  return [...tiers, last];
}

/** In a tier, not in the profiles. */
function isDecidedIn(decisive: Decisive): boolean {
  return (decisive.kind === 'rule' ? decisive.rule.tier : decisive.tier) !== undefined;
}

function walkPolicies(
  scene: Scene,
  ids: readonly string[],
  steps: readonly RuleStep[],
): readonly WalkedPolicy[] {
  const end = steps.findLast((step) => step.kind === 'match' && step.action !== 'log');
  const last = end === undefined ? ids.length : ids.indexOf(end.rule.policy);
  return ids.map((id, index): WalkedPolicy => {
    const own = steps.filter(({ rule }) => rule.policy === id);
    const indexes = [...new Set(own.map(({ rule }) => rule.index))];
    const rules = indexes.map((at) =>
      walkRule(
        scene,
        own.filter(({ rule }) => rule.index === at),
      ),
    );
    return { id, reached: index <= last, rules: rules.flatMap((rule) => rule ?? []) };
  });
}

function walkRule(scene: Scene, steps: readonly RuleStep[]): WalkedRule | undefined {
  const [first] = steps;
  if (first === undefined) return undefined;
  const { rule } = first;
  const matches = steps.some(({ kind }) => kind === 'match');
  const because = steps.flatMap((step) => (step.kind === 'no-match' ? [step.because] : []));
  return {
    ...scene.placeOf(rule),
    index: rule.index,
    ruleName: rule.name,
    action: actionOf(scene, rule),
    matches,
    because: matches ? [] : [...new Set(because)],
  };
}

function actionOf(scene: Scene, { policy, direction, index }: RuleRef): string {
  const found = scene.rulesOf(policy, direction).find((rule) => rule.index === index);
  return found?.action ?? 'allow';
}
