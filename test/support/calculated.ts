/**
 * What a reader of the calculation's changes knows: endpoints, policies and set members, kept up to date flush by flush, and
 * programs lowered from them. Throws when a change contradicts what came before it.
 */
import { memberKey } from '../../compiler/calc/member-sets.ts';
import type {
  CalcChanges,
  Member,
  ResolvedDirection,
  ResolvedEndpoint,
  ResolvedHostEndpoint,
  ResolvedPolicy,
  SetDelta,
} from '../../compiler/calc/resolved.ts';
import type { MemberOf } from '../../compiler/ir/eval.ts';
import type { IrProgram } from '../../compiler/ir/ir.ts';
import { lowerProgram } from '../../compiler/ir/program.ts';
import { cidrContains } from '../../compiler/model/ip.ts';
import type { Family } from '../../compiler/model/ip.ts';
import type { Direction } from '../../compiler/model/policy.ts';

/** The four lists of specification section 3.4, point 2. */
export type HostList = 'normal' | 'forward' | 'pre-dnat' | 'untracked';

export class Calculated {
  readonly endpoints = new Map<string, ResolvedEndpoint>();
  readonly hostEndpoints = new Map<string, ResolvedHostEndpoint>();
  readonly #policies = new Map<string, ResolvedPolicy>();
  readonly #sets = new Map<string, Map<string, Member>>();

  apply(changes: CalcChanges): void {
    applyAll(this.endpoints, changes.endpoints);
    applyAll(this.hostEndpoints, changes.hostEndpoints);
    applyAll(this.#policies, changes.policies);
    for (const [id, delta] of changes.sets) {
      if (delta === undefined) this.#sets.delete(id);
      else this.#sets.set(id, applyDelta(this.#sets.get(id) ?? new Map<string, Member>(), delta));
    }
  }

  /** Throws when the endpoint, a policy or a profile it names is not there. */
  programOf(endpointId: string, direction: Direction, family: Family): IrProgram {
    const endpoint = known(this.endpoints, endpointId);
    return this.#lower(endpoint[direction], direction, family);
  }

  /** Of one list of a host endpoint's policies; `undefined` where it has none that counts. Only `normal` ends in profiles. */
  hostProgramOf(
    name: string,
    list: HostList,
    direction: Direction,
    family: Family,
  ): IrProgram | undefined {
    const { normal, forward, preDnat, untracked } = known(this.hostEndpoints, name);
    if (list === 'normal') return this.#lower(normal[direction], direction, family);
    const early = direction === 'ingress' ? preDnat : [];
    const tiers = {
      forward: forward?.[direction],
      'pre-dnat': early,
      untracked: untracked[direction],
    };
    const own = tiers[list];
    return own && this.#lower({ tiers: own, profiles: [] }, direction, family);
  }

  #lower(resolved: ResolvedDirection, direction: Direction, family: Family): IrProgram {
    return lowerProgram(resolved, (id) => this.#policies.get(id), direction, family);
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
