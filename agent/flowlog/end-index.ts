/**
 * Who has an address: kept up to date object by object, asked once for each flow. Comes in: accepted resources. Goes out: the pod,
 * workload, host endpoint, node or network set, and the service. Endpoints that are gone are remembered for a while, so that a
 * late record names who it was. Refuses to know: packets, rules.
 */
import type {
  Labels,
  NetworkSet,
  Resource,
  ServiceEndpoints,
  WorkloadEndpoint,
} from '../../compiler/model/cluster.ts';
import { ADDRESS_BITS } from '../../compiler/model/ip.ts';
import type { Address, Cidr, Family } from '../../compiler/model/ip.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';

export type EndKind = 'pod' | 'workload' | 'host-endpoint' | 'node' | 'network-set' | 'external';

/** What an address belongs to. */
export interface End {
  readonly kind: EndKind;
  /** `undefined` for what has none. */
  readonly namespace: string | undefined;
  /** `undefined` only for `external`. */
  readonly name: string | undefined;
  readonly labels: Labels;
}

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

const EXTERNAL: End = Object.freeze({
  kind: 'external',
  namespace: undefined,
  name: undefined,
  labels: Object.freeze({}),
});

/** How long and how many endpoints are remembered that have given an address up. */
const RELEASED_MS = 120_000;
const MAX_RELEASED = 20_000;

/** One per address of the cluster, so it holds nothing that can be had from the resource. */
interface Claim {
  readonly key: string;
  readonly resource: Resource;
  /** When it was first heard of. */
  readonly sinceMs: number;
}

const NO_CLAIMS: readonly Claim[] = [];

interface Released {
  readonly resource: Resource;
  readonly untilMs: number;
}

const RANK = { 'network-set': 0, node: 1, 'host-endpoint': 2, workload: 3 } as const;

type PutChange = { readonly op: 'put'; readonly key: string; readonly resource: Resource };
type Change = PutChange | { readonly op: 'delete'; readonly key: string };

export class EndIndex {
  readonly #resources = new Map<string, Resource>();
  /** By id. */
  readonly #workloads = new Map<string, WorkloadEndpoint>();
  /** The owner first; one claim, as nearly always, is in no list. */
  readonly #claims = new Map<string, Claim | readonly Claim[]>();
  readonly #nets = new NetTable();
  readonly #services = new Map<string, Map<string, ServiceName>>();
  readonly #released = new Map<string, Released>();

  take(change: Change, nowMs: number): void {
    const before = this.#resources.get(change.key);
    const after = change.op === 'put' ? change.resource : undefined;
    if (after === undefined) this.#resources.delete(change.key);
    else this.#resources.set(change.key, after);
    if (before?.kind === 'WorkloadEndpoint') this.#workloads.delete(before.id);
    if (after?.kind === 'WorkloadEndpoint') this.#workloads.set(after.id, after);
    for (const address of addressesOf(before)) {
      this.#unclaim(address, change.key, nowMs, after);
    }
    for (const address of addressesOf(after)) {
      if (after !== undefined) this.#claim(address, change.key, after, nowMs);
    }
    this.#nets.replace(change.key, setOf(before), setOf(after));
    this.#replaceService(change.key, serviceOf(before), serviceOf(after));
  }

  /** Who had the address at that time. `nearNamespace`: network sets of that namespace come first, as in Calico's flow logs. */
  endOf(address: Address, atMs: number, nearNamespace?: string): End {
    const key = addressKey(address);
    const [claim] = this.#claimsOf(key);
    const released = this.#released.get(key);
    const wasOthers = released !== undefined && atMs <= released.untilMs;
    if (claim !== undefined && !(wasOthers && atMs < claim.sinceMs))
      return endOfResource(claim.resource);
    if (released !== undefined && atMs - released.untilMs <= RELEASED_MS)
      return endOfResource(released.resource);
    const set = this.#nets.find(address, nearNamespace);
    return set === undefined ? EXTERNAL : endOfResource(set);
  }

  /** A workload by name, whatever its addresses are. */
  workload({ namespace, name }: { readonly namespace: string; readonly name: string }): End {
    const known = this.#workloads.get(`${namespace}/${name}`);
    return known ? endOfWorkload(known) : { kind: 'workload', namespace, name, labels: {} };
  }

