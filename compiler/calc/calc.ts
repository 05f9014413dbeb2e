/**
 * The calculation: resources in, one at a time; out, per flush, what changed for this node.
 *
 *   put/delete --> scope index (local endpoints x policies) --> dirty endpoints --> ordered tiers and policies
 *              \-> local hosts (the same for host endpoints)  --> dirty hosts      -/
 *              \-> peer index (everything x selectors in use) --> member deltas of the sets in use
 *
 * Only policies that govern a local endpoint are resolved, and only sets that such policies refer to exist. Output is a function of
 * the current resources; work is proportional to the change. No kernel objects, no I/O, no clock.
 */
import { BUILT_IN_PROFILES, BUILT_IN_TIERS } from '../model/cluster.ts';
import type {
  HostEndpoint,
  NetworkSet,
  Node,
  Profile,
  Resource,
  ServiceEndpoints,
  Tier,
  WorkloadEndpoint,
} from '../model/cluster.ts';
import type { Address, Cidr } from '../model/ip.ts';
import { policyId } from '../model/policy.ts';
import { compareUtf8 } from '../model/text-order.ts';
import type { Policy } from '../model/policy.ts';
import { LabelIndex } from '../selector/label-index.ts';
import { policyScope } from '../selector/scope.ts';
import { AddressOwners } from './address-owners.ts';
import { Claims } from './claims.ts';
import { LocalHosts } from './local-hosts.ts';
import { MemberSets } from './member-sets.ts';
import type { Contribution } from './member-sets.ts';
import type { OrderedTier } from './order.ts';
import { PeerSets } from './peer-sets.ts';
import type { RuleOwner } from './peers.ts';
import { PoliciesInUse } from './policies-in-use.ts';
import { isSame } from './same.ts';
import type { CalcChanges, ResolvedEndpoint, ResolvedHostEndpoint } from './resolved.ts';
import { resolveDirections, resolveHostEndpoint, stageOf, tiersOfHost } from './tiers.ts';

const NO_NETS: readonly Cidr[] = [];

