/**
 * Where local endpoints are: which host interface is an endpoint's own. Comes in: endpoints, link names and host routes. Goes out: placements.
 * Pure; agent/endpoints/host-network.ts reads links and routes. Specification sections 10.2 and 10.7, design section 7.
 */
import { sha1Hex } from '../../compiler/hash.ts';
import type { WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import type { Placement } from '../../compiler/nft/dispatch.ts';

/** What the kernel says about the host's interfaces. */
export interface HostNetwork {
  readonly links: ReadonlySet<string>;
  /** Address text to the device of its /32 or /128 route. */
  readonly hostRoutes: ReadonlyMap<string, string>;
  /** Link to the texts of its addresses; links without any may be missing. */
  readonly addresses: ReadonlyMap<string, ReadonlySet<string>>;
}

export const NO_NETWORK: HostNetwork = {
  links: new Set(),
  hostRoutes: new Map(),
  addresses: new Map(),
};

/** Calico's interface name for a pod: prefix and 11 hex digits of SHA-1 over `<namespace>.<name>`. */
export function caliInterfaceName(prefix: string, namespace: string, name: string): string {
  return prefix + sha1Hex(`${namespace}.${name}`).slice(0, 11);
}

/** Devices that an endpoint lays claim to. */
interface Claims {
  /** Named by the manifest, or Calico's name. */
  readonly own: string;
  /** The device of the host route to its address, while its own link does not exist. */
  readonly routed: string | undefined;
  readonly isOwnCertain: boolean;
}

/**
 * The interface that the manifest names; else Calico's, when it exists; else the device of the host route to an address, unless anybody
 * else is there too, as on a bridge. Otherwise by address; Calico's name is then still expected, so that a link that appears later is
 * governed from its first packet. When two endpoints claim one interface as their own, the lowest id has it and the other has none.
 */
export class Placements {
  readonly #prefix: string;
  #network = NO_NETWORK;
  readonly #endpoints = new Map<string, WorkloadEndpoint>();
  readonly #claims = new Map<string, Claims>();
  /** Device to the ids that claim it, in any way. */
  readonly #claimants = new Map<string, Set<string>>();
  readonly #affected = new Set<string>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  put(endpoint: WorkloadEndpoint): void {
    this.#endpoints.set(endpoint.id, endpoint);
    this.#reclaim(endpoint.id, this.#claimsOf(endpoint));
  }

  delete(id: string): void {
    this.#endpoints.delete(id);
    this.#reclaim(id, undefined);
  }

  setNetwork(network: HostNetwork): void {
    this.#network = network;
    for (const [id, endpoint] of this.#endpoints) this.#reclaim(id, this.#claimsOf(endpoint));
  }

  placementOf(id: string): Placement {
    const claims = this.#claims.get(id);
    if (claims === undefined) return { interfaces: [], byAddress: false };
    const { own, routed, isOwnCertain } = claims;
    const ownInterfaces = this.#hasOwn(id, own) ? [own] : [];
    if (isOwnCertain) return { interfaces: ownInterfaces, byAddress: false };
    if (routed !== undefined && this.#claimants.get(routed)?.size === 1) {
      return { interfaces: [routed], byAddress: false };
    }
    return { interfaces: ownInterfaces, byAddress: true };
  }

  /** The device is some endpoint's own. */
  isOwned(device: string): boolean {
    return [...(this.#claimants.get(device) ?? [])].some((id) =>
      this.placementOf(id).interfaces.includes(device),
    );
  }

  /** Ids whose placement may have changed since the last call; they may be gone. */
  takeAffected(): string[] {
    const ids = [...this.#affected];
    this.#affected.clear();
    return ids;
  }

  #claimsOf(endpoint: WorkloadEndpoint): Claims {
    if (endpoint.interfaceName !== undefined) {
      return { own: endpoint.interfaceName, routed: undefined, isOwnCertain: true };
    }
    const own = caliInterfaceName(this.#prefix, endpoint.namespace, endpoint.name);
    const isOwnCertain = this.#network.links.has(own);
    return { own, routed: isOwnCertain ? undefined : this.#routedDevice(endpoint), isOwnCertain };
  }

  #routedDevice(endpoint: WorkloadEndpoint): string | undefined {
    for (const address of endpoint.addresses) {
      const device = this.#network.hostRoutes.get(printAddress(address));
      if (device !== undefined) return device;
    }
    return undefined;
  }

  #hasOwn(id: string, device: string): boolean {
    for (const rival of this.#claimants.get(device) ?? []) {
      if (this.#claims.get(rival)?.own === device && compareUtf8(rival, id) < 0) return false;
    }
    return true;
  }

  #reclaim(id: string, after: Claims | undefined): void {
    const before = this.#claims.get(id);
    if (before !== undefined && after !== undefined && areEqual(before, after)) return;
    this.#affected.add(id);
    for (const device of devicesOf(before)) this.#leave(device, id);
    if (after === undefined) this.#claims.delete(id);
    else this.#claims.set(id, after);
    for (const device of devicesOf(after)) this.#enter(device, id);
  }

  #leave(device: string, id: string): void {
    const claimants = this.#claimants.get(device);
    claimants?.delete(id);
    if (claimants?.size === 0) this.#claimants.delete(device);
    for (const other of claimants ?? []) this.#affected.add(other);
  }

  #enter(device: string, id: string): void {
    const claimants = this.#claimants.get(device) ?? new Set<string>();
    for (const other of claimants) this.#affected.add(other);
    this.#claimants.set(device, claimants.add(id));
  }
}

function areEqual(a: Claims, b: Claims): boolean {
  return a.own === b.own && a.routed === b.routed && a.isOwnCertain === b.isOwnCertain;
}

function devicesOf(claims: Claims | undefined): string[] {
  if (claims === undefined) return [];
  return claims.routed === undefined ? [claims.own] : [claims.own, claims.routed];
}
