/**
 * Policies and the sections that call them, shared by whoever has the same ones. Comes in: resolved policies, and tiers that an endpoint's
 * packets go through. Goes out: chains in the store, each as long as something refers to it. Refuses to know: endpoints.
 *
 *   host-egress4/program/... --> jump host-egress4/tier/...  --> jump egress4/<policy> ...
 *                            --> goto host-egress4/profiles/... --> jump egress4/pro/... ...
 */
import type { ResolvedPolicy, ResolvedTier } from '../calc/resolved.ts';
import { lowerPolicy } from '../ir/lower.ts';
import type { ChainStore } from './chain-store.ts';
import {
  lowerPolicyChain,
  lowerSection,
  policyLayer,
  profileSectionName,
  programSectionName,
  tierSectionName,
} from './lower-chain.ts';
import type { Layer, LowerContext, LoweredPolicy, Section } from './lower-chain.ts';

/** One policy in one layer, as the sections in `users` need it. */
interface PolicyEntry {
  readonly layer: Layer;
  readonly users: Set<string>;
  lowered: LoweredPolicy;
}

interface SectionEntry {
  readonly section: Section;
  readonly layer: Layer;
  refs: number;
}

export class Programs {
  readonly #chains: ChainStore;
  readonly #context: LowerContext;
  readonly #policies = new Map<string, ResolvedPolicy>();
  /** Set id to the ids of the policies that refer to it. */
  readonly #setUsers = new Map<string, Set<string>>();
  /** By policy id, then by the policy's layer. */
  readonly #entries = new Map<string, Map<string, PolicyEntry>>();
  readonly #sections = new Map<string, SectionEntry>();
  /** Policy chains lowered so far; for tests that count work. */
  lowered = 0;

  constructor(chains: ChainStore, context: LowerContext) {
    this.#chains = chains;
    this.#context = context;
  }

  /** `undefined` = no longer used by anybody. */
  setPolicy(id: string, policy: ResolvedPolicy | undefined): void {
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

  /** Ids of the policies whose rules refer to the set. */
  usersOf(set: string): string[] {
    return [...(this.#setUsers.get(set) ?? [])];
  }

  /** Some section calls it. */
  isUsed(policy: string): boolean {
    return this.#entries.has(policy);
  }

  /** Lowers a policy again and, where the sections that use it hold its rules or must call it otherwise, those too. */
  relower(policy: string): void {
    for (const entry of this.#entries.get(policy)?.values() ?? []) {
      const before = entry.lowered;
      entry.lowered = this.#lower(policy, entry.layer);
      if (hasChain(entry.lowered)) this.#chains.put(entry.lowered);
      if (hasChain(before) && hasChain(entry.lowered)) continue;
      for (const section of entry.users) this.#putSection(section);
      if (hasChain(before)) this.#chains.delete(before.chain.name);
    }
  }

  /** Takes one reference to a program that ends in profiles, and returns its entry chain. */
  acquire(layer: Layer, tiers: readonly ResolvedTier[], profiles: readonly string[]): string {
    const last = profileSectionName(layer, profiles);
    this.#acquireSection({ kind: 'profiles', name: last, policies: profiles }, layer);
    return tiers.length === 0 ? last : this.#acquireProgram(layer, tiers, last);
  }

  /** The same without profiles: what no tier decides comes back. `undefined` without tiers. */
  acquireTiers(layer: Layer, tiers: readonly ResolvedTier[]): string | undefined {
    return tiers.length === 0 ? undefined : this.#acquireProgram(layer, tiers, undefined);
  }

  /** Gives back one reference to the section and to those it leads to. */
  release(name: string): void {
    const entry = this.#sections.get(name);
    if (entry === undefined) return;
    if (--entry.refs === 0) this.#dropSection(name, entry);
    const { section } = entry;
    if (section.kind !== 'program') return;
    for (const tier of section.tiers) this.release(tier);
    if (section.profiles !== undefined) this.release(section.profiles);
  }

  #acquireProgram(
    layer: Layer,
    resolved: readonly ResolvedTier[],
    profiles: string | undefined,
  ): string {
    const tiers = resolved.map((tier) => {
      const name = tierSectionName(layer, tier);
      const { end, policies } = tier;
      this.#acquireSection({ kind: 'tier', name, tier: tier.name, end, policies }, layer);
      return name;
    });
    const parts = profiles === undefined ? tiers : [...tiers, profiles];
    const name = programSectionName(layer, parts);
    this.#acquireSection({ kind: 'program', name, tiers, profiles }, layer);
    return name;
  }

  #acquireSection(section: Section, layer: Layer): void {
    const entry = this.#sections.get(section.name);
    if (entry !== undefined) {
      entry.refs++;
      return;
    }
    this.#sections.set(section.name, { section, layer, refs: 1 });
    for (const policy of policiesOf(section)) {
      this.#policyEntry(policy, layer).users.add(section.name);
    }
    this.#putSection(section.name);
  }

  #policyEntry(policy: string, layer: Layer): PolicyEntry {
    const key = policyLayer(layer, this.#context);
    const entries = this.#entries.get(policy) ?? new Map<string, PolicyEntry>();
    this.#entries.set(policy, entries);
    const known = entries.get(key);
    if (known !== undefined) return known;
    const lowered = this.#lower(policy, layer);
    const entry: PolicyEntry = { layer, users: new Set(), lowered };
    entries.set(key, entry);
    if (hasChain(lowered)) this.#chains.put(lowered);
    return entry;
  }

  #lower(id: string, layer: Layer): LoweredPolicy {
    const policy = this.#policies.get(id);
    if (policy === undefined) throw new RangeError(`policy ${id} is not resolved`);
    this.lowered++;
    const { direction, family } = layer;
    const lowered = lowerPolicy(policy, direction, family);
    return lowerPolicyChain(lowered, policy, layer, this.#context);
  }

  #putSection(name: string): void {
    const entry = this.#sections.get(name);
    if (entry === undefined) return;
    const { section, layer } = entry;
    const policies = policiesOf(section)
      .map((policy) => this.#policyEntry(policy, layer).lowered)
      .filter(({ chain }) => chain.rules.length > 0);
    this.#chains.put(lowerSection(section, layer, policies));
  }

  #dropSection(name: string, { section, layer }: SectionEntry): void {
    this.#sections.delete(name);
    this.#chains.delete(name);
    const key = policyLayer(layer, this.#context);
    for (const policy of new Set(policiesOf(section))) {
      const { users, lowered } = this.#policyEntry(policy, layer);
      users.delete(name);
      if (users.size > 0) continue;
      const entries = this.#entries.get(policy);
      entries?.delete(key);
      if (entries?.size === 0) this.#entries.delete(policy);
      if (hasChain(lowered)) this.#chains.delete(lowered.chain.name);
    }
  }
}

/** Without rules, or with rules that stand in the chains of its tiers, a policy has none of its own. */
function hasChain({ chain, isInlined }: LoweredPolicy): boolean {
  return chain.rules.length > 0 && !isInlined;
}

function policiesOf(section: Section): readonly string[] {
  return section.kind === 'program' ? [] : section.policies;
}
