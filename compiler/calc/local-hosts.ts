/**
 * Host endpoints of this node and the policies that select them. Comes in: host endpoints, policies and profiles' labels, one change at a
 * time. Goes out: names of the endpoints that need a new look. Apart from workloads, because a policy may mean something for
 * only one of the two: namespaced ones never select a host endpoint (specification section 2.6), untracked and pre-DNAT ones never a workload.
 */
import type { HostEndpoint, Labels } from '../model/cluster.ts';
import { policyId } from '../model/policy.ts';
import type { Policy } from '../model/policy.ts';
import { LabelIndex } from '../selector/label-index.ts';
import { policyScope } from '../selector/scope.ts';

export class LocalHosts {
  readonly #node: string;
  readonly #endpoints = new Map<string, HostEndpoint>();
  readonly #scopes = new LabelIndex();
  readonly #policies = new Map<string, Policy>();
  readonly #dirty = new Set<string>();
  /** Policies are indexed once there has been an endpoint for them: most nodes never have one. */
  #isIndexed = false;

  constructor(node: string) {
    this.#node = node;
  }

  put(endpoint: HostEndpoint): void {
    const { name, labels, profiles } = endpoint;
    if (endpoint.node !== this.#node) return this.delete(name);
    if (!this.#isIndexed) this.#indexAll();
    this.#endpoints.set(name, endpoint);
    this.#scopes.setItem(name, labels, profiles);
    this.#dirty.add(name);
  }

  delete(name: string): void {
    if (!this.#endpoints.delete(name)) return;
    this.#scopes.deleteItem(name);
    this.#dirty.add(name);
  }

  /** A policy that is enforced. */
  putPolicy(policy: Policy): void {
    if (policy.namespace !== undefined) return;
    const id = policyId(policy);
    this.#policies.set(id, policy);
    if (this.#isIndexed) this.#scopes.addSelector(id, policyScope(policy));
  }

  deletePolicy(id: string): void {
    if (this.#policies.delete(id) && this.#isIndexed) this.#scopes.deleteSelector(id);
  }

  setProfile(name: string, labels: Labels): void {
    this.#scopes.setParent(name, labels);
  }

  deleteProfile(name: string): void {
    this.#scopes.deleteParent(name);
  }

  /** Those that the policy selects need a new look. */
  dirtyMembers(policy: string): void {
    for (const name of this.#scopes.membersOf(policy)) this.#dirty.add(name);
  }

  /** Endpoints that came, went, changed, or are selected by other policies since the last call. */
  takeDirty(): string[] {
    for (const { itemId } of this.#scopes.takeDeltas()) this.#dirty.add(itemId);
    const names = [...this.#dirty];
    this.#dirty.clear();
    return names;
  }

  get(name: string): HostEndpoint | undefined {
    return this.#endpoints.get(name);
  }

  policiesOf(name: string): Policy[] {
    return this.#scopes.selectorsOf(name).flatMap((id) => this.#policies.get(id) ?? []);
  }

  #indexAll(): void {
    this.#isIndexed = true;
    for (const [id, policy] of this.#policies) this.#scopes.addSelector(id, policyScope(policy));
  }
}
