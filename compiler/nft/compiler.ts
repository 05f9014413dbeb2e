/**
 * The table as a function of the calculation: takes its changes and where endpoints are, keeps the desired table up to date. Work is
 * proportional to the change: a new member is one element, an edited policy is its own chains, a new endpoint is its entry and elements.
 *
 *   vmap from-interface --> from-<endpoint> --> egress4/tier/... --> jump egress4/<policy> ... --> egress4/profiles/...
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
import { DISPATCH, endpointPreamble, lowerBase } from './base.ts';
import type { BaseConfig } from './base.ts';
import { ChainStore } from './chain-store.ts';
import { elementName, elementsOf } from './dispatch.ts';
import type { DispatchElement, Placement } from './dispatch.ts';
import { goTo, metaNfproto } from './exprs.ts';
import {
  dropRuleOrigins,
  lowerPolicyChain,
  lowerSection,
  profileSectionName,
  tierSectionName,
} from './lower-chain.ts';
import type { LowerContext, Section } from './lower-chain.ts';
import { endpointChain } from './names.ts';
import { PeerTables, setOrigin } from './peer-tables.ts';
import type { NftRule } from './program.ts';
import { Refs } from './refs.ts';
import type { Table } from './table.ts';

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];
const FAMILIES: readonly Family[] = [4, 6];

/** One policy's chain inside programs that continue at `passTo`. */
interface PolicyChain {
  readonly policy: string;
  readonly direction: Direction;
  readonly family: Family;
  readonly passTo: string;
  readonly users: Set<string>;
  /** Name of the chain now; `undefined` while the policy has no rules for the family. */
  chain: string | undefined;
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
  /** By policy id, then by direction, family and continuation. */
  readonly #policyChains = new Map<string, Map<string, PolicyChain>>();
  /** Kernel chain name to how many policy chains stand for it (continuations that do not matter share one). */
  readonly #chainRefs = new Map<string, number>();
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
   * (allow, pass, log) or everything (deny). False when the origin is neither, or was refused before.
   */
  refuse(origin: string): boolean {
    const policies = this.#policiesOf(origin);
    if (policies.length === 0 || this.#refused.has(origin)) return false;
    this.#refused.add(origin);
    this.#table.withhold(origin);
    for (const policy of policies) this.#relower(policy);
    return true;
  }

  /** Gives everything refused another try; true when there was something. */
  forgive(): boolean {
    const origins = [...this.#refused];
    this.#refused.clear();
    this.#table.release();
    for (const origin of origins) {
      for (const policy of this.#policiesOf(origin)) this.#relower(policy);
    }
    return origins.length > 0;
  }

  get refused(): ReadonlySet<string> {
    return this.#refused;
  }

  /** Policies whose rules an origin concerns. */
  #policiesOf(origin: string): string[] {
    const set = this.#peers.setOfOrigin(origin);
    if (set !== undefined) return [...(this.#setUsers.get(set) ?? [])];
    const policy = origin.slice(0, origin.lastIndexOf(' '));
    return this.#policyChains.has(policy) ? [policy] : [];
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

  /** Lowers the chains of a policy again and, where a chain's name changed, the sections that jump to it. */
  #relower(policy: string): void {
    for (const entry of this.#policyChains.get(policy)?.values() ?? []) {
      const before = entry.chain;
      this.#lowerPolicy(entry);
      if (entry.chain === before) continue;
      for (const section of entry.users) this.#putSection(section);
      if (before !== undefined) this.#dropChain(before);
    }
  }

  /** Puts the chain; the caller drops the one it replaces once nothing jumps to it. */
  #lowerPolicy(entry: PolicyChain): void {
    const policy = this.#policies.get(entry.policy);
    if (policy === undefined) throw new RangeError(`policy ${entry.policy} is not resolved`);
    const before = entry.chain;
    const ir = lowerPolicy(policy, entry.direction, entry.family);
    this.lowered++;
    const lowered = lowerPolicyChain(ir, entry.passTo, this.#context);
    if (lowered.chain.rules.length === 0) {
      entry.chain = undefined;
      return;
    }
    const { name } = lowered.chain;
    entry.chain = name;
    this.#chains.put(lowered);
    if (name !== before) this.#chainRefs.set(name, (this.#chainRefs.get(name) ?? 0) + 1);
  }

  #dropChain(name: string): void {
    const refs = (this.#chainRefs.get(name) ?? 1) - 1;
    if (refs > 0) this.#chainRefs.set(name, refs);
    else {
      this.#chainRefs.delete(name);
      this.#chains.delete(name);
    }
  }

  /** Takes one reference to the program of a direction and returns its entry chain. */
  #acquireProgram(resolved: ResolvedDirection, direction: Direction, family: Family): string {
    let next = profileSectionName(direction, family, resolved.profiles);
    const sections: Section[] = [{ kind: 'profiles', name: next, policies: resolved.profiles }];
    for (const tier of resolved.tiers.toReversed()) {
      const name = tierSectionName(direction, family, tier, next);
      const { end, policies } = tier;
      sections.push({ kind: 'tier', name, tier: tier.name, end, policies, next });
      next = name;
    }
    for (const section of sections) this.#acquireSection(section, direction, family);
    return next;
  }

  #acquireSection(section: Section, direction: Direction, family: Family): void {
    const entry = this.#sections.get(section.name);
    if (entry !== undefined) {
      entry.refs++;
      return;
    }
    this.#sections.set(section.name, { section, direction, family, refs: 1 });
    for (const policy of section.policies) {
      this.#policyChain(policy, section, direction, family).users.add(section.name);
    }
    this.#putSection(section.name);
  }

  #policyChain(
    policy: string,
    section: Section,
    direction: Direction,
    family: Family,
  ): PolicyChain {
    const passTo = section.kind === 'tier' ? section.next : '';
    const key = `${direction}${family} ${passTo}`;
    const chains = this.#policyChains.get(policy) ?? new Map<string, PolicyChain>();
    this.#policyChains.set(policy, chains);
    const known = chains.get(key);
    if (known !== undefined) return known;
    const users = new Set<string>();
    const entry: PolicyChain = { policy, direction, family, passTo, users, chain: undefined };
    chains.set(key, entry);
    this.#lowerPolicy(entry);
    return entry;
  }

  #putSection(name: string): void {
    const entry = this.#sections.get(name);
    if (entry === undefined) return;
    const { section, direction, family } = entry;
    const chains = section.policies.flatMap((policy) => {
      return this.#policyChain(policy, section, direction, family).chain ?? [];
    });
    this.#chains.put(lowerSection(section, direction, chains, this.#config.denyAction));
  }

