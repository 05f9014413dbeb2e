/**
 * What a reader of the calculation's changes knows: endpoints, policies and set members, kept up to date flush by flush, and
 * programs lowered from them. Throws when a change contradicts what came before it.
 */
import { memberKey } from '../../compiler/calc/member-sets.ts';
import type {
  CalcChanges,
  Member,
  ResolvedEndpoint,
  ResolvedPolicy,
  SetDelta,
} from '../../compiler/calc/resolved.ts';
import type { MemberOf } from '../../compiler/ir/eval.ts';
import type { IrPolicy, IrProgram } from '../../compiler/ir/ir.ts';
import { lowerPolicy } from '../../compiler/ir/lower.ts';
import { cidrContains } from '../../compiler/model/ip.ts';
import type { Family } from '../../compiler/model/ip.ts';
import type { Direction } from '../../compiler/model/policy.ts';

export class Calculated {
  readonly endpoints = new Map<string, ResolvedEndpoint>();
  readonly #policies = new Map<string, ResolvedPolicy>();
  readonly #sets = new Map<string, Map<string, Member>>();

  apply(changes: CalcChanges): void {
    applyAll(this.endpoints, changes.endpoints);
    applyAll(this.#policies, changes.policies);
    for (const [id, delta] of changes.sets) {
      if (delta === undefined) this.#sets.delete(id);
      else this.#sets.set(id, applyDelta(this.#sets.get(id) ?? new Map<string, Member>(), delta));
    }
  }

  /** Throws when the endpoint, a policy or a profile it names is not there. */
  programOf(endpointId: string, direction: Direction, family: Family): IrProgram {
    const endpoint = known(this.endpoints, endpointId);
    const lower = (id: string): IrPolicy =>
      lowerPolicy(known(this.#policies, id), direction, family);
    const { tiers, profiles } = endpoint[direction];
    return {
      direction,
      family,
      tiers: tiers.map(({ name, end, policies }) => ({ name, end, policies: policies.map(lower) })),
      profiles: profiles.map(lower),
    };
  }

  /** Throws when a program asks for a set that is not there. */
  memberOf(family: Family): MemberOf {
    return (set, values) =>
      [...known(this.#sets, set).values()].some((member) => hasValues(member, family, values));
  }

  /** Set id to member keys, sorted: what two readers must agree on. */
  setMembers(): ReadonlyMap<string, readonly string[]> {
    const sets = [...this.#sets].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return new Map(sets.map(([id, members]) => [id, [...members.keys()].toSorted()]));
  }
}

function hasValues(member: Member, family: Family, values: readonly bigint[]): boolean {
  const [value = 0n, protocol, port] = values;
  if (member.kind === 'net') {
    return values.length === 1 && cidrContains(member.cidr, { family, value });
  }
  return (
    member.address.family === family &&
    member.address.value === value &&
    BigInt(member.protocol) === protocol &&
    BigInt(member.port) === port
  );
}

function applyDelta(members: Map<string, Member>, delta: SetDelta): Map<string, Member> {
  for (const member of delta.removed) {
    if (!members.delete(memberKey(member))) {
      throw new Error(`${delta.spec.id}: ${memberKey(member)} removed, but was never added`);
    }
  }
  for (const member of delta.added) {
    const key = memberKey(member);
    if (members.has(key)) throw new Error(`${delta.spec.id}: ${key} added twice`);
    members.set(key, member);
  }
  return members;
}

function applyAll<T>(target: Map<string, T>, changes: ReadonlyMap<string, T | undefined>): void {
  for (const [id, value] of changes) {
    if (value === undefined) target.delete(id);
    else target.set(id, value);
  }
}

function known<T>(map: ReadonlyMap<string, T>, id: string): T {
  const value = map.get(id);
  if (value === undefined) throw new Error(`unknown: ${id}`);
  return value;
}
