/** What the oracle answers: a verdict, what decided it, and every step on the way. Data only. */
import type { Action, Direction } from '../model/policy.ts';

export type Verdict = 'allow' | 'deny';

/** A rule of a policy, or of a profile (`tier` undefined). */
export interface RuleRef {
  readonly tier: string | undefined;
  /** `np/<ns>/<name>`, `pro/<name>`. */
  readonly policy: string;
  readonly direction: Direction;
  /** Index in the manifest's list. */
  readonly index: number;
  readonly name: string | undefined;
}

/** Why a packet is decided where no rule decides. */
export type ImplicitReason =
  /** Selected by enforced policies of a tier that denies what they do not decide. */
  | 'end-of-tier'
  /** No profile of the endpoint allows or denies. */
  | 'no-profile'
  /** The endpoint lists a profile that nobody declares: denied at its place in the list. */
  | 'missing-profile'
  /** The endpoint is not running. */
  | 'inactive-endpoint'
  /** An interface with the workload prefix that no endpoint claims. */
  | 'unknown-interface'
  /** The source address is not the sender's. */
  | 'spoofed-source'
  /** UDP to the VXLAN port, or protocol 4, from a workload. */
  | 'encapsulation'
  /** From a local host process to a local workload. */
  | 'host-to-workload'
  /** From a local workload to its host: `defaultEndpointToHostAction`. */
  | 'endpoint-to-host'
  /** ICMPv6 that a workload needs to talk to its router. */
  | 'neighbour-discovery'
  /** Part of a connection that was allowed before. */
  | 'established'
  /** Connection tracking makes no sense of it. */
  | 'invalid'
  /** A port that host policy cannot close: `failsafes`. */
  | 'failsafe'
  /** Untracked or pre-DNAT policy of a host endpoint has allowed it. */
  | 'accepted-earlier'
  /** No rule of untracked, pre-DNAT or forward policy decides: on to the next stage. */
  | 'undecided'
  /** Forwarded, and no policy with `applyOnForward` selects the host endpoint. */
  | 'no-forward-policy'
  /** A tunnel between hosts, with a host that takes part in it. */
  | 'tunnel'
  /** The same with anybody else. */
  | 'tunnel-stranger'
  /** To or from this host over an interface that no host endpoint governs. */
  | 'no-host-endpoint'
  /** Neither end is a local workload, and no interface is known that a host endpoint governs. */
  | 'not-governed';

export type Decisive =
  | { readonly kind: 'rule'; readonly rule: RuleRef }
  | {
      readonly kind: 'implicit';
      readonly reason: ImplicitReason;
      /** For `end-of-tier`: the tier, and the ids of the policies that select the endpoint there. */
      readonly tier: string | undefined;
      readonly selectedBy: readonly string[];
    };

export type Step =
  | { readonly kind: 'match'; readonly rule: RuleRef; readonly action: Action }
  /** `because` names the first condition that does not hold, as `destination.ports`. */
  | { readonly kind: 'no-match'; readonly rule: RuleRef; readonly because: string }
  /** No rule of the tier decided and the tier passes. */
  | { readonly kind: 'end-of-tier'; readonly tier: string };

/** A tier that was looked at, with the ids of the policies that select the endpoint there, in order. */
export interface TierVisit {
  readonly tier: string;
  readonly policies: readonly string[];
}

export interface Decision {
  readonly verdict: Verdict;
  readonly decisive: Decisive;
  /** In order; the last one decided, unless profiles did. */
  readonly tiers: readonly TierVisit[];
  readonly trace: readonly Step[];
  /** Log rules that matched before the decision, in order. */
  readonly logged: readonly RuleRef[];
}

/** A decision without steps and rules. */
export function decideImplicitly(verdict: Verdict, reason: ImplicitReason): Decision {
  const decisive: Decisive = { kind: 'implicit', reason, tier: undefined, selectedBy: [] };
  return { verdict, decisive, tiers: [], trace: [], logged: [] };
}
