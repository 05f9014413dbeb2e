/**
 * The world that the oracle judges in: every resource as the model has it, this node's name and interfaces, a few switches. Lookups
 * are scans over the list: slow, and nothing to keep up to date.
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
import { cidrContains } from '../model/ip.ts';
import type { Address, Cidr, Family } from '../model/ip.ts';
import type { Policy } from '../model/policy.ts';
import { DEFAULT_FAILSAFES } from './failsafe.ts';
import type { Failsafes } from './failsafe.ts';

export interface OracleConfig {
  /** What becomes of a pod's packet to its own node once its egress policy has allowed it (specification section 6.2.4). */
  readonly defaultEndpointToHostAction: 'Accept' | 'Drop' | 'Return';
  /** UDP port that workloads may not send to unless `allowVxlanFromWorkloads` (specification section 6.2.8). */
  readonly vxlanPort: number;
  readonly allowVxlanFromWorkloads: boolean;
  /** Protocol 4 from workloads. */
  readonly allowIpipFromWorkloads: boolean;
  /** Whether `allowedSourcePrefixes` of an endpoint count (WorkloadSourceSpoofing: Any). */
  readonly allowSourceSpoofing: boolean;
  readonly failsafes: Failsafes;
  /** Whether what connection tracking calls invalid is denied where an endpoint is judged (section 6.2.1). */
  readonly denyInvalid: boolean;
  /** Tunnels between hosts that are in use (section 6.2.4). */
  readonly ipip: boolean;
  readonly vxlan: boolean;
  /** Hosts that take part beside the Nodes of the world. */
  readonly externalNodes: readonly Cidr[];
  /** UDP port that WireGuard listens on, by family; absent = not in use. */
  readonly wireguardPorts: Readonly<Partial<Record<Family, number>>>;
}

export const DEFAULT_ORACLE_CONFIG: OracleConfig = Object.freeze({
  defaultEndpointToHostAction: 'Accept',
  vxlanPort: 4789,
  allowVxlanFromWorkloads: false,
  allowIpipFromWorkloads: false,
  allowSourceSpoofing: false,
  failsafes: DEFAULT_FAILSAFES,
  denyInvalid: true,
  ipip: false,
  vxlan: false,
  externalNodes: [],
  wireguardPorts: {},
});

/** An interface of this node. */
export interface HostInterface {
  readonly name: string;
  readonly addresses: readonly Address[];
  /** A workload is behind it, or by its name one should be. */
  readonly isWorkload: boolean;
}

/** `resources` holds at most one resource per kind and name; the built-in tiers and profile need not be in it. */
export interface World {
  readonly resources: readonly Resource[];
  /** Name of the node that judges. */
  readonly node: string;
  /** Of the node that judges. Those of workloads need not be in it. */
  readonly interfaces: readonly HostInterface[];
  readonly config: OracleConfig;
}

/** Whatever carries labels and contributes addresses to selectors. */
export type Item = WorkloadEndpoint | HostEndpoint | NetworkSet;

export function resourcesOf<K extends Resource['kind']>(
  world: World,
  kind: K,
): readonly Extract<Resource, { readonly kind: K }>[] {
  const isOfKind = (resource: Resource): resource is Extract<Resource, { readonly kind: K }> =>
    resource.kind === kind;
  return world.resources.filter(isOfKind);
}

/** Policies that count: staged ones never do. */
export function enforcedPolicies(world: World): readonly Policy[] {
  return resourcesOf(world, 'Policy').filter((policy) => !policy.staged);
}

/** A manifest's tier goes before the built-in of the same name; `undefined` = nobody declares it. */
export function findTier(world: World, name: string): Tier | undefined {
  const isNamed = (tier: Tier): boolean => tier.name === name;
  return resourcesOf(world, 'Tier').find(isNamed) ?? BUILT_IN_TIERS.find(isNamed);
}

/** The built-in one cannot be replaced; `undefined` = nobody declares it. */
export function findProfile(world: World, name: string): Profile | undefined {
  const isNamed = (profile: Profile): boolean => profile.name === name;
  return BUILT_IN_PROFILES.find(isNamed) ?? resourcesOf(world, 'Profile').find(isNamed);
}

/** Own labels first, then those of the profiles in their order; first hit wins (specification section 2.5). */
export function labelOf(world: World, item: Item, key: string): string | undefined {
  if (Object.hasOwn(item.labels, key)) return item.labels[key];
  for (const name of item.profiles) {
    const inherited = findProfile(world, name)?.labelsToApply ?? {};
    if (Object.hasOwn(inherited, key)) return inherited[key];
  }
  return undefined;
}

/** Everything a selector can find. */
export function itemsOf(world: World): readonly Item[] {
  return [
    ...resourcesOf(world, 'WorkloadEndpoint'),
    ...resourcesOf(world, 'HostEndpoint'),
    ...resourcesOf(world, 'NetworkSet'),
  ];
}

/** Whether a set made from the item contains the address (specification section 4.3). */
export function itemHasAddress(world: World, item: Item, address: Address): boolean {
  switch (item.kind) {
    case 'WorkloadEndpoint':
      return ownerOf(world, address)?.id === item.id;
    case 'HostEndpoint':
      return item.expectedIPs.some((own) => isSameAddress(own, address));
    case 'NetworkSet':
      return item.nets.some((net) => cidrContains(net, address));
  }
}

/** The newest active workload endpoint with the address; of two equally new ones the lowest id. */
export function ownerOf(world: World, address: Address): WorkloadEndpoint | undefined {
  const claimants = resourcesOf(world, 'WorkloadEndpoint').filter(
    (endpoint) => endpoint.active && endpoint.addresses.some((own) => isSameAddress(own, address)),
  );
  return claimants.toSorted((a, b) => b.createdMs - a.createdMs || (a.id < b.id ? -1 : 1))[0];
}

/** Whether tunnels with the address are the cluster's own: a Node's, or configured beside them. */
export function isPeerNode(world: World, address: Address): boolean {
  return (
    world.config.externalNodes.some((net) => cidrContains(net, address)) ||
    resourcesOf(world, 'Node').some((node) =>
      node.addresses.some((own) => isSameAddress(own, address)),
    )
  );
}

export function isSameAddress(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}
