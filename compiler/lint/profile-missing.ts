/** Endpoints with a profile that nobody defines; for pods that is their namespace. A missing profile denies. */
import type { WorkloadEndpoint } from '../model/cluster.ts';
import { suggest } from '../model/parse/nearest.ts';
import type { Rule } from '../model/policy.ts';
import { DIRECTIONS } from './conditions.ts';
import { isUnconditional, shapeOf } from './covers.ts';
import type { FindWarnings, Warning } from './rule.ts';
import type { Keyed, LintWorld } from './world.ts';

const NAMESPACE_PROFILE = 'kns.';

export const findMissingProfiles: FindWarnings = (world) => {
  const waiting = Map.groupBy(
    world.workloads.filter(({ value }) => value.active),
    ({ value }) => missingProfile(value, world) ?? '',
  );
  waiting.delete('');
  return [...waiting].flatMap(([profile, endpoints]): Warning[] => {
    const [first] = endpoints;
    if (first === undefined) return [];
    return [
      first.value.isPod
        ? forPods(first, profile, endpoints.length, world)
        : forOthers(first, profile, endpoints.length, world),
    ];
  });
};

/** The first that is reached: behind a profile that decides everything, like a namespace's, it does not matter. */
function missingProfile(endpoint: WorkloadEndpoint, world: LintWorld): string | undefined {
  for (const name of endpoint.profiles) {
    const profile = world.profiles.get(name);
    if (profile === undefined) return name;
    if (DIRECTIONS.every((direction) => profile[direction].some(isFinal))) return undefined;
  }
  return undefined;
}

function isFinal(rule: Rule): boolean {
  const shape = shapeOf(rule, undefined);
  const isDecision = rule.action === 'allow' || rule.action === 'deny';
  return isDecision && shape !== undefined && isUnconditional(shape);
}

function forPods(
  { key, value }: Keyed<WorkloadEndpoint>,
  profile: string,
  count: number,
  world: LintWorld,
): Warning {
  const known = [...world.profiles.keys()]
    .filter((name) => name.startsWith(NAMESPACE_PROFILE))
    .map((name) => name.slice(NAMESPACE_PROFILE.length));
  const hint = suggest(profile.slice(NAMESPACE_PROFILE.length), known);
  const who = count === 1 ? 'this pod' : `this pod and ${count - 1} more`;
  const message = `there is no Namespace ${JSON.stringify(value.namespace)}: traffic of ${who} that no policy decides is denied, and no namespaceSelector matches${hint}`;
  return { key, path: ['metadata', 'namespace'], message };
}

function forOthers(
  { key }: Keyed<WorkloadEndpoint>,
  profile: string,
  count: number,
  world: LintWorld,
): Warning {
  const hint = suggest(profile, [...world.profiles.keys()]);
  const who = count === 1 ? 'this endpoint' : `this endpoint and ${count - 1} more`;
  const message = `there is no Profile ${JSON.stringify(profile)}: traffic of ${who} that no policy decides is denied${hint}`;
  return { key, path: ['spec', 'profiles'], message };
}
