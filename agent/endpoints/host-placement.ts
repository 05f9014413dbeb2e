/**
 * Which host endpoint has which interface. Comes in: this node's host endpoints, and the kernel's interfaces with their addresses. Goes
 * out: placements. Pure; agent/endpoints/host-network.ts reads the kernel. Specification section 1.6.
 */
import type { HostEndpoint } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import type { HostPlacement } from '../../compiler/nft/host-endpoints.ts';
import type { HostNetwork } from './placement.ts';

const WILDCARD = '*';

/**
 * The lowest name that names the interface, or names none and has an expected address that the interface has; the others are shadowed. A
 * named interface belongs to its endpoint before it exists, so that it is governed from its first packet. The lowest `*` has the rest.
 */
export function placeHosts(
  endpoints: readonly HostEndpoint[],
  network: HostNetwork,
  isWorkloads: (ifname: string) => boolean,
): Map<string, HostPlacement> {
  const sorted = endpoints.toSorted((a, b) => compareUtf8(a.name, b.name));
  const wildcard = sorted.find(({ interfaceName }) => interfaceName === WILDCARD);
  const specific = sorted.filter(({ interfaceName }) => interfaceName !== WILDCARD);
  const owned = new Map<string, string[]>();
  for (const ifname of interfacesOf(specific, network)) {
    if (isWorkloads(ifname)) continue;
    const owner = specific.find((endpoint) => matches(endpoint, ifname, network));
    if (owner === undefined) continue;
    owned.set(owner.name, [...(owned.get(owner.name) ?? []), ifname]);
  }
  return new Map(
    sorted.map(({ name }) => [
      name,
      { interfaces: owned.get(name) ?? [], isDefault: name === wildcard?.name },
    ]),
  );
}

function interfacesOf(specific: readonly HostEndpoint[], { links }: HostNetwork): string[] {
  const named = specific.flatMap(({ interfaceName }) => interfaceName ?? []);
  return [...new Set([...links, ...named])].sort(compareUtf8);
}

function matches(endpoint: HostEndpoint, ifname: string, { addresses }: HostNetwork): boolean {
  if (endpoint.interfaceName !== undefined) return endpoint.interfaceName === ifname;
  const present = addresses.get(ifname);
  return endpoint.expectedIPs.some((address) => present?.has(printAddress(address)) === true);
}
