/**
 * Packets denied, by direction and reason, from the kernel's named counters. Counters come and go with rules and policies; the totals made of
 * them never go back, so that rates are right: each reading adds what each counter has grown by.
 */
import type { ResolvedPolicy } from '../../compiler/calc/resolved.ts';
import { ruleCounter } from '../../compiler/nft/lower-chain.ts';
import type { Counters } from '../dataplane/counters.ts';
import type { CounterValue } from '../netlink/request.ts';

export interface DeniedTotal {
  /** `ingress`, `egress`, `forward`, or a host stage such as `host-ingress`. */
  readonly direction: string;
  /** `policy` for a rule's Deny, else the implicit reason: `end-of-tier`, `no-profile`, `anti-spoofing`, … */
  readonly reason: string;
  packets: bigint;
  bytes: bigint;
}

/** Second parts of the names of counters that count implicit denies; policies' have the short name of a kind there. */
const IMPLICIT: ReadonlySet<string> = new Set([
  'end-of-tier',
  'no-profile',
  'unknown-interface',
  'anti-spoofing',
  'invalid-state',
  'encapsulation',
  'endpoint-to-host',
  'service-loop',
  'refused',
]);

export class DeniedTotals {
  readonly #before = new Map<string, CounterValue>();
  readonly #totals = new Map<string, DeniedTotal>();

  /** `policies` in use; values that are lower than before belong to a counter that was made anew. */
  add(counters: Counters, policies: readonly ResolvedPolicy[]): void {
    const denyRules = denyCounters(policies);
    for (const [name, value] of counters) {
      const [direction = '', second = ''] = name.split('/');
      const isImplicit = IMPLICIT.has(second);
      if (!isImplicit && !denyRules.has(name)) continue;
      const before = this.#before.get(name);
      this.#before.set(name, value);
      const base = before !== undefined && before.packets <= value.packets ? before : ZERO;
      const total = this.#totalOf(direction, isImplicit ? second : 'policy');
      total.packets += value.packets - base.packets;
      total.bytes += value.bytes > base.bytes ? value.bytes - base.bytes : 0n;
    }
    for (const name of this.#before.keys()) if (!counters.has(name)) this.#before.delete(name);
  }

  totals(): readonly DeniedTotal[] {
    return [...this.#totals.values()];
  }

  #totalOf(direction: string, reason: string): DeniedTotal {
    const key = `${direction} ${reason}`;
    const known = this.#totals.get(key);
    if (known !== undefined) return known;
    const total = { direction, reason, ...ZERO };
    this.#totals.set(key, total);
    return total;
  }
}

const ZERO: CounterValue = { packets: 0n, bytes: 0n };

function denyCounters(policies: readonly ResolvedPolicy[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const policy of policies) {
    for (const direction of ['ingress', 'egress'] as const) {
      for (const { rule } of policy[direction]) {
        if (rule.action === 'deny') names.add(ruleCounter(policy.id, direction, rule.index).name);
      }
    }
  }
  return names;
}
