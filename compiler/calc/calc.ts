/**
 * The calculation: resources in, one at a time; out, per flush, what changed for this node.
 *
 *   put/delete --> scope index (local endpoints x policies) --> dirty endpoints --> ordered tiers and policies
 *              \-> peer index (everything x selectors in use) --> member deltas of the sets in use
 *
 * Only policies that govern a local endpoint are resolved, and only sets that such policies refer to exist. Output is a function of
 * the current resources; work is proportional to the change. No kernel objects, no I/O, no clock.
 */
import { BUILT_IN_PROFILES, BUILT_IN_TIERS } from '../model/cluster.ts';
import type {
  HostEndpoint,
  NetworkSet,
  Profile,
  Resource,
  ServiceEndpoints,
  Tier,
  WorkloadEndpoint,
} from '../model/cluster.ts';
import { hostCidr } from '../model/ip.ts';
import { policyId } from '../model/policy.ts';
import { compareUtf8 } from '../model/text-order.ts';
import type { Direction, Policy } from '../model/policy.ts';
import { LabelIndex } from '../selector/label-index.ts';
import { policyScope } from '../selector/scope.ts';
import { AddressOwners } from './address-owners.ts';
import { MemberSets } from './member-sets.ts';
import type { Contribution } from './member-sets.ts';
import { comparePolicies, compareTiers } from './order.ts';
import type { OrderedTier } from './order.ts';
import { PeerSets } from './peer-sets.ts';
import { resolvePolicy } from './peers.ts';
import { isSame } from './same.ts';
import type {
  CalcChanges,
  ResolvedDirection,
  ResolvedEndpoint,
  ResolvedPolicy,
  ResolvedTier,
} from './resolved.ts';

