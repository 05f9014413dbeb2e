/**
 * Everything that lint rules look at, indexed once: policies in order of keys, who has which labels, which selector matches whom. Comes
 * in: resources. Knows no rule.
 */
import { BUILT_IN_PROFILES, BUILT_IN_TIERS } from '../model/cluster.ts';
import type {
  HostEndpoint,
  NetworkSet,
  Profile,
  Resource,
  Tier,
  WorkloadEndpoint,
} from '../model/cluster.ts';
import type { Policy } from '../model/policy.ts';
import { selectorId } from '../model/selector-text.ts';
import type { Selector } from '../model/selector.ts';
import { LabelIndex } from '../selector/label-index.ts';

/** A checked resource with the key it has at its source. */
export interface LintResource {
  readonly key: string;
  readonly resource: Resource;
}

/** Something that has labels. */
export type Item = WorkloadEndpoint | HostEndpoint | NetworkSet;

export interface Keyed<T> {
  readonly key: string;
  readonly value: T;
}

export class LintWorld {
  readonly policies: readonly Keyed<Policy>[];
  readonly workloads: readonly Keyed<WorkloadEndpoint>[];
  readonly hosts: readonly Keyed<HostEndpoint>[];
  /** By name, the built-in ones included. */
  readonly tiers: ReadonlyMap<string, Tier>;
  /** Keys of Tier objects, by name. */
  readonly tierKeys: ReadonlyMap<string, string>;
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Label keys that an item has or inherits, each with its values. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
  /** Workloads and host endpoints; without any, nothing can be said about whom policies govern. */
  readonly hasEndpoints: boolean;
  readonly #items: ReadonlyMap<string, Item>;
  readonly #index = new LabelIndex();
  readonly #asked = new Set<string>();

  constructor(resources: readonly LintResource[]) {
    const sorted = resources.toSorted((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
    this.policies = pick(sorted, 'Policy');
    this.workloads = pick(sorted, 'WorkloadEndpoint');
    const tiers = pick(sorted, 'Tier');
    this.tierKeys = new Map(tiers.map(({ key, value }) => [value.name, key]));
    this.tiers = byName([...BUILT_IN_TIERS, ...tiers.map(({ value }) => value)]);
    const profiles = pick(sorted, 'Profile').map(({ value }) => value);
    this.profiles = byName([...BUILT_IN_PROFILES, ...profiles]);
    this.hosts = pick(sorted, 'HostEndpoint');
    const items = [...this.workloads, ...this.hosts, ...pick(sorted, 'NetworkSet')];
    this.hasEndpoints = this.workloads.length + this.hosts.length > 0;
    this.#items = new Map(items.map(({ key, value }) => [key, value]));
    for (const { name, labelsToApply } of this.profiles.values()) {
      this.#index.setParent(name, labelsToApply);
    }
    for (const { key, value } of items) this.#index.setItem(key, value.labels, value.profiles);
    this.labels = collectLabels([...this.#items.values()], this.profiles);
  }

  /** Endpoints and network sets that the selector matches, inherited labels included. */
  matches(selector: Selector): readonly Item[] {
    const id = selectorId(selector);
    if (!this.#asked.has(id)) this.#index.addSelector(id, selector);
    this.#asked.add(id);
    return [...this.#index.membersOf(id)].flatMap((key) => this.#items.get(key) ?? []);
  }

  /** Of those, workloads and host endpoints. */
  endpoints(selector: Selector): readonly (WorkloadEndpoint | HostEndpoint)[] {
    return this.matches(selector).filter((item) => item.kind !== 'NetworkSet');
  }
}

function pick<K extends Resource['kind']>(
  resources: readonly LintResource[],
  kind: K,
): readonly Keyed<Extract<Resource, { readonly kind: K }>>[] {
  type Wanted = Extract<Resource, { readonly kind: K }>;
  return resources.flatMap(({ key, resource }) =>
    resource.kind === kind ? [{ key, value: resource as Wanted }] : [],
  );
}

function byName<T extends { readonly name: string }>(all: readonly T[]): ReadonlyMap<string, T> {
  return new Map(all.map((each) => [each.name, each]));
}

function collectLabels(
  items: readonly Item[],
  profiles: ReadonlyMap<string, Profile>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const used = new Set(items.flatMap((item) => item.profiles));
  const inherited = [...used].map((name) => profiles.get(name)?.labelsToApply ?? {});
  for (const labels of [...items.map((item) => item.labels), ...inherited]) {
    for (const [key, value] of Object.entries(labels)) {
      found.set(key, (found.get(key) ?? new Set<string>()).add(value));
    }
  }
  return found;
}
