/**
 * Tells policies apart without keeping them. Comes in: the objects of a store. Goes out: a digest that is equal while they mean the same.
 * Workloads play no part in it: they come and go by themselves, and none of them can lock out an operator.
 */
import { createHash } from 'node:crypto';
import { Calc } from '../../compiler/calc/calc.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import { NO_HOST_POLICY } from '../state/last-good.ts';
import type { Digests } from '../state/snapshot.ts';

type Keyed = readonly (readonly [key: string, resource: Resource])[];

const DECIDING = new Set<Resource['kind']>([
  'Policy',
  'Tier',
  'Profile',
  'HostEndpoint',
  'NetworkSet',
]);

/** Whether a change of such an object can change a digest. */
function isDeciding({ kind }: Resource): boolean {
  return DECIDING.has(kind);
}

export function digestsOf(resources: Keyed, node: string): Digests {
  return { host: hostDigestOf(resources, node), policy: policyDigest(resources) };
}

/** What governs the host itself: its host endpoints, their policies in order, and the sets that these name. */
export function hostDigestOf(resources: Keyed, node: string): string {
  // Most nodes of a cluster have none, and need no calculation to know it.
  const isGoverned = resources.some(
    ([, each]) => each.kind === 'HostEndpoint' && each.node === node,
  );
  if (!isGoverned) return NO_HOST_POLICY;
  const calc = new Calc(node);
  for (const [key, resource] of resources) if (isDeciding(resource)) calc.put(key, resource);
  const { hostEndpoints, policies, sets } = calc.flush();
  if (hostEndpoints.size === 0) return NO_HOST_POLICY;
  return digestOf([sorted(hostEndpoints), sorted(policies), sorted(sets)]);
}

/** Everything that decides, on every node, whoever it governs. Where it came from plays no part. */
function policyDigest(resources: Keyed): string {
  const texts = resources
    .filter(([, resource]) => isDeciding(resource))
    .map(([, resource]) => JSON.stringify(resource, plain));
  return digestOf(texts.toSorted(compareUtf8));
}

function sorted<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...map].toSorted(([a], [b]) => compareUtf8(a, b));
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, plain)).digest('hex');
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Map) return sorted(value as Map<string, unknown>);
  return value;
}
