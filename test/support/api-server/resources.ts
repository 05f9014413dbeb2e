/** Which resources the test server knows at the start: the built-in ones that Picket reads, and custom ones that a test may serve. */

export interface ServedResource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  /** Built-in kinds are listed without `kind` and `apiVersion` in their items; custom ones with. */
  readonly isCustom: boolean;
}

function rows(
  groupVersion: string,
  isCustom: boolean,
  kinds: Readonly<Record<string, readonly [kind: string, scope: 'namespaced' | 'cluster']>>,
): ServedResource[] {
  const [version = '', group = ''] = groupVersion.split('/').toReversed();
  return Object.entries(kinds).map(([plural, [kind, scope]]) => ({
    group,
    version,
    plural,
    kind,
    isNamespaced: scope === 'namespaced',
    isCustom,
  }));
}

export const BUILT_IN: readonly ServedResource[] = [
  ...rows('v1', false, {
    pods: ['Pod', 'namespaced'],
    namespaces: ['Namespace', 'cluster'],
    serviceaccounts: ['ServiceAccount', 'namespaced'],
    nodes: ['Node', 'cluster'],
    services: ['Service', 'namespaced'],
    events: ['Event', 'namespaced'],
  }),
  ...rows('networking.k8s.io/v1', false, { networkpolicies: ['NetworkPolicy', 'namespaced'] }),
  ...rows('discovery.k8s.io/v1', false, { endpointslices: ['EndpointSlice', 'namespaced'] }),
];

export const CLUSTER_POLICY: readonly ServedResource[] = [
  ...rows('policy.networking.k8s.io/v1alpha2', true, {
    clusternetworkpolicies: ['ClusterNetworkPolicy', 'cluster'],
  }),
  ...rows('policy.networking.k8s.io/v1alpha1', true, {
    adminnetworkpolicies: ['AdminNetworkPolicy', 'cluster'],
    baselineadminnetworkpolicies: ['BaselineAdminNetworkPolicy', 'cluster'],
  }),
];

/** `version`: `projectcalico.org/v3` or `crd.projectcalico.org/v1`. */
export function calicoResources(version: string): readonly ServedResource[] {
  return rows(version, true, {
    networkpolicies: ['NetworkPolicy', 'namespaced'],
    globalnetworkpolicies: ['GlobalNetworkPolicy', 'cluster'],
    stagednetworkpolicies: ['StagedNetworkPolicy', 'namespaced'],
    stagedglobalnetworkpolicies: ['StagedGlobalNetworkPolicy', 'cluster'],
    stagedkubernetesnetworkpolicies: ['StagedKubernetesNetworkPolicy', 'namespaced'],
    tiers: ['Tier', 'cluster'],
    networksets: ['NetworkSet', 'namespaced'],
    globalnetworksets: ['GlobalNetworkSet', 'cluster'],
    hostendpoints: ['HostEndpoint', 'cluster'],
    felixconfigurations: ['FelixConfiguration', 'cluster'],
  });
}

export function groupVersion({ group, version }: ServedResource): string {
  return group === '' ? version : `${group}/${version}`;
}
