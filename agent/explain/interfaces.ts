/**
 * Interfaces of nodes, as far as anybody says: those that were read from the machine itself, else those that its HostEndpoints and addresses
 * speak of. Comes in: the scene; goes out: interfaces by name, and which of them a packet may take that nobody has named one for.
 */
import type { HostEndpoint } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { HostInterface } from '../../compiler/oracle/world.ts';
import { isSameAddress } from '../../compiler/oracle/world.ts';
import type { Scene } from './scene.ts';

/** Stands for every interface that no HostEndpoint but the wildcard governs. */
const ANY_OTHER = 'any other interface';

export function interfacesOf(scene: Scene, node: string): readonly HostInterface[] {
  if (scene.live?.node === node) return scene.live.interfaces;
  const endpoints = hostEndpointsOf(scene, node);
  const names = endpoints.map(({ interfaceName }) => interfaceName);
  const named = [...new Set(names)].flatMap((name): HostInterface[] => {
    if (name === undefined || name === '*') return [];
    const own = endpoints.filter(({ interfaceName }) => interfaceName === name);
    return [{ name, addresses: own.flatMap((each) => each.expectedIPs), isWorkload: false }];
  });
  const found: HostInterface[] = [...named];
  for (const { interfaceName, expectedIPs } of endpoints) {
    const [first] = expectedIPs;
    if (interfaceName !== undefined || first === undefined) continue;
    if (found.some(({ addresses }) => expectedIPs.some((ip) => hasAddress(addresses, ip))))
      continue;
    const name = `interface with ${printAddress(first)}`;
    found.push({ name, addresses: expectedIPs, isWorkload: false });
  }
  return found;
}

/** An address that a node has itself. */
export interface HostAddress {
  readonly node: string;
  readonly address: Address;
}

/** Of all nodes, as far as anybody says. */
export function hostAddresses({ resources, live }: Scene): readonly HostAddress[] {
  const said = resources.flatMap((each) => {
    if (each.kind === 'HostEndpoint') return ofNode(each.node, each.expectedIPs);
    return each.kind === 'Node' ? ofNode(each.name, each.addresses) : [];
  });
  return [
    ...said,
    ...(live?.interfaces.flatMap(({ addresses }) => ofNode(live.node, addresses)) ?? []),
  ];
}

function ofNode(node: string, all: readonly Address[]): HostAddress[] {
  return all.map((address) => ({ node, address }));
}

/** The interface that has the address. */
export function interfaceWith(scene: Scene, node: string, address: Address): string | undefined {
  return interfacesOf(scene, node).find((each) => hasAddress(each.addresses, address))?.name;
}

/** By which interfaces packets may come and go; `[undefined]` where the node has no host endpoint that could judge them. */
export function possibleInterfaces(scene: Scene, node: string): readonly (string | undefined)[] {
  const endpoints = hostEndpointsOf(scene, node);
  if (endpoints.length === 0) return [undefined];
  const names = interfacesOf(scene, node)
    .filter(({ name, isWorkload }) => !isWorkload && name !== 'lo')
    .map(({ name }) => name);
  const isLive = scene.live?.node === node;
  const hasWildcard = endpoints.some(({ interfaceName }) => interfaceName === '*');
  const all = hasWildcard && !isLive ? [...names, ANY_OTHER] : names;
  return all.length === 0 ? [undefined] : all;
}

function hostEndpointsOf({ resources }: Scene, node: string): readonly HostEndpoint[] {
  return resources.filter(
    (resource): resource is HostEndpoint =>
      resource.kind === 'HostEndpoint' && resource.node === node,
  );
}

function hasAddress(addresses: readonly Address[], address: Address): boolean {
  return addresses.some((own) => isSameAddress(own, address));
}