  /** Gives back one reference to the section and to those it leads to. */
  #releaseProgram(name: string): void {
    let next: string | undefined = name;
    while (next !== undefined) {
      const entry = this.#sections.get(next);
      if (entry === undefined) return;
      const after: string | undefined =
        entry.section.kind === 'tier' ? entry.section.next : undefined;
      if (--entry.refs === 0) this.#dropSection(next, entry);
      next = after;
    }
  }

  #dropSection(name: string, { section, direction, family }: SectionEntry): void {
    this.#sections.delete(name);
    this.#chains.delete(name);
    for (const policy of new Set(section.policies)) {
      const entry = this.#policyChain(policy, section, direction, family);
      entry.users.delete(name);
      if (entry.users.size > 0) continue;
      const chains = this.#policyChains.get(policy);
      chains?.delete(`${direction}${family} ${entry.passTo}`);
      if (chains?.size === 0) this.#policyChains.delete(policy);
      if (entry.chain !== undefined) this.#dropChain(entry.chain);
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
      const origin = `endpoint ${resolved.endpoint.id} ${direction}`;
      const { rules, counters } = endpointPreamble(direction, this.#config);
      const entries = FAMILIES.map((family): NftRule => {
        const entry = this.#acquireProgram(resolved[direction], direction, family);
        sections.push(entry);
        return { exprs: [...metaNfproto(family), goTo(entry)], comment: undefined, origin };
      });
      const chain = { name, base: undefined, rules: [...rules, ...entries] };
      this.#chains.put({ chain, counters, constants: [] });
      return name;
    });
    return { resolved, placement, chains, sections, elements: elementsOf(resolved, placement) };
  }
}