export class Calc {
  readonly #node: string;
  /** Object key to what the object is to policy, and back to the objects that claim to be it. */
  readonly #identities = new Map<string, string>();
  readonly #claims = new Map<string, Map<string, Resource>>();
  readonly #inForce = new Map<string, Resource>();
  readonly #tiers = new Map<string, Tier>(BUILT_IN_TIERS.map((tier) => [tier.name, tier]));
  readonly #policies = new Map<string, Policy>();
  readonly #profiles = new Map<string, Profile>(
    BUILT_IN_PROFILES.map((profile) => [profile.name, profile]),
  );
  readonly #locals = new Map<string, WorkloadEndpoint>();
  readonly #workloads = new Map<string, WorkloadEndpoint>();
  /** Local endpoints against policy scopes. */
  readonly #scopes = new LabelIndex();
  readonly #peers = new PeerSets(new LabelIndex(), new MemberSets());
  readonly #owners = new AddressOwners();
  readonly #resolved = new Map<string, ResolvedEndpoint>();
  /** Policies and profiles in use: how many local endpoints refer to them, and what was resolved. */
  readonly #inUse = new Map<string, { refs: number; resolved: ResolvedPolicy }>();
  readonly #dirtyEndpoints = new Set<string>();
  readonly #dirtyPolicies = new Set<string>();

  constructor(node: string) {
    this.#node = node;
  }

  /**
   * `key` identifies the object at its source; a second put replaces it. When two objects are the same thing to policy (a Profile and the
   * Namespace it would be made from), the lowest key counts, and the other takes over when that goes.
   */
  put(key: string, resource: Resource): void {
    const identity = identityOf(resource);
    const before = this.#identities.get(key);
    if (before !== undefined && before !== identity) this.delete(key);
    this.#identities.set(key, identity);
    const claims = this.#claims.get(identity) ?? new Map<string, Resource>();
    this.#claims.set(identity, claims.set(key, resource));
    this.#elect(identity);
  }

  delete(key: string): void {
    const identity = this.#identities.get(key);
    if (identity === undefined) return;
    this.#identities.delete(key);
    const claims = this.#claims.get(identity);
    claims?.delete(key);
    if (claims?.size === 0) this.#claims.delete(identity);
    this.#elect(identity);
  }

  /** Drains what changed. */
  flush(): CalcChanges {
    for (const { itemId } of this.#scopes.takeDeltas()) this.#dirtyEndpoints.add(itemId);
    const endpoints = new Map<string, ResolvedEndpoint | undefined>();
    const policies = new Map<string, ResolvedPolicy | undefined>();
    const released: string[] = [];
    for (const id of this.#dirtyEndpoints) {
      const before = this.#resolved.get(id);
      const after = this.#resolveEndpoint(id);
      for (const used of after === undefined ? [] : idsOf(after)) this.#acquire(used, policies);
      if (before !== undefined) released.push(...idsOf(before));
      if (after === undefined) this.#resolved.delete(id);
      else this.#resolved.set(id, after);
      if (before !== undefined || after !== undefined) endpoints.set(id, after);
    }
    this.#dirtyEndpoints.clear();
    for (const id of this.#dirtyPolicies) this.#refresh(id, policies);
    this.#dirtyPolicies.clear();
    for (const id of released) this.#release(id, policies);
    return { endpoints, policies, sets: this.#peers.takeDeltas() };
  }

  #elect(identity: string): void {
    const claims = [...(this.#claims.get(identity) ?? [])];
    const [, winner] = claims.sort(([a], [b]) => compareUtf8(a, b))[0] ?? [];
    const before = this.#inForce.get(identity);
    if (winner === before) return;
    if (winner === undefined) this.#inForce.delete(identity);
    else this.#inForce.set(identity, winner);
    this.#change(before, winner);
  }

  #change(before: Resource | undefined, after: Resource | undefined): void {
    const kind = (after ?? before)?.kind;
    switch (kind) {
      case 'Policy':
        return this.#changePolicy(before as Policy | undefined, after as Policy | undefined);
      case 'Tier':
        return this.#changeTier(before as Tier | undefined, after as Tier | undefined);
      case 'Profile':
        return this.#changeProfile(before as Profile | undefined, after as Profile | undefined);
      case 'WorkloadEndpoint':
        return this.#changeWorkload(
          before as WorkloadEndpoint | undefined,
          after as WorkloadEndpoint | undefined,
        );
      case 'HostEndpoint':
      case 'NetworkSet':
        return this.#changePeer(before, after);
      case 'ServiceEndpoints':
        return this.#peers.changeService(
          before as ServiceEndpoints | undefined,
          after as ServiceEndpoints | undefined,
        );
      case 'Service':
      case 'Node':
      case undefined:
        return;
    }
  }

  #changePolicy(before: Policy | undefined, after: Policy | undefined): void {
    const id = policyId((after ?? before) as Policy);
    if (after === undefined || !isEnforcedOnWorkloads(after)) {
      this.#policies.delete(id);
      this.#scopes.deleteSelector(id);
      return;
    }
    if (before === undefined || !isPlacedAlike(before, after)) this.#dirtyMembers(id);
    this.#policies.set(id, after);
    this.#scopes.addSelector(id, policyScope(after));
    this.#dirtyPolicies.add(id);
  }

  #changeTier(before: Tier | undefined, after: Tier | undefined): void {
    const name = (after ?? before)?.name ?? '';
    const builtIn = BUILT_IN_TIERS.find((tier) => tier.name === name);
    const tier = after ?? builtIn;
    if (tier === undefined) this.#tiers.delete(name);
    else this.#tiers.set(name, tier);
    for (const [id, policy] of this.#policies) {
      if (policy.tier === name) this.#dirtyMembers(id);
    }
  }

  #dirtyMembers(policy: string): void {
    for (const endpoint of this.#scopes.membersOf(policy)) this.#dirtyEndpoints.add(endpoint);
  }

  #changeProfile(before: Profile | undefined, after: Profile | undefined): void {
    const name = (after ?? before)?.name ?? '';
    if (after === undefined) {
      this.#profiles.delete(name);
      this.#scopes.deleteParent(name);
      this.#peers.deleteParent(name);
    } else {
      this.#profiles.set(name, after);
      this.#scopes.setParent(name, after.labelsToApply);
      this.#peers.setParent(name, after.labelsToApply);
    }
    this.#dirtyPolicies.add(`pro/${name}`);
  }

  #changeWorkload(before: WorkloadEndpoint | undefined, after: WorkloadEndpoint | undefined): void {
    const id = (after ?? before)?.id ?? '';
    if (after === undefined) this.#workloads.delete(id);
    else this.#workloads.set(id, after);
    const rivals = this.#owners.update(before, after);
    rivals.delete(id);
    this.#placeWorkload(id);
    for (const rival of rivals) this.#placeWorkload(rival);
  }

  /** Brings both indexes up to date with a workload's labels and the addresses it owns now. */
  #placeWorkload(id: string): void {
    const endpoint = this.#workloads.get(id);
    if (endpoint === undefined) this.#peers.deleteItem(`wep/${id}`);
    else {
      const addresses = this.#owners.owned(endpoint);
      const contribution = { nets: addresses.map(hostCidr), addresses, ports: endpoint.ports };
      this.#peers.setItem(`wep/${id}`, endpoint.labels, endpoint.profiles, contribution);
    }
    const local = endpoint?.active === true && endpoint.node === this.#node ? endpoint : undefined;
    if (local !== undefined) {
      this.#locals.set(id, local);
      this.#scopes.setItem(id, local.labels, local.profiles);
    } else if (this.#locals.delete(id)) this.#scopes.deleteItem(id);
    else return;
    this.#dirtyEndpoints.add(id);
  }

  #changePeer(before: Resource | undefined, after: Resource | undefined): void {
    const id = peerId((after ?? before) as HostEndpoint | NetworkSet);
    if (after === undefined) return this.#peers.deleteItem(id);
    const peer = after as HostEndpoint | NetworkSet;
    this.#peers.setItem(id, peer.labels, peer.profiles, contributionOf(peer));
  }

  #resolveEndpoint(id: string): ResolvedEndpoint | undefined {
    const endpoint = this.#locals.get(id);
    if (endpoint === undefined) return undefined;
    const policies = [...this.#scopes.selectorsOf(id)].flatMap((pid) => {
      const policy = this.#policies.get(pid);
      return policy === undefined ? [] : [policy];
    });
    const profiles = endpoint.profiles.map((name) => `pro/${name}`);
    const tiers = this.#orderTiers(policies);
    const direction = (wanted: Direction): ResolvedDirection => ({
      tiers: tiers.flatMap(({ tier, policies }) => tierFor(tier, policies, wanted)),
      profiles,
    });
    return {
      endpoint,
      addresses: this.#owners.owned(endpoint),
      ingress: direction('ingress'),
      egress: direction('egress'),
    };
  }

  #orderTiers(policies: readonly Policy[]): { tier: OrderedTier; policies: Policy[] }[] {
    const byTier = Map.groupBy(policies, (policy) => policy.tier);
    return [...byTier]
      .map(([name, members]) => ({ tier: this.#tierOf(name), policies: members }))
      .sort((a, b) => compareTiers(a.tier, b.tier))
      .map(({ tier, policies: members }) => ({ tier, policies: members.sort(comparePolicies) }));
  }

  #tierOf(name: string): OrderedTier {
    const tier = this.#tiers.get(name);
    return tier === undefined
      ? { name, known: false, order: undefined, defaultAction: 'deny' }
      : { name, known: true, order: tier.order, defaultAction: tier.defaultAction };
  }

  #acquire(id: string, changed: Map<string, ResolvedPolicy | undefined>): void {
    const entry = this.#inUse.get(id);
    if (entry !== undefined) {
      entry.refs++;
      return;
    }
    const resolved = this.#resolvePolicy(id);
    for (const spec of resolved.sets.values()) this.#peers.acquire(spec);
    this.#inUse.set(id, { refs: 1, resolved });
    changed.set(id, resolved);
    this.#dirtyPolicies.delete(id);
  }

  #release(id: string, changed: Map<string, ResolvedPolicy | undefined>): void {
    const entry = this.#inUse.get(id);
    if (entry === undefined || --entry.refs > 0) return;
    for (const spec of entry.resolved.sets.values()) this.#peers.release(spec.id);
    this.#inUse.delete(id);
    changed.set(id, undefined);
  }

  /** Resolves a policy in use again after its object changed. */
  #refresh(id: string, changed: Map<string, ResolvedPolicy | undefined>): void {
    const entry = this.#inUse.get(id);
    if (entry === undefined) return;
    const resolved = this.#resolvePolicy(id);
    if (isAlike(resolved, entry.resolved)) return;
    for (const spec of resolved.sets.values()) this.#peers.acquire(spec);
    for (const spec of entry.resolved.sets.values()) this.#peers.release(spec.id);
    entry.resolved = resolved;
    changed.set(id, resolved);
  }

  #resolvePolicy(id: string): ResolvedPolicy {
    if (id.startsWith('pro/')) {
      const profile = this.#profiles.get(id.slice('pro/'.length));
      return resolvePolicy(id, undefined, profile ?? MISSING_PROFILE);
    }
    const policy = this.#policies.get(id);
    return resolvePolicy(id, policy?.namespace, policy ?? { ingress: [], egress: [] });
  }
}

