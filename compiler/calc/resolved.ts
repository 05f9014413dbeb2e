/**
 * What the calculation hands on: per local endpoint the ordered policies, per policy the rules with their peers as named sets,
 * per set its members. Names only; members travel as deltas beside them.
 */
import type { HostEndpoint, WorkloadEndpoint } from '../model/cluster.ts';
import type { Address, Cidr } from '../model/ip.ts';
import type { Rule } from '../model/policy.ts';
import type { Selector } from '../model/selector.ts';

/** Unique by content: equal specs have equal ids. */
export type SetSpec =
  /** Addresses and prefixes of everything the selector matches. */
  | { readonly kind: 'addresses'; readonly id: string; readonly selector: Selector }
  /** (address, protocol, port) of the endpoints that the selector matches and that declare a port of one of the names. */
  | {
      readonly kind: 'named-port';
      readonly id: string;
      readonly selector: Selector;
      readonly protocol: number | undefined;
      /** Sorted, each once. */
      readonly ports: readonly string[];
    }
  /** Endpoint addresses of a service, with or without its target ports. */
  | {
      readonly kind: 'service';
      readonly id: string;
      readonly service: string;
      readonly withPorts: boolean;
    };

export type Member =
  | { readonly kind: 'net'; readonly cidr: Cidr }
  | {
      readonly kind: 'port';
      readonly address: Address;
      readonly protocol: number;
      readonly port: number;
    };

/** Set ids of one side of a rule. */
export interface ResolvedEntity {
  readonly positive: string | undefined;
  readonly negative: string | undefined;
  /** For all names in `ports`. */
  readonly namedPorts: string | undefined;
  /** For all names in `notPorts`. */
  readonly notNamedPorts: string | undefined;
  readonly service: { readonly id: string; readonly withPorts: boolean } | undefined;
}

export interface ResolvedRule {
  readonly rule: Rule;
  readonly source: ResolvedEntity;
  readonly destination: ResolvedEntity;
}

/**
 * What an Allow of the policy ends (specification section 3.6): `tracked` the stage it is in; `pre-dnat` and `untracked` every later stage
 * of host ingress, and for `untracked` also of host egress, too. Profiles are `tracked`.
 */
export type PolicyStage = 'tracked' | 'pre-dnat' | 'untracked';

/** A policy, a profile, or the stand-in for a profile that does not exist (one deny). */
export interface ResolvedPolicy {
  /** `np/<ns>/<name>`, `pro/<name>`. */
  readonly id: string;
  readonly stage: PolicyStage;
  /** Flow logs tell of what its rules allow, whatever the configuration says. */
  readonly logAllowed: boolean;
  readonly ingress: readonly ResolvedRule[];
  readonly egress: readonly ResolvedRule[];
  readonly sets: ReadonlyMap<string, SetSpec>;
}

export interface ResolvedTier {
  readonly name: string;
  readonly end: 'deny' | 'pass';
  /** Ids, in order; at least one. */
  readonly policies: readonly string[];
}

export interface ResolvedDirection {
  readonly tiers: readonly ResolvedTier[];
  /** Ids of profiles, in order. */
  readonly profiles: readonly string[];
}

export interface ResolvedEndpoint {
  readonly endpoint: WorkloadEndpoint;
  /** Addresses it owns: without those that a newer endpoint has taken over. */
  readonly addresses: readonly Address[];
  /** Flow logs tell of all that it is allowed, by whatever policy: one of its profiles says so. */
  readonly logAllowed: boolean;
  readonly ingress: ResolvedDirection;
  readonly egress: ResolvedDirection;
}

/** Tiers that leave undecided what none of them decides. */
export interface ResolvedTiers {
  readonly ingress: readonly ResolvedTier[];
  readonly egress: readonly ResolvedTier[];
}

/** A host endpoint of this node, whether or not an interface is its own. Specification sections 3.4 to 3.7. */
export interface ResolvedHostEndpoint {
  readonly endpoint: HostEndpoint;
  /** What the host itself receives and sends. */
  readonly normal: { readonly ingress: ResolvedDirection; readonly egress: ResolvedDirection };
  /** `undefined` = no policy of it applies on forward: forwarded packets are accepted. */
  readonly forward: ResolvedTiers | undefined;
  /** Ingress, before addresses are translated. Empty = nothing to judge. */
  readonly preDnat: readonly ResolvedTier[];
  /** Before connection tracking. Always empty for `*`. */
  readonly untracked: ResolvedTiers;
}

export interface SetDelta {
  readonly spec: SetSpec;
  readonly added: readonly Member[];
  readonly removed: readonly Member[];
}

/** Everything that changed since the last flush; `undefined` = gone. */
export interface CalcChanges {
  /** By endpoint id. */
  readonly endpoints: ReadonlyMap<string, ResolvedEndpoint | undefined>;
  /** By name. */
  readonly hostEndpoints: ReadonlyMap<string, ResolvedHostEndpoint | undefined>;
  /** By name of the Node object: the addresses of every node there is. */
  readonly nodes: ReadonlyMap<string, readonly Address[] | undefined>;
  /** By policy id: policies and profiles in use whose rules are new or changed. */
  readonly policies: ReadonlyMap<string, ResolvedPolicy | undefined>;
  /** By set id. */
  readonly sets: ReadonlyMap<string, SetDelta | undefined>;
}
