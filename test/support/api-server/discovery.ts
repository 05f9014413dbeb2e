/** What is served, in the three shapes that clients ask for: group lists, resource lists, and both in one document ("aggregated"). */
import { createHash } from 'node:crypto';
import { groupVersion } from './resources.ts';
import type { ServedResource } from './resources.ts';

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];

/** `/api` and `/apis` when the client accepts `as=APIGroupDiscoveryList`. */
export function aggregated(resources: readonly ServedResource[], isCore: boolean): object {
  const groups = [...groupsOf(resources)].filter(([group]) => (group === '') === isCore);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(([group, versions]) => ({
      metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
      versions: [...versions].map(([version, members]) => ({
        version,
        resources: members.map((member) => ({
          resource: member.plural,
          responseKind: { group, version, kind: member.kind },
          scope: member.isNamespaced ? 'Namespaced' : 'Cluster',
          singularResource: member.kind.toLowerCase(),
          verbs: VERBS,
        })),
        freshness: 'Current',
      })),
    })),
  };
}

/** `/api`. */
export function coreVersions(): object {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
}

/** `/apis`. */
export function groupList(resources: readonly ServedResource[]): object {
  const groups = [...groupsOf(resources)].filter(([group]) => group !== '');
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groups.map(([name, versions]) => {
      const list = [...versions.keys()].map((version) => ({
        groupVersion: `${name}/${version}`,
        version,
      }));
      return { name, versions: list, preferredVersion: list[0] };
    }),
  };
}

/** `/api/v1`, `/apis/<group>/<version>`; `undefined` = nothing of it is served. */
export function resourceList(
  resources: readonly ServedResource[],
  wanted: string,
): object | undefined {
  const members = resources.filter((resource) => groupVersion(resource) === wanted);
  if (members.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: wanted,
    resources: members.map(({ plural, kind, isNamespaced }) => ({
      name: plural,
      singularName: kind.toLowerCase(),
      namespaced: isNamespaced,
      kind,
      verbs: VERBS,
    })),
  };
}

/** As the server computes it: of the content. */
export function etagOf(text: string): string {
  return `"${createHash('sha256').update(text).digest('hex').slice(0, 32).toUpperCase()}"`;
}

function groupsOf(
  resources: readonly ServedResource[],
): Map<string, Map<string, ServedResource[]>> {
  const groups = new Map<string, Map<string, ServedResource[]>>();
  for (const resource of resources) {
    const versions = groups.get(resource.group) ?? new Map<string, ServedResource[]>();
    groups.set(resource.group, versions);
    versions.set(resource.version, [...(versions.get(resource.version) ?? []), resource]);
  }
  return groups;
}