const DENY_ALL = [{ action: 'deny', index: 0, name: undefined, match: 'everything' }] as const;

/** A profile that does not exist denies (specification section 1.8). */
const MISSING_PROFILE = { ingress: DENY_ALL, egress: DENY_ALL };

/** Staged policies are never enforced; untracked and pre-DNAT ones do nothing for workloads (specification section 3.4). */
function isEnforcedOnWorkloads(policy: Policy): boolean {
  return !policy.staged && !policy.doNotTrack && !policy.preDnat;
}

/** Same place in the order and same directions: endpoints need no new look when only rules differ. */
function isPlacedAlike(a: Policy, b: Policy): boolean {
  const types = [...a.types].sort().join();
  return a.tier === b.tier && a.order === b.order && types === [...b.types].sort().join();
}

/** Same rules over the same sets: labels and order of the object play no part. */
function isAlike(a: ResolvedPolicy, b: ResolvedPolicy): boolean {
  return isSame(a.ingress, b.ingress) && isSame(a.egress, b.egress);
}

function tierFor(
  tier: OrderedTier,
  policies: readonly Policy[],
  direction: Direction,
): ResolvedTier[] {
  const governing = policies.filter((policy) => policy.types.includes(direction)).map(policyId);
  return governing.length === 0
    ? []
    : [{ name: tier.name, end: tier.defaultAction, policies: governing }];
}

