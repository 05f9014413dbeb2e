/**
 * Where local endpoints are: which host interface is an endpoint's own. Comes in: endpoints, link names and host routes. Goes out: placements.
 * Pure; agent/endpoints/host-network.ts reads links and routes. Specification section 10.2, design section 7.
 */
import { sha1Hex } from '../../compiler/hash.ts';
import type { WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Placement } from '../../compiler/nft/compiler.ts';

/** What the kernel says about the host's interfaces. */
export interface HostNetwork {
  readonly links: ReadonlySet<string>;
  /** Address text to the device of its /32 or /128 route. */
  readonly hostRoutes: ReadonlyMap<string, string>;
}

/** Calico's interface name for a pod: prefix and 11 hex digits of SHA-1 over `<namespace>.<name>`. */
export function caliInterfaceName(prefix: string, namespace: string, name: string): string {
  return prefix + sha1Hex(`${namespace}.${name}`).slice(0, 11);
}

/**
 * The interface that the manifest names; else Calico's, when it exists; else the device of the host route to an address, unless another
 * endpoint is reached through it too. Otherwise by address; Calico's name is then still expected, so that a link that appears later is
 * governed from its first packet.
 */
export function placeEndpoint(
  endpoint: WorkloadEndpoint,
  network: HostNetwork,
  sharedDevices: ReadonlySet<string>,
  prefix: string,
): Placement {
  if (endpoint.interfaceName !== undefined) {
    return { interfaces: [endpoint.interfaceName], byAddress: false };
  }
  const cali = caliInterfaceName(prefix, endpoint.namespace, endpoint.name);
  if (network.links.has(cali)) return { interfaces: [cali], byAddress: false };
  const device = routedDevice(endpoint, network);
  if (device !== undefined && !sharedDevices.has(device)) {
    return { interfaces: [device], byAddress: false };
  }
  return { interfaces: [cali], byAddress: true };
}

/** Devices to which the host routes of more than one endpoint lead, like a bridge. */
export function findSharedDevices(
  endpoints: Iterable<WorkloadEndpoint>,
  network: HostNetwork,
): Set<string> {
  const seen = new Set<string>();
  const shared = new Set<string>();
  for (const endpoint of endpoints) {
    const device = routedDevice(endpoint, network);
    if (device === undefined) continue;
    if (seen.has(device)) shared.add(device);
    seen.add(device);
  }
  return shared;
}

function routedDevice(endpoint: WorkloadEndpoint, network: HostNetwork): string | undefined {
  for (const address of endpoint.addresses) {
    const device = network.hostRoutes.get(printAddress(address));
    if (device !== undefined) return device;
  }
  return undefined;
}
