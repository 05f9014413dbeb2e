/** Keys of domain values that come from no manifest. */
import type { Resource } from '../../compiler/model/cluster.ts';
import { policyId } from '../../compiler/model/policy.ts';

export function keyOf(resource: Resource): string {
  if (resource.kind === 'Policy') return policyId(resource);
  if (resource.kind === 'WorkloadEndpoint') return `wep/${resource.id}`;
  const ns = 'namespace' in resource ? (resource.namespace ?? '') : '';
  return `${resource.kind}/${ns}/${resource.name}`;
}
