/**
 * Policies as values, the same shape for every API they can be written in. What a field means is in the specification,
 * sections 1 to 5; what an invalid part means is design section 8: nothing is ever widened by an error.
 */
import type { Cidr, Family } from './ip.ts';
import type { Selector } from './selector.ts';

export type Direction = 'ingress' | 'egress';

/** Key kinds of specification section 1.0.2, and the two v1alpha1 kinds that Calico dropped. */
export type PolicyKind =
  | 'NetworkPolicy'
  | 'GlobalNetworkPolicy'
  | 'StagedNetworkPolicy'
  | 'StagedGlobalNetworkPolicy'
  | 'StagedKubernetesNetworkPolicy'
  | 'KubernetesNetworkPolicy'
  | 'KubernetesClusterNetworkPolicy'
  | 'AdminNetworkPolicy'
  | 'BaselineAdminNetworkPolicy';

/** Short names, as in chain names, counters and logs. */
export const POLICY_SHORT_NAMES: Readonly<Record<PolicyKind, string>> = {
  NetworkPolicy: 'np',
  GlobalNetworkPolicy: 'gnp',
  StagedNetworkPolicy: 'snp',
  StagedGlobalNetworkPolicy: 'sgnp',
  StagedKubernetesNetworkPolicy: 'sknp',
  KubernetesNetworkPolicy: 'knp',
  KubernetesClusterNetworkPolicy: 'kcnp',
  AdminNetworkPolicy: 'anp',
  BaselineAdminNetworkPolicy: 'banp',
};

export interface Policy {
  readonly kind: 'Policy';
  readonly policyKind: PolicyKind;
  /** `undefined` for cluster-scoped kinds. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly tier: string;
  /** `undefined` sorts last in the tier. */
  readonly order: number | undefined;
  /** Staged policies are never enforced. */
  readonly staged: boolean;
  /** Every part is a conjunct; `undefined` = no restriction. Unprefixed, as written: scopes are applied by the reader. */
  readonly selector: Selector | undefined;
  readonly namespaceSelector: Selector | undefined;
  readonly serviceAccountSelector: Selector | undefined;
  /** Directions governed, already defaulted. */
  readonly types: readonly Direction[];
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
  readonly applyOnForward: boolean;
  readonly preDnat: boolean;
  readonly doNotTrack: boolean;
  /** What its rules allow is to be in flow logs, too: annotation `picket/log-allowed`. */
  readonly logAllowed?: boolean;
}

export type Action = 'allow' | 'deny' | 'pass' | 'log';

export interface Rule {
  readonly action: Action;
  /** Index of the rule in the manifest's list; several rules of a converted policy share one. */
  readonly index: number;
  /** The rule's own name where the API has one. */
  readonly name: string | undefined;
  /** An invalid rule has no conditions any more: allow, pass and log match nothing, deny matches everything. */
  readonly match: RuleMatch | 'nothing' | 'everything';
}

/** All parts are ANDed; `undefined` and empty lists do not restrict (specification section 2.8). */
export interface RuleMatch {
  readonly ipVersion: Family | undefined;
  readonly protocol: ProtocolMatch | undefined;
  readonly notProtocol: ProtocolMatch | undefined;
  readonly icmp: IcmpMatch | undefined;
  /** Negates the pair type and code; implies the family's ICMP protocol. */
  readonly notIcmp: IcmpMatch | undefined;
  readonly source: EntityMatch;
  readonly destination: EntityMatch;
}

/** Conditions on the packet's headers apart from its two ends; evaluators keep a total table of them. */
export type HeaderCondition = Exclude<keyof RuleMatch, 'source' | 'destination'>;

/** `number` 1..255. `family` is set where the protocol was given by a name that implies one (ICMP: 4, ICMPv6: 6). */
export interface ProtocolMatch {
  readonly number: number;
  readonly family: Family | undefined;
}

/** `type` 0..254, `code` 0..255 or any. */
export interface IcmpMatch {
  readonly type: number;
  readonly code: number | undefined;
}

/** One side of a rule; specification sections 2.7, 4.2 to 4.4. */
export interface EntityMatch {
  readonly nets: readonly Cidr[];
  readonly notNets: readonly Cidr[];
  readonly selector: Selector | undefined;
  readonly notSelector: Selector | undefined;
  readonly namespaceSelector: Selector | undefined;
  readonly serviceAccounts: ServiceAccountMatch | undefined;
  readonly ports: readonly PortMatch[];
  readonly notPorts: readonly PortMatch[];
  /** Namespace always filled in. */
  readonly service: { readonly namespace: string; readonly name: string } | undefined;
}

/** `names` empty = any; parts are ANDed. */
export interface ServiceAccountMatch {
  readonly names: readonly string[];
  readonly selector: Selector | undefined;
}

/** Inclusive, 0 <= first <= last <= 65535; or a declared port's name. */
export type PortMatch =
  | { readonly kind: 'range'; readonly first: number; readonly last: number }
  | { readonly kind: 'named'; readonly name: string };

export const ANY_ENTITY: EntityMatch = Object.freeze({
  nets: [],
  notNets: [],
  selector: undefined,
  notSelector: undefined,
  namespaceSelector: undefined,
  serviceAccounts: undefined,
  ports: [],
  notPorts: [],
  service: undefined,
});

/** `np/<namespace>/<name>` or `gnp/<name>`: the policy's id in chain names, counters and logs. */
export function policyId(policy: Pick<Policy, 'policyKind' | 'namespace' | 'name'>): string {
  const short = POLICY_SHORT_NAMES[policy.policyKind];
  return policy.namespace === undefined
    ? `${short}/${policy.name}`
    : `${short}/${policy.namespace}/${policy.name}`;
}
