/**
 * The table as a function of the calculation: takes its changes and where endpoints are, keeps the desired table up to date. Work is
 * proportional to the change: a new member is one element, an edited policy is its own chains, a new endpoint is its entry and elements.
 *
 *   vmap from-interface --> from-<endpoint> --> egress4/program/... --> jump egress4/tier/...  --> jump egress4/<policy> ...
 *                                                                   --> goto egress4/profiles/... --> jump egress4/pro/... ...
 */
import type {
  CalcChanges,
  ResolvedDirection,
  ResolvedEndpoint,
  ResolvedPolicy,
} from '../calc/resolved.ts';
import { lowerPolicy } from '../ir/lower.ts';
import type { Family } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import { DISPATCH, lowerBase, preambleChain } from './base.ts';
import type { BaseConfig } from './base.ts';
import { ChainStore } from './chain-store.ts';
import { elementName, elementsOf } from './dispatch.ts';
import type { DispatchElement, Placement } from './dispatch.ts';
import { goTo, jump, metaNfproto } from './exprs.ts';
import {
  deny,
  dropRuleOrigins,
  lowerPolicyChain,
  lowerSection,
  profileSectionName,
  programSectionName,
  tierSectionName,
} from './lower-chain.ts';
import type { LowerContext, LoweredPolicy, Section } from './lower-chain.ts';
import { endpointChain } from './names.ts';
import { PeerTables, setOrigin } from './peer-tables.ts';
import type { NftRule } from './program.ts';
import { Refs } from './refs.ts';
import type { Table } from './table.ts';

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];
const FAMILIES: readonly Family[] = [4, 6];

/** One policy in one direction and family, as the sections in `users` need it. */
interface PolicyEntry {
  readonly direction: Direction;
  readonly family: Family;
  readonly users: Set<string>;
  lowered: LoweredPolicy;
}

interface SectionEntry {
  readonly section: Section;
  readonly direction: Direction;
  readonly family: Family;
  refs: number;
}

interface EndpointEntry {
  readonly resolved: ResolvedEndpoint;
  readonly placement: Placement;
  readonly chains: readonly string[];
  /** Entry sections, four of them. */
  readonly sections: readonly string[];
  readonly elements: readonly DispatchElement[];
}

export class TableCompiler {
  readonly #table: Table;
  readonly #config: BaseConfig;
  readonly #chains: ChainStore;
  readonly #peers: PeerTables;
  readonly #policies = new Map<string, ResolvedPolicy>();
  /** Set id to the ids of the policies that refer to it. */
  readonly #setUsers = new Map<string, Set<string>>();
  /** By policy id, then by direction and family. */
  readonly #policyEntries = new Map<string, Map<string, PolicyEntry>>();
  readonly #sections = new Map<string, SectionEntry>();
  readonly #endpoints = new Map<string, EndpointEntry>();
  /** Dispatch elements; while an interface changes hands, two endpoints refer to the same one. */
  readonly #elements: Refs<DispatchElement>;
  readonly #refused = new Set<string>();
  readonly #context: LowerContext;
  /** Policy chains lowered so far; for tests that count work. */
  lowered = 0;

