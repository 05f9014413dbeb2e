/** Host endpoints that a person believes to govern this host, and that do not. Comes in: resources and the node; goes out: sentences. */
import type { ResolvedHostEndpoint } from '../../compiler/calc/resolved.ts';
import { findUntrackedOnWildcards } from '../../compiler/lint/host-endpoints.ts';
import { LintWorld } from '../../compiler/lint/world.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { HostPlacement } from '../../compiler/nft/host-endpoints.ts';
import type { HostNetwork } from '../endpoints/placement.ts';
import { objectKey } from '../watch/source.ts';
import type { Agent } from './agent.ts';

const OF_INTEREST = /\/(?:HostEndpoint|GlobalNetworkPolicy)\//;

/** Of endpoints, what a sentence names. */
const MAX_NAMED = 3;

/** Resources with the keys of their objects. */
export function hostWarnings(
  resources: readonly (readonly [string, Resource])[],
  node: string,
): readonly string[] {
  const hosts = resources.flatMap(([, each]) => (each.kind === 'HostEndpoint' ? [each] : []));
  const [first] = hosts;
  if (first === undefined) return [];
  if (!hosts.some((host) => host.node === node)) {
    const more = hosts.length > MAX_NAMED ? ', …' : '';
    const named = hosts.slice(0, MAX_NAMED).map((host) => `${host.name} is of node ${host.node}`);
    return [
      `no HostEndpoint is of this node, ${node}: nothing governs this host itself (${named.join(', ')}${more}); correct spec.node, or say --node`,
    ];
  }
  const near = resources.filter(([, each]) =>
    each.kind === 'HostEndpoint' ? each.node === node : each.kind !== 'WorkloadEndpoint',
  );
  const world = new LintWorld(near.map(([key, resource]) => ({ key, resource })));
  return findUntrackedOnWildcards(world).map(({ key, message }) => `${objectKey(key)}: ${message}`);
}

interface Placed {
  readonly resolved: Pick<ResolvedHostEndpoint, 'endpoint'>;
  readonly placement: HostPlacement;
}

/** Of this node's host endpoints as placed. An interface may come later; or its name may be misspelled. */
export function placementWarnings(
  hosts: readonly Placed[],
  { links }: Pick<HostNetwork, 'links'>,
): readonly string[] {
  return hosts.flatMap(({ resolved: { endpoint }, placement: { interfaces, isDefault } }) => {
    if (isDefault || interfaces.some((ifname) => links.has(ifname))) return [];
    const { name, interfaceName, expectedIPs } = endpoint;
    const why =
      interfaces.length > 0
        ? `there is no interface ${interfaces.join(', ')}`
        : interfaceName === undefined
          ? `no interface that it may have has one of its expectedIPs (${expectedIPs.map(printAddress).join(', ')})`
          : `another HostEndpoint has ${interfaceName}`;
    return [`HostEndpoint ${name} governs nothing now: ${why}`];
  });
}

/** Each once. */
export function followHostWarnings(
  { events, engine, state }: Agent,
  node: string,
  warn: (text: string) => void,
): void {
  const told = new Set<string>();
  let isDirty = false;
  events.on('taken', ({ batch }) => {
    isDirty ||= batch.events.some(({ key }) => OF_INTEREST.test(key));
    if (!isDirty || !state.sources.every(({ isSynced }) => isSynced)) return;
    isDirty = false;
    for (const text of hostWarnings(engine.store.resources(), node)) {
      if (!told.has(text)) warn(text);
      told.add(text);
    }
  });
}
