/** Tiers that policies name and nobody defines. */
import { suggest } from '../model/parse/nearest.ts';
import type { FindWarnings } from './rule.ts';

export const findMissingTiers: FindWarnings = (world) =>
  world.policies.flatMap(({ key, value: { tier } }) => {
    if (world.tiers.has(tier)) return [];
    const hint = suggest(tier, [...world.tiers.keys()]);
    const message = `there is no Tier ${JSON.stringify(tier)}: its policies come after all known tiers, and what they leave undecided is denied${hint}`;
    return [{ key, path: ['spec', 'tier'], message }];
  });
