/** Which host endpoint governs an interface of this node (specification sections 1.6 and 3.8). */
import type { HostEndpoint } from '../model/cluster.ts';
import type { Link } from './stage.ts';
import { isSameAddress, resourcesOf } from './world.ts';
import type { World } from './world.ts';

/**
 * The host endpoint that names the interface or has one of its addresses; of several the one with the lowest name. Interfaces of workloads
 * have none.
 */
export function namedHostEndpoint(world: World, link: Link): HostEndpoint | undefined {
  if (link.kind === 'workload') return undefined;
  const { name, addresses } = link.interface;
  return ownHostEndpoints(world).find((endpoint) =>
    endpoint.interfaceName === undefined
      ? endpoint.expectedIPs.some((ip) => addresses.some((own) => isSameAddress(own, ip)))
      : endpoint.interfaceName === name,
  );
}

/**
 * That, else the wildcard with the lowest name. DEVIATION, README: the wildcard does not govern `lo`, or it would part the host's
 * processes from one another.
 */
export function anyHostEndpoint(world: World, link: Link): HostEndpoint | undefined {
  const named = namedHostEndpoint(world, link);
  if (named !== undefined) return named;
  if (link.kind === 'host' && link.interface.name === 'lo') return undefined;
  return ownHostEndpoints(world).find(({ interfaceName }) => interfaceName === '*');
}

/** This node's, in ascending order of names. */
function ownHostEndpoints(world: World): readonly HostEndpoint[] {
  return resourcesOf(world, 'HostEndpoint')
    .filter(({ node }) => node === world.node)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
