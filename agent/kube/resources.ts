/** Which resources are read from the API, and what of their objects is kept. A new kind is a row here and one in compiler/model/parse/kinds.ts. */
import { trimEndpointSlice, trimMetadataOnly, trimNode, trimPod, trimPolicy } from './trim.ts';
import type { Trim } from './trim.ts';

export interface ApiResource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  /** Every API server has it; others are found by discovery. */
  readonly isBuiltIn: boolean;
  /** Without its objects policy could mean something else, so the kernel is left alone until they were listed (ADR 0015). */
  readonly isNeeded: boolean;
  /** The server leaves other objects out. */
  readonly fieldSelector: string | undefined;
  readonly trim: Trim;
}

type Row = readonly [plural: string, kind: string, more?: Partial<ApiResource>];

function rows(
  groupVersion: string,
  common: Pick<ApiResource, 'isBuiltIn' | 'trim'>,
  list: readonly Row[],
): ApiResource[] {
  const [version = '', group = ''] = groupVersion.split('/').toReversed();
  const base = { group, version, isNeeded: true, fieldSelector: undefined, ...common };
  return list.map(([plural, kind, more]) => ({ ...base, plural, kind, ...more }));
}

/** A finished pod has no address any more, and jobs leave many behind. */
const NOT_FINISHED = 'status.phase!=Succeeded,status.phase!=Failed';

export const BUILT_IN: readonly ApiResource[] = [
  ...rows('v1', { isBuiltIn: true, trim: trimMetadataOnly }, [
    ['namespaces', 'Namespace'],
    ['serviceaccounts', 'ServiceAccount'],
    ['pods', 'Pod', { trim: trimPod, fieldSelector: NOT_FINISHED }],
    ['nodes', 'Node', { trim: trimNode, isNeeded: false }],
    ['services', 'Service', { isNeeded: false }],
  ]),
  ...rows('networking.k8s.io/v1', { isBuiltIn: true, trim: trimPolicy }, [
    ['networkpolicies', 'NetworkPolicy'],
  ]),
  ...rows('discovery.k8s.io/v1', { isBuiltIn: true, trim: trimEndpointSlice }, [
    ['endpointslices', 'EndpointSlice'],
  ]),
];

export const CLUSTER_POLICY: readonly ApiResource[] = [
  ...rows('policy.networking.k8s.io/v1alpha2', { isBuiltIn: false, trim: trimPolicy }, [
    ['clusternetworkpolicies', 'ClusterNetworkPolicy'],
  ]),
  ...rows('policy.networking.k8s.io/v1alpha1', { isBuiltIn: false, trim: trimPolicy }, [
    ['adminnetworkpolicies', 'AdminNetworkPolicy'],
    ['baselineadminnetworkpolicies', 'BaselineAdminNetworkPolicy'],
  ]),
];

function calico(version: string): readonly ApiResource[] {
  return rows(version, { isBuiltIn: false, trim: trimPolicy }, [
    ['networkpolicies', 'NetworkPolicy'],
    ['globalnetworkpolicies', 'GlobalNetworkPolicy'],
    ['stagednetworkpolicies', 'StagedNetworkPolicy', { isNeeded: false }],
    ['stagedglobalnetworkpolicies', 'StagedGlobalNetworkPolicy', { isNeeded: false }],
    ['stagedkubernetesnetworkpolicies', 'StagedKubernetesNetworkPolicy', { isNeeded: false }],
    ['tiers', 'Tier'],
    ['networksets', 'NetworkSet'],
    ['globalnetworksets', 'GlobalNetworkSet'],
    ['hostendpoints', 'HostEndpoint'],
    // Calico's own API server shows pods and namespaces under these names; those are made from pods and namespaces here.
    ['workloadendpoints', 'WorkloadEndpoint', { isNeeded: false }],
    ['profiles', 'Profile', { isNeeded: false }],
    ['felixconfigurations', 'FelixConfiguration', { isNeeded: false }],
  ]);
}

/** Where Calico's objects are stored, best first (specification section 1.0.1). One of them is read, never both. */
export const CALICO: readonly (readonly ApiResource[])[] = [
  calico('crd.projectcalico.org/v1'),
  calico('projectcalico.org/v3'),
];

/** `v1`, `networking.k8s.io/v1`. */
export function groupVersionOf({ group, version }: Pick<ApiResource, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** `/api/v1/pods`, `/apis/networking.k8s.io/v1/networkpolicies`. */
export function pathOf(resource: ApiResource): string {
  const root = resource.group === '' ? 'api' : 'apis';
  return `/${root}/${groupVersionOf(resource)}/${resource.plural}`;
}

/** For people: `api pods`, `api networking.k8s.io/networkpolicies`. */
export function printResource({ group, plural }: Pick<ApiResource, 'group' | 'plural'>): string {
  return group === '' ? `api ${plural}` : `api ${group}/${plural}`;
}