export class Calc {
  readonly #node: string;
  /** Object key to what the object is to policy, and back to the objects that claim to be it. */
  readonly #identities = new Map<string, string>();
  readonly #claims = new Claims<Resource>();
  readonly #tiers = new Map<string, Tier>(BUILT_IN_TIERS.map((tier) => [tier.name, tier]));
  readonly #policies = new Map<string, Policy>();
  readonly #profiles = new Map<string, Profile>(
    BUILT_IN_PROFILES.map((profile) => [profile.name, profile]),
  );
  readonly #locals = new Map<string, WorkloadEndpoint>();
  /** Local endpoints against policy scopes. */
  readonly #scopes = new LabelIndex();
  readonly #peers = new PeerSets(new LabelIndex(), new MemberSets());
  readonly #owners = new AddressOwners();
  readonly #hosts: LocalHosts;
  readonly #resolved = new Map<string, ResolvedEndpoint>();
  readonly #resolvedHosts = new Map<string, ResolvedHostEndpoint>();
  readonly #inUse: PoliciesInUse;
  readonly #dirtyEndpoints = new Set<string>();
  /** Nodes that changed. */
  #nodes = new Map<string, readonly Address[] | undefined>();

  constructor(node: string) {
    this.#node = node;
    this.#hosts = new LocalHosts(node);
    this.#inUse = new PoliciesInUse(this.#peers, (id) => this.#ownerOf(id));
  }

  /**
   * `key` identifies the object at its source; a second put replaces it. When two objects are the same thing to policy (a Profile and the
   * Namespace it would be made from), the lowest key counts, and the other takes over when that goes.
   */
  put(key: string, resource: Resource): void {
    const identity = identityOf(resource);
    const before = this.#identities.get(key);
    if (before !== identity) {
      if (before !== undefined) this.delete(key);
      this.#identities.set(key, identity);
    }
    const inForce = this.#inForce(identity);
    this.#claims.set(identity, key, resource);
    this.#elect(identity, inForce);
  }

  delete(key: string): void {
    const identity = this.#identities.get(key);
    if (identity === undefined) return;
    this.#identities.delete(key);
    const inForce = this.#inForce(identity);
    this.#claims.delete(identity, key);
    this.#elect(identity, inForce);
  }

  /** Drains what changed. */
  flush(): CalcChanges {
    for (const { itemId } of this.#scopes.takeDeltas()) this.#dirtyEndpoints.add(itemId);
    const released: string[] = [];
    /** Takes the new resolution in and notes what it no longer needs. */
    const replace = <T>(
      id: string,
      resolved: Map<string, T>,
      after: T | undefined,
      idsOf: (resolved: T) => readonly string[],
    ): readonly (readonly [string, T | undefined])[] => {
      const before = resolved.get(id);
      for (const used of after === undefined ? [] : idsOf(after)) this.#inUse.acquire(used);
      if (before !== undefined) released.push(...idsOf(before));
      if (after === undefined) resolved.delete(id);
      else resolved.set(id, after);
      return before === undefined && after === undefined ? [] : [[id, after]];
    };
    const endpoints = [...this.#dirtyEndpoints].flatMap((id) =>
      replace(id, this.#resolved, this.#resolveEndpoint(id), idsOfEndpoint),
    );
    const hosts = this.#hosts
      .takeDirty()
      .flatMap((name) => replace(name, this.#resolvedHosts, this.#resolveHost(name), idsOfHost));
    this.#dirtyEndpoints.clear();
    this.#inUse.refresh();
    for (const id of released) this.#inUse.release(id);
    const nodes = this.#nodes;
    this.#nodes = new Map();
    return {
      endpoints: new Map(endpoints),
      hostEndpoints: new Map(hosts),
      nodes,
      policies: this.#inUse.takeChanges(),
      sets: this.#peers.takeDeltas(),
    };
  }

  /** Of the objects that claim to be this thing, the one that counts. */
  #inForce(identity: string): Resource | undefined {
    const claims = this.#claims.of(identity);
    const [first] = claims.length < 2 ? claims : claims.toSorted(([a], [b]) => compareUtf8(a, b));
    return first?.[1];
  }

  /** `before`: what counted until now. */
  #elect(identity: string, before: Resource | undefined): void {
    const winner = this.#inForce(identity);
    if (winner !== before) this.#change(before, winner);
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
        if (after === undefined) this.#hosts.delete((before as HostEndpoint).name);
        else this.#hosts.put(after as HostEndpoint);
        return this.#changePeer(before, after);
      case 'NetworkSet':
        return this.#changePeer(before, after);
      case 'ServiceEndpoints':
        return this.#peers.changeService(
          before as ServiceEndpoints | undefined,
          after as ServiceEndpoints | undefined,
        );
      case 'Node': {
        const node = (after ?? before) as Node;
        this.#nodes.set(node.name, after === undefined ? undefined : node.addresses);
        return;
      }
      case 'Service':
      case 'FelixConfiguration':
      case undefined:
        return;
    }
  }

  #changePolicy(before: Policy | undefined, after: Policy | undefined): void {
    const id = policyId((after ?? before) as Policy);
    // Staged policies are never enforced.
    const enforced = after?.staged === false ? after : undefined;
    if (enforced !== undefined && (before === undefined || !isPlacedAlike(before, enforced))) {
      this.#dirtyMembers(id);
    }
    if (enforced === undefined) {
      this.#policies.delete(id);
      this.#hosts.deletePolicy(id);
    } else {
      this.#policies.set(id, enforced);
      this.#hosts.putPolicy(enforced);
      this.#inUse.touch(id);
    }
    if (enforced === undefined || stageOf(enforced) !== 'tracked') this.#scopes.deleteSelector(id);
    else this.#scopes.addSelector(id, policyScope(enforced));
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
    this.#hosts.dirtyMembers(policy);
  }

  #changeProfile(before: Profile | undefined, after: Profile | undefined): void {
    const name = (after ?? before)?.name ?? '';
    if (after === undefined) {
      this.#profiles.delete(name);
      this.#scopes.deleteParent(name);
      this.#hosts.deleteProfile(name);
      this.#peers.deleteParent(name);
    } else {
      this.#profiles.set(name, after);
      this.#scopes.setParent(name, after.labelsToApply);
      this.#hosts.setProfile(name, after.labelsToApply);
      this.#peers.setParent(name, after.labelsToApply);
    }
    this.#inUse.touch(`pro/${name}`);
    if (before?.logAllowed === after?.logAllowed) return;
    for (const [id, { profiles }] of this.#locals) {
      if (profiles.includes(name)) this.#dirtyEndpoints.add(id);
    }
  }

  #changeWorkload(before: WorkloadEndpoint | undefined, after: WorkloadEndpoint | undefined): void {
    const id = (after ?? before)?.id ?? '';
    const rivals = this.#owners.update(before, after);
    rivals.delete(id);
    this.#placeWorkload(id);
    for (const rival of rivals) this.#placeWorkload(rival);
  }

  /** Brings both indexes up to date with a workload's labels and the addresses it owns now. */
  #placeWorkload(id: string): void {
    const endpoint = this.#inForce(`WorkloadEndpoint/${id}`) as WorkloadEndpoint | undefined;
    if (endpoint === undefined) this.#peers.deleteItem(`wep/${id}`);
    else {
      const addresses = this.#owners.owned(endpoint);
      const contribution = { nets: NO_NETS, addresses, ports: endpoint.ports };
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
    const { ingress, egress } = resolveDirections(policies, endpoint.profiles, (name) =>
      this.#tierOf(name),
    );
    const logAllowed = endpoint.profiles.some((name) => this.#profiles.get(name)?.logAllowed);
    return { endpoint, addresses: this.#owners.owned(endpoint), logAllowed, ingress, egress };
  }

  #resolveHost(name: string): ResolvedHostEndpoint | undefined {
    const endpoint = this.#hosts.get(name);
    if (endpoint === undefined) return undefined;
    const policies = this.#hosts.policiesOf(name);
    return resolveHostEndpoint(endpoint, policies, (tier) => this.#tierOf(tier));
  }

  /** `undefined`: no such policy or profile. */
  #ownerOf(id: string): RuleOwner | undefined {
    if (id.startsWith('pro/')) {
      const profile = this.#profiles.get(id.slice('pro/'.length));
      return profile && { ...profile, namespace: undefined, stage: 'tracked' };
    }
    const policy = this.#policies.get(id);
    return policy && { ...policy, stage: stageOf(policy) };
  }

  #tierOf(name: string): OrderedTier {
    const tier = this.#tiers.get(name);
    return tier === undefined
      ? { name, known: false, order: undefined, defaultAction: 'deny' }
      : { name, known: true, order: tier.order, defaultAction: tier.defaultAction };
  }
}

/** Same place in the order and same directions: endpoints need no new look when only rules differ. */
function isPlacedAlike(a: Policy, b: Policy): boolean {
  return stageOf(a) === stageOf(b) && isSame(placeOf(a), placeOf(b));
}

function placeOf({ tier, order, types, applyOnForward }: Policy): readonly unknown[] {
  return [tier, order, [...types].sort(), applyOnForward];
}

function idsOfEndpoint({ ingress, egress }: ResolvedEndpoint): string[] {
  return [ingress, egress].flatMap(({ tiers, profiles }) => [
    ...tiers.flatMap((tier) => tier.policies),
    ...profiles,
  ]);
}

function idsOfHost(host: ResolvedHostEndpoint): string[] {
  return [...tiersOfHost(host).flatMap((tier) => tier.policies), ...host.normal.ingress.profiles];
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
    case 'FelixConfiguration':
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
    ? { nets: NO_NETS, addresses: peer.expectedIPs, ports: peer.ports }
    : { nets: peer.nets, addresses: [], ports: [] };
}
