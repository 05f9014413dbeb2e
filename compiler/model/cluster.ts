/** Everything that is not a policy: tiers, profiles, endpoints, network sets, services. Specification sections 1.4 to 1.13 and 10. */
import type { Address, Cidr } from './ip.ts';
import type { Policy, Rule } from './policy.ts';
import type { Selector } from './selector.ts';

/** Label key to value. */
export type Labels = Readonly<Record<string, string>>;

export interface Tier {
  readonly kind: 'Tier';
  readonly name: string;
  /** `undefined` sorts last. */
  readonly order: number | undefined;
  readonly defaultAction: 'pass' | 'deny';
}

/** Built in, present without any manifest (specification section 1.4). */
export const BUILT_IN_TIERS: readonly Tier[] = [
  { kind: 'Tier', name: 'kube-admin', order: 1_000, defaultAction: 'pass' },
  { kind: 'Tier', name: 'default', order: 1_000_000, defaultAction: 'deny' },
  { kind: 'Tier', name: 'kube-baseline', order: 10_000_000, defaultAction: 'pass' },
];

/** From `kind: Profile`, and from Namespace (`kns.<ns>`) and ServiceAccount (`ksa.<ns>.<sa>`). */
export interface Profile {
  readonly kind: 'Profile';
  readonly name: string;
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
  /** Inherited by every endpoint and network set that lists the profile. */
  readonly labelsToApply: Labels;
  /**
   * All that workloads with the profile are allowed is to be in flow logs, by whatever policy; for host endpoints what the profile itself
   * allows. From the annotation of the Profile, Namespace or ServiceAccount.
   */
  readonly logAllowed?: boolean;
}

const ALLOW_ALL: readonly Rule[] = [
  { action: 'allow', index: 0, name: undefined, match: 'everything' },
];

/** Built in, never from a manifest (specification section 1.0.3). */
export const BUILT_IN_PROFILES: readonly Profile[] = [
  {
    kind: 'Profile',
    name: 'projectcalico-default-allow',
    ingress: ALLOW_ALL,
    egress: ALLOW_ALL,
    labelsToApply: {},
  },
];

/** Protocol number (6, 17 or 132) and port of a container or host port. */
export interface NamedPort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
}

/** A pod's interface, or a VM's. */
export interface WorkloadEndpoint {
  readonly kind: 'WorkloadEndpoint';
  /** `<namespace>/<pod or endpoint name>`, unique. */
  readonly id: string;
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  /** Own labels, including the three `projectcalico.org/` ones (specification section 2.5). */
  readonly labels: Labels;
  /** In order: `kns.<ns>`, then `ksa.<ns>.<sa>`; or as the manifest lists them. */
  readonly profiles: readonly string[];
  readonly addresses: readonly Address[];
  /** Named by the manifest; `undefined` for pods, whose interface the agent finds. */
  readonly interfaceName: string | undefined;
  readonly ports: readonly NamedPort[];
  /** Prefixes that it may also send from, where the configuration allows that. */
  readonly allowedSourcePrefixes: readonly Cidr[];
  /** Running and not host-networked. An endpoint that is not active owns no address. */
  readonly active: boolean;
  /** Creation time, milliseconds since the epoch; the newest active owner of an address wins. 0 when unknown. */
  readonly createdMs: number;
  /** From a Pod, so interface names follow Calico's hash. */
  readonly isPod: boolean;
}

export interface HostEndpoint {
  readonly kind: 'HostEndpoint';
  readonly name: string;
  readonly node: string;
  readonly labels: Labels;
  /** `*` = every host interface without a HostEndpoint of its own; `undefined` = found by `expectedIPs`. */
  readonly interfaceName: string | undefined;
  readonly expectedIPs: readonly Address[];
  readonly profiles: readonly string[];
  readonly ports: readonly NamedPort[];
}

/** NetworkSet (`namespace` set; labels and profiles as specification section 1.5) and GlobalNetworkSet. */
export interface NetworkSet {
  readonly kind: 'NetworkSet';
  readonly namespace: string | undefined;
  readonly name: string;
  readonly labels: Labels;
  readonly profiles: readonly string[];
  readonly nets: readonly Cidr[];
}

/** Members of one EndpointSlice. `ports` empty = none usable for a destination match. */
export interface ServiceEndpoints {
  readonly kind: 'ServiceEndpoints';
  readonly namespace: string;
  readonly name: string;
  readonly service: string;
  readonly addresses: readonly Address[];
  readonly ports: readonly { readonly protocol: number; readonly port: number }[];
}

/** Read for validation and display only. */
export interface Service {
  readonly kind: 'Service';
  readonly namespace: string;
  readonly name: string;
}

export interface Node {
  readonly kind: 'Node';
  readonly name: string;
  readonly labels: Labels;
  readonly addresses: readonly Address[];
}

/** Calico's settings for all nodes (`default`), for one (`node.<name>`), or for those that `nodeSelector` finds. Read for defaults only. */
export interface FelixConfiguration {
  readonly kind: 'FelixConfiguration';
  readonly name: string;
  /** Over the labels of the Node; `undefined` matches none. */
  readonly nodeSelector: Selector | undefined;
  /** Milliseconds since the epoch. 0 when unknown. */
  readonly createdMs: number;
  /** By lower-case parameter name, as text. */
  readonly parameters: ReadonlyMap<string, string>;
}

export type Resource =
  | Policy
  | Tier
  | Profile
  | WorkloadEndpoint
  | HostEndpoint
  | NetworkSet
  | ServiceEndpoints
  | Service
  | Node
  | FelixConfiguration;