function idsOf(endpoint: ResolvedEndpoint): string[] {
  return [endpoint.ingress, endpoint.egress].flatMap(({ tiers, profiles }) => [
    ...tiers.flatMap((tier) => tier.policies),
    ...profiles,
  ]);
}

function identityOf(resource: Resource): string {
  return `${resource.kind}/${nameOf(resource)}`;
}

function nameOf(resource: Resource): string {
  switch (resource.kind) {
    case 'Policy':
      return policyId(resource);
    case 'WorkloadEndpoint':
      return resource.id;
    case 'HostEndpoint':
    case 'NetworkSet':
      return peerId(resource);
    case 'Tier':
    case 'Profile':
    case 'Node':
      return resource.name;
    case 'ServiceEndpoints':
    case 'Service':
      return `${resource.namespace}/${resource.name}`;
  }
}

function peerId(peer: HostEndpoint | NetworkSet): string {
  return peer.kind === 'HostEndpoint'
    ? `hep/${peer.name}`
    : `set/${peer.namespace ?? ''}/${peer.name}`;
}

function contributionOf(peer: HostEndpoint | NetworkSet): Contribution {
  return peer.kind === 'HostEndpoint'
    ? { nets: peer.expectedIPs.map(hostCidr), addresses: peer.expectedIPs, ports: peer.ports }
    : { nets: peer.nets, addresses: [], ports: [] };
}