  /** Where a workload runs; `undefined` = nobody knows of it. */
  nodeOf({
    namespace,
    name,
  }: {
    readonly namespace: string;
    readonly name: string;
  }): string | undefined {
    return this.#workloads.get(`${namespace}/${name}`)?.node;
  }

  /** A service that leads to this address and port. */
  serviceOf(address: Address, protocol: number, port: number): ServiceName | undefined {
    const services = this.#services.get(`${addressKey(address)} ${protocol} ${port}`);
    const [first] = [...(services?.values() ?? [])].toSorted((a, b) =>
      compareUtf8(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`),
    );
    return first;
  }

  #claimsOf(name: string): readonly Claim[] {
    const claims = this.#claims.get(name);
    if (claims === undefined) return NO_CLAIMS;
    return 'key' in claims ? [claims] : claims;
  }

  #claim(address: Address, key: string, resource: Resource, nowMs: number): void {
    const name = addressKey(address);
    const claims = this.#claimsOf(name);
    const before = claims.find((each) => each.key === key);
    const claim = { key, resource, sinceMs: before?.sinceMs ?? nowMs };
    const others = claims.filter((each) => each.key !== key);
    const kept = [...others, claim].sort(compareClaims);
    this.#claims.set(name, others.length === 0 ? claim : kept);
    const [owner] = claims;
    if (owner !== undefined && owner.key !== key && kept[0]?.key === key) {
      this.#release(name, owner.resource, nowMs);
    }
  }

  /** An object that keeps the address keeps the time that it has it. */
  #unclaim(address: Address, key: string, nowMs: number, after: Resource | undefined): void {
    const name = addressKey(address);
    if (addressesOf(after).some((own) => addressKey(own) === name)) return;
    const claims = this.#claimsOf(name);
    const gone = claims.find((each) => each.key === key);
    const kept = claims.filter((each) => each.key !== key);
    const [first] = kept;
    if (first === undefined) this.#claims.delete(name);
    else this.#claims.set(name, kept.length === 1 ? first : kept);
    if (gone !== undefined && claims[0] === gone) this.#release(name, gone.resource, nowMs);
  }

  #release(name: string, resource: Resource, nowMs: number): void {
    this.#released.delete(name);
    this.#released.set(name, { resource, untilMs: nowMs });
    for (const [name, { untilMs }] of this.#released) {
      const isKept = this.#released.size <= MAX_RELEASED && nowMs - untilMs <= RELEASED_MS;
      if (isKept) return;
      this.#released.delete(name);
    }
  }

  #replaceService(
    key: string,
    before: ServiceEndpoints | undefined,
    after: ServiceEndpoints | undefined,
  ): void {
    for (const place of before === undefined ? [] : servicePlaces(before)) {
      const services = this.#services.get(place);
      services?.delete(key);
      if (services?.size === 0) this.#services.delete(place);
    }
    if (after === undefined) return;
    const service = { namespace: after.namespace, name: after.service };
    for (const place of servicePlaces(after)) {
      const services = this.#services.get(place) ?? new Map<string, ServiceName>();
      this.#services.set(place, services.set(key, service));
    }
  }
}

/** Network sets by prefix; the longest prefix that contains an address is found by trying every length that is in use. */
class NetTable {
  /** Family and prefix length to the prefix's first address to the sets that have it. */
  readonly #byLength: Readonly<Record<Family, Map<number, Map<bigint, Map<string, NetworkSet>>>>> =
    {
      4: new Map(),
      6: new Map(),
    };

  replace(key: string, before: NetworkSet | undefined, after: NetworkSet | undefined): void {
    for (const cidr of before?.nets ?? []) this.#delete(cidr, key);
    for (const cidr of after?.nets ?? []) if (after !== undefined) this.#put(cidr, key, after);
  }

  find(address: Address, nearNamespace: string | undefined): NetworkSet | undefined {
    const found = this.#containing(address);
    return (
      found.find(({ namespace }) => namespace !== undefined && namespace === nearNamespace) ??
      found.find(({ namespace }) => namespace === undefined) ??
      found[0]
    );
  }

  /** Longest prefix first, then by name. */
  #containing({ family, value }: Address): NetworkSet[] {
    const lengths = [...this.#byLength[family].keys()].toSorted((a, b) => b - a);
    return lengths.flatMap((prefixLen) => {
      const hostBits = BigInt(ADDRESS_BITS[family] - prefixLen);
      const sets = this.#byLength[family].get(prefixLen)?.get((value >> hostBits) << hostBits);
      return [...(sets?.values() ?? [])].toSorted((a, b) => compareUtf8(a.name, b.name));
    });
  }

  #put({ family, value, prefixLen }: Cidr, key: string, set: NetworkSet): void {
    const nets =
      this.#byLength[family].get(prefixLen) ?? new Map<bigint, Map<string, NetworkSet>>();
    this.#byLength[family].set(prefixLen, nets);
    const sets = nets.get(value) ?? new Map<string, NetworkSet>();
    nets.set(value, sets.set(key, set));
  }

  #delete({ family, value, prefixLen }: Cidr, key: string): void {
    const nets = this.#byLength[family].get(prefixLen);
    const sets = nets?.get(value);
    sets?.delete(key);
    if (sets?.size === 0) nets?.delete(value);
    if (nets?.size === 0) this.#byLength[family].delete(prefixLen);
  }
}

function addressKey({ family, value }: Address): string {
  return `${family}:${value.toString(36)}`;
}

function addressesOf(resource: Resource | undefined): readonly Address[] {
  if (resource?.kind === 'WorkloadEndpoint') return resource.active ? resource.addresses : [];
  if (resource?.kind === 'HostEndpoint') return resource.expectedIPs;
  return resource?.kind === 'Node' ? resource.addresses : [];
}

/** The higher rank owns the address; of equals the lower key. */
function compareClaims(a: Claim, b: Claim): number {
  return rankOf(b.resource) - rankOf(a.resource) || compareUtf8(a.key, b.key);
}

/** Workloads by age: the newest owns a re-used address. */
function rankOf(resource: Resource): number {
  if (resource.kind === 'WorkloadEndpoint') return RANK.workload + resource.createdMs;
  return resource.kind === 'HostEndpoint' ? RANK['host-endpoint'] : RANK.node;
}

/** What has neither address nor prefix is nobody's end. */
function endOfResource(resource: Resource): End {
  if (resource.kind === 'WorkloadEndpoint') return endOfWorkload(resource);
  if (resource.kind === 'NetworkSet') {
    const { namespace, name, labels } = resource;
    return { kind: 'network-set', namespace, name, labels };
  }
  if (resource.kind !== 'HostEndpoint' && resource.kind !== 'Node') return EXTERNAL;
  const kind = resource.kind === 'Node' ? 'node' : 'host-endpoint';
  return { kind, namespace: undefined, name: resource.name, labels: resource.labels };
}

const WORKLOAD_ENDS = new WeakMap<WorkloadEndpoint, End>();

/** The same object for the same workload: many records share it. */
function endOfWorkload(endpoint: WorkloadEndpoint): End {
  const known = WORKLOAD_ENDS.get(endpoint) ?? makeWorkloadEnd(endpoint);
  WORKLOAD_ENDS.set(endpoint, known);
  return known;
}

/** Without the labels that say again what namespace and kind say. */
function makeWorkloadEnd({ isPod, namespace, name, labels }: WorkloadEndpoint): End {
  const own = Object.entries(labels).filter(([key]) => !key.startsWith('projectcalico.org/'));
  return { kind: isPod ? 'pod' : 'workload', namespace, name, labels: Object.fromEntries(own) };
}

function setOf(resource: Resource | undefined): NetworkSet | undefined {
  return resource?.kind === 'NetworkSet' ? resource : undefined;
}

function serviceOf(resource: Resource | undefined): ServiceEndpoints | undefined {
  return resource?.kind === 'ServiceEndpoints' ? resource : undefined;
}

function servicePlaces({ addresses, ports }: ServiceEndpoints): string[] {
  return addresses.flatMap((address) =>
    ports.map(({ protocol, port }) => `${addressKey(address)} ${protocol} ${port}`),
  );
}
