/** Endpoints with a profile that nobody defines; for pods that is their namespace. A missing profile denies. */
import type { WorkloadEndpoint } from '../model/cluster.ts';
import { suggest } from '../model/parse/nearest.ts';
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

/** One that is reached: the first profile with rules decides, and a namespace's allows everything. */
function missingProfile(endpoint: WorkloadEndpoint, world: LintWorld): string | undefined {
  const [first] = endpoint.profiles;
  return first === undefined || world.profiles.has(first) ? undefined : first;
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
