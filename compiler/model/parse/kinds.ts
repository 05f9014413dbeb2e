/** Which kinds are read, in which versions, and by whom. A new kind is a row here. */
import type { Resource } from '../cluster.ts';
import {
  parseAdminNetworkPolicy,
  parseBaselineAdminNetworkPolicy,
} from './admin-network-policy.ts';
import { parseCalicoPolicy } from './calico-policy.ts';
import { parseClusterNetworkPolicy } from './cluster-network-policy.ts';
import { parseEndpointSlice } from './endpoint-slice.ts';
import { parseFelixConfiguration } from './felix-configuration.ts';
import { parseHostEndpoint } from './host-endpoint.ts';
import { parseKubernetesNetworkPolicy } from './kubernetes-network-policy.ts';
import type { Metadata, Scope } from './metadata.ts';
import { parseNamespace } from './namespace.ts';
import type { PodContext } from './endpoint-parts.ts';
import { parseNetworkSet } from './network-set.ts';
import { parseNode } from './node.ts';
import { parsePod } from './pod.ts';
import { parseProfile } from './profile.ts';
import type { Cursor } from './reader.ts';
import { parseService } from './service.ts';
import { parseServiceAccount } from './service-account.ts';
import { parseTier } from './tier.ts';
import { parseWorkloadEndpoint } from './workload-endpoint.ts';

/** An object whose metadata is in order. */
export interface KindInput {
  readonly root: Cursor;
  readonly spec: Cursor;
  readonly meta: Metadata;
  readonly context: PodContext;
}

export interface KindRow {
  readonly scope: Scope;
  /** Unknown fields at the top are looked at; not so for kinds that are much larger than what is read of them. */
  readonly isStrict: boolean;
  /** Its stored name may carry its tier. */
  readonly isPolicy: boolean;
  parse(input: KindInput): Resource | undefined;
}

/** The version in which Calico's objects are stored when its API server runs; their metadata is in an annotation. */
export const STORED_CALICO = 'crd.projectcalico.org/v1';

type Parse = KindRow['parse'];

function policy(scope: Scope, parse: Parse): KindRow {
  return { scope, isStrict: true, isPolicy: true, parse };
}

function strict(scope: Scope, parse: Parse): KindRow {
  return { scope, isStrict: true, isPolicy: false, parse };
}

function loose(scope: Scope, parse: Parse): KindRow {
  return { scope, isStrict: false, isPolicy: false, parse };
}

type Kinds = ReadonlyMap<string, KindRow>;

const CALICO: Kinds = new Map([
  [
    'NetworkPolicy',
    policy('namespaced', ({ spec, meta }) => parseCalicoPolicy(spec, meta, 'NetworkPolicy')),
  ],
  [
    'GlobalNetworkPolicy',
    policy('cluster', ({ spec, meta }) => parseCalicoPolicy(spec, meta, 'GlobalNetworkPolicy')),
  ],
  [
    'StagedNetworkPolicy',
    policy('namespaced', ({ spec, meta }) => parseCalicoPolicy(spec, meta, 'StagedNetworkPolicy')),
  ],
  [
    'StagedGlobalNetworkPolicy',
    policy('cluster', ({ spec, meta }) =>
      parseCalicoPolicy(spec, meta, 'StagedGlobalNetworkPolicy'),
    ),
  ],
  [
    'StagedKubernetesNetworkPolicy',
    policy('namespaced', ({ spec, meta }) =>
      parseKubernetesNetworkPolicy(spec, meta, 'StagedKubernetesNetworkPolicy'),
    ),
  ],
  ['Tier', strict('cluster', ({ spec, meta }) => parseTier(spec, meta))],
  ['Profile', strict('cluster', ({ spec, meta }) => parseProfile(spec, meta))],
  [
    'WorkloadEndpoint',
    strict('namespaced', ({ spec, meta, context }) => parseWorkloadEndpoint(spec, meta, context)),
  ],
  ['NetworkSet', strict('namespaced', ({ spec, meta }) => parseNetworkSet(spec, meta))],
  ['GlobalNetworkSet', strict('cluster', ({ spec, meta }) => parseNetworkSet(spec, meta))],
  ['HostEndpoint', strict('cluster', ({ spec, meta }) => parseHostEndpoint(spec, meta))],
  ['FelixConfiguration', loose('cluster', ({ spec, meta }) => parseFelixConfiguration(spec, meta))],
]);

const CORE: Kinds = new Map([
  ['Pod', loose('namespaced', ({ root, meta, context }) => parsePod(root, meta, context))],
  ['Namespace', loose('cluster', ({ meta }) => parseNamespace(meta))],
  ['ServiceAccount', loose('namespaced', ({ meta }) => parseServiceAccount(meta))],
  ['Service', loose('namespaced', ({ meta }) => parseService(meta))],
  ['Node', loose('cluster', ({ root, meta }) => parseNode(root, meta))],
]);

const NETWORKING: Kinds = new Map([
  [
    'NetworkPolicy',
    strict('namespaced', ({ spec, meta }) =>
      parseKubernetesNetworkPolicy(spec, meta, 'KubernetesNetworkPolicy'),
    ),
  ],
]);

const DISCOVERY: Kinds = new Map([
  ['EndpointSlice', loose('namespaced', ({ root, meta }) => parseEndpointSlice(root, meta))],
]);

const CLUSTER_POLICY: Kinds = new Map([
  [
    'ClusterNetworkPolicy',
    strict('cluster', ({ spec, meta }) => parseClusterNetworkPolicy(spec, meta)),
  ],
]);

const ADMIN_POLICY: Kinds = new Map([
  [
    'AdminNetworkPolicy',
    strict('cluster', ({ spec, meta }) => parseAdminNetworkPolicy(spec, meta)),
  ],
  [
    'BaselineAdminNetworkPolicy',
    strict('cluster', ({ spec, meta }) => parseBaselineAdminNetworkPolicy(spec, meta)),
  ],
]);

/** By `apiVersion`, then by kind. */
export const KINDS_BY_VERSION: ReadonlyMap<string, Kinds> = new Map([
  ['projectcalico.org/v3', CALICO],
  [STORED_CALICO, CALICO],
  ['v1', CORE],
  ['networking.k8s.io/v1', NETWORKING],
  ['policy.networking.k8s.io/v1alpha2', CLUSTER_POLICY],
  ['policy.networking.k8s.io/v1alpha1', ADMIN_POLICY],
  ['discovery.k8s.io/v1', DISCOVERY],
]);

/** Every kind once, for hints. */
export const KIND_NAMES: readonly string[] = [
  ...new Set([...KINDS_BY_VERSION.values()].flatMap((kinds) => [...kinds.keys()])),
];