  constructor(table: Table, config: BaseConfig) {
    this.#table = table;
    this.#config = config;
    this.#chains = new ChainStore(table);
    this.#peers = new PeerTables(table);
    this.#elements = new Refs(
      ([set, element]) => {
        table.putElement(set, element);
      },
      ([set, element]) => {
        table.deleteElement(set, element);
      },
    );
    this.#context = {
      denyAction: config.denyAction,
      partsOf: (set, family) => this.#peers.partsOf(set, family),
      isRefused: (origin) => this.#refused.has(origin),
      isSetRefused: (set) => this.#refused.has(setOrigin(set)),
    };
    for (const set of Object.values(DISPATCH)) table.putSet(set);
    for (const chain of lowerBase(config)) this.#chains.put(chain);
  }

  /** `placementOf` says where an endpoint is now. */
  apply(changes: CalcChanges, placementOf: (endpoint: ResolvedEndpoint) => Placement): void {
    const stale = new Set<string>();
    for (const [id, delta] of changes.sets) {
      if (delta === undefined || !this.#peers.apply(delta)) continue;
      for (const policy of this.#setUsers.get(id) ?? []) stale.add(policy);
    }
    for (const [id, policy] of changes.policies) {
      if (policy === undefined) continue;
      dropRuleOrigins(this.#refused, id);
      this.#setPolicy(id, policy);
      stale.add(id);
    }
    for (const id of stale) this.#relower(id);
    for (const [id, resolved] of changes.endpoints) {
      for (const direction of DIRECTIONS) this.#refused.delete(endpointOrigin(id, direction));
      this.#setEndpoint(id, resolved, resolved && placementOf(resolved));
    }
    for (const [id, policy] of changes.policies) {
      if (policy === undefined) this.#setPolicy(id, undefined);
    }
    for (const [id, delta] of changes.sets) if (delta === undefined) this.#peers.drop(id);
  }

  /** An endpoint is found somewhere else. */
  place(id: string, placement: Placement): void {
    const entry = this.#endpoints.get(id);
    if (entry !== undefined) this.#setEndpoint(id, entry.resolved, placement);
  }

  /**
   * The kernel refused an object of this origin: the rule, or every rule that refers to the set, from now on matches nothing
   * (allow, pass, log) or everything (deny); an endpoint's direction is closed. False when the origin is none of these, or was refused
   * before.
   */
  refuse(origin: string): boolean {
    const isKnown = this.#policiesOf(origin).length > 0 || this.#endpointOf(origin) !== undefined;
    if (!isKnown || this.#refused.has(origin)) return false;
    this.#refused.add(origin);
    this.#table.withhold(origin);
    this.#relowerOrigin(origin);
    return true;
  }

  /** Gives everything refused another try; true when there was something. */
  forgive(): boolean {
    const origins = [...this.#refused];
    this.#refused.clear();
    this.#table.release();
    for (const origin of origins) this.#relowerOrigin(origin);
    return origins.length > 0;
  }

  get refused(): ReadonlySet<string> {
    return this.#refused;
  }

  #relowerOrigin(origin: string): void {
    for (const policy of this.#policiesOf(origin)) this.#relower(policy);
    const endpoint = this.#endpointOf(origin);
    if (endpoint === undefined) return;
    this.#setEndpoint(endpoint.resolved.endpoint.id, endpoint.resolved, endpoint.placement);
  }

  #endpointOf(origin: string): EndpointEntry | undefined {
    const [kind, id = ''] = origin.split(' ');
    return kind === 'endpoint' ? this.#endpoints.get(id) : undefined;
  }

  /** Policies whose rules an origin concerns. */
  #policiesOf(origin: string): string[] {
    const set = this.#peers.setOfOrigin(origin);
    if (set !== undefined) return [...(this.#setUsers.get(set) ?? [])];
    const policy = origin.slice(0, origin.lastIndexOf(' '));
    return this.#policyEntries.has(policy) ? [policy] : [];
  }

  endpoint(id: string): { readonly placement: Placement } | undefined {
    return this.#endpoints.get(id);
  }

  #setPolicy(id: string, policy: ResolvedPolicy | undefined): void {
    for (const set of this.#policies.get(id)?.sets.keys() ?? []) {
      const users = this.#setUsers.get(set);
      users?.delete(id);
      if (users?.size === 0) this.#setUsers.delete(set);
    }
    if (policy === undefined) this.#policies.delete(id);
    else this.#policies.set(id, policy);
    for (const set of policy?.sets.keys() ?? []) {
      const users = this.#setUsers.get(set) ?? new Set<string>();
      this.#setUsers.set(set, users.add(id));
    }
  }

  /** Lowers a policy again and, where the sections that use it hold its rules or must call it otherwise, those too. */
  #relower(policy: string): void {
    for (const entry of this.#policyEntries.get(policy)?.values() ?? []) {
      const before = entry.lowered;
      entry.lowered = this.#lowerPolicy(policy, entry.direction, entry.family);
      if (hasChain(entry.lowered)) this.#chains.put(entry.lowered);
      if (hasChain(before) && hasChain(entry.lowered)) continue;
      for (const section of entry.users) this.#putSection(section);
      if (hasChain(before)) this.#chains.delete(before.chain.name);
    }
  }

  #lowerPolicy(id: string, direction: Direction, family: Family): LoweredPolicy {
    const policy = this.#policies.get(id);
    if (policy === undefined) throw new RangeError(`policy ${id} is not resolved`);
    this.lowered++;
    return lowerPolicyChain(lowerPolicy(policy, direction, family), this.#context);
  }

  /** Takes one reference to the program of a direction and returns its entry chain. */
  #acquireProgram(resolved: ResolvedDirection, direction: Direction, family: Family): string {
    const profiles = profileSectionName(direction, family, resolved.profiles);
    this.#acquireSection(
      { kind: 'profiles', name: profiles, policies: resolved.profiles },
      direction,
      family,
    );
    if (resolved.tiers.length === 0) return profiles;
    const tiers = resolved.tiers.map((tier) => {
      const name = tierSectionName(direction, family, tier);
      const { end, policies } = tier;
      const section: Section = { kind: 'tier', name, tier: tier.name, end, policies };
      this.#acquireSection(section, direction, family);
      return name;
    });
    const name = programSectionName(direction, family, [...tiers, profiles]);
    this.#acquireSection({ kind: 'program', name, tiers, profiles }, direction, family);
    return name;
  }

  #acquireSection(section: Section, direction: Direction, family: Family): void {
    const entry = this.#sections.get(section.name);
    if (entry !== undefined) {
      entry.refs++;
      return;
    }
    this.#sections.set(section.name, { section, direction, family, refs: 1 });
    for (const policy of policiesOf(section)) {
      this.#policyEntry(policy, direction, family).users.add(section.name);
    }
    this.#putSection(section.name);
  }

  #policyEntry(policy: string, direction: Direction, family: Family): PolicyEntry {
    const key = `${direction}${family}`;
    const entries = this.#policyEntries.get(policy) ?? new Map<string, PolicyEntry>();
    this.#policyEntries.set(policy, entries);
    const known = entries.get(key);
    if (known !== undefined) return known;
    const lowered = this.#lowerPolicy(policy, direction, family);
    const entry: PolicyEntry = { direction, family, users: new Set(), lowered };
    entries.set(key, entry);
    if (hasChain(lowered)) this.#chains.put(lowered);
    return entry;
  }

  #putSection(name: string): void {
    const entry = this.#sections.get(name);
    if (entry === undefined) return;
    const { section, direction, family } = entry;
    const policies = policiesOf(section)
      .map((policy) => this.#policyEntry(policy, direction, family).lowered)
      .filter(({ chain }) => chain.rules.length > 0);
    this.#chains.put(lowerSection(section, direction, policies, this.#config.denyAction));
  }

  /** Gives back one reference to the section and to those it leads to. */
  #releaseProgram(name: string): void {
    const entry = this.#sections.get(name);
    if (entry === undefined) return;
    if (--entry.refs === 0) this.#dropSection(name, entry);
    const { section } = entry;
    if (section.kind !== 'program') return;
    for (const part of [...section.tiers, section.profiles]) this.#releaseProgram(part);
  }

  #dropSection(name: string, { section, direction, family }: SectionEntry): void {
    this.#sections.delete(name);
    this.#chains.delete(name);
    for (const policy of new Set(policiesOf(section))) {
      const { users, lowered } = this.#policyEntry(policy, direction, family);
      users.delete(name);
      if (users.size > 0) continue;
      const entries = this.#policyEntries.get(policy);
      entries?.delete(`${direction}${family}`);
      if (entries?.size === 0) this.#policyEntries.delete(policy);
      if (hasChain(lowered)) this.#chains.delete(lowered.chain.name);
    }
  }

  #setEndpoint(
    id: string,
    resolved: ResolvedEndpoint | undefined,
    placement: Placement | undefined,
  ): void {
    const before = this.#endpoints.get(id);
    const after =
      resolved === undefined || placement === undefined
        ? undefined
        : this.#makeEndpoint(resolved, placement);
    for (const element of after?.elements ?? [])
      this.#elements.acquire(elementName(element), element);
    for (const element of before?.elements ?? [])
      this.#elements.release(elementName(element), element);
    for (const section of before?.sections ?? []) this.#releaseProgram(section);
    const kept = new Set(after?.chains);
    for (const chain of before?.chains ?? []) if (!kept.has(chain)) this.#chains.delete(chain);
    if (after === undefined) this.#endpoints.delete(id);
    else this.#endpoints.set(id, after);
  }

  #makeEndpoint(resolved: ResolvedEndpoint, placement: Placement): EndpointEntry {
    const sections: string[] = [];
    const chains = DIRECTIONS.map((direction) => {
      const name = endpointChain(direction, resolved.endpoint.id);
      const origin = endpointOrigin(resolved.endpoint.id, direction);
      if (this.#refused.has(origin)) {
        const exprs = deny(this.#config.denyAction);
        const rules = [{ exprs, comment: 'refused by the kernel', origin: `${origin} closed` }];
        this.#chains.put({ chain: { name, base: undefined, rules }, counters: [], constants: [] });
        return name;
      }
      const begin: NftRule = {
        exprs: [jump(preambleChain(direction))],
        comment: undefined,
        origin,
      };
      const entries = FAMILIES.map((family): NftRule => {
        const entry = this.#acquireProgram(resolved[direction], direction, family);
        sections.push(entry);
        return { exprs: [...metaNfproto(family), goTo(entry)], comment: undefined, origin };
      });
      const chain = { name, base: undefined, rules: [begin, ...entries] };
      this.#chains.put({ chain, counters: [], constants: [] });
      return name;
    });
    return { resolved, placement, chains, sections, elements: elementsOf(resolved, placement) };
  }
}

/** Without rules, or with rules that stand in the chains of its tiers, a policy has none of its own. */
function hasChain({ chain, isInlined }: LoweredPolicy): boolean {
  return chain.rules.length > 0 && !isInlined;
}

function policiesOf(section: Section): readonly string[] {
  return section.kind === 'program' ? [] : section.policies;
}

/** `endpoint shop/web ingress`: names an endpoint's chain in messages. */
function endpointOrigin(id: string, direction: Direction): string {
  return `endpoint ${id} ${direction}`;
}
