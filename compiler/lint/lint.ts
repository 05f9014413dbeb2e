/**
 * What is legal and surely not meant. Comes in: accepted resources. Goes out: warnings, in the order of the table and then of keys. That
 * `types` leave out a direction which has rules is found while parsing (`rules-not-governed`), which knows the field as written.
 */
import { findSharedAddresses } from './address-shared.ts';
import {
  findHostPoliciesWithoutHost,
  findShadowedHosts,
  findUntrackedOnWildcards,
} from './host-endpoints.ts';
import { findUnknownLabels } from './label-unknown.ts';
import { findMissingPorts } from './named-port-missing.ts';
import { findEmptyPeers } from './peer-matches-nothing.ts';
import { findIdlePolicies } from './policy-selects-nothing.ts';
import { findMissingProfiles } from './profile-missing.ts';
import { findShadowedRules } from './rule-shadowed.ts';
import type { FindWarnings, LintWarning } from './rule.ts';
import { findMissingTiers } from './tier-missing.ts';
import { findUnreachableTiers } from './tier-unreachable.ts';
import { LintWorld } from './world.ts';
import type { LintResource } from './world.ts';

/** Code to what finds it. Those that need endpoints say nothing where there are none. */
export const LINT_RULES = {
  'policy-selects-nothing': findIdlePolicies,
  'peer-matches-nothing': findEmptyPeers,
  'label-unknown': findUnknownLabels,
  'rule-shadowed': findShadowedRules,
  'tier-missing': findMissingTiers,
  'tier-unreachable': findUnreachableTiers,
  'named-port-missing': findMissingPorts,
  'profile-missing': findMissingProfiles,
  'address-shared': findSharedAddresses,
  'host-endpoint-shadowed': findShadowedHosts,
  'untracked-on-wildcard': findUntrackedOnWildcards,
  'host-policy-without-host': findHostPoliciesWithoutHost,
} as const satisfies Record<string, FindWarnings>;

export function lint(resources: readonly LintResource[]): LintWarning[] {
  const world = new LintWorld(resources);
  const warnings = Object.entries(LINT_RULES).flatMap(([code, find]) =>
    find(world).map((warning): LintWarning => ({ code, ...warning })),
  );
  return unrepeated(warnings);
}

/** One rule as written may be several of the model. */
function unrepeated(warnings: readonly LintWarning[]): LintWarning[] {
  return [...new Map(warnings.map((each) => [JSON.stringify(each), each])).values()];
}
