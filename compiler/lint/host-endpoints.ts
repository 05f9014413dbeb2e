/** Host endpoints and their policies that are not what they seem: behind another one, not applied, for nobody. */
import { compareUtf8 } from '../model/text-order.ts';
import { policyScope } from '../selector/scope.ts';
import type { FindWarnings, Warning } from './rule.ts';

const WILDCARD = '*';

/** One interface has one endpoint: that of the lowest name (specification section 1.6). */
export const findShadowedHosts: FindWarnings = (world) => {
  const named = world.hosts.filter(({ value }) => value.interfaceName !== undefined);
  const rivals = Map.groupBy(named, ({ value }) => `${value.node} ${value.interfaceName ?? ''}`);
  return [...rivals.values()].flatMap((group): Warning[] => {
    const [first, ...others] = group.toSorted((a, b) => compareUtf8(a.value.name, b.value.name));
    return others.map(({ key, value }) => ({
      key,
      path: ['spec', 'interfaceName'],
      message: `interface ${JSON.stringify(value.interfaceName)} of node ${value.node} has the host endpoint ${JSON.stringify(first?.value.name)}, the lowest name: this one governs nothing`,
    }));
  });
};

/** Specification section 3.6. */
export const findUntrackedOnWildcards: FindWarnings = (world) =>
  world.policies.flatMap(({ key, value: policy }): Warning[] => {
    if (!policy.doNotTrack || policy.staged) return [];
    const [host] = world
      .endpoints(policyScope(policy))
      .filter((item) => item.kind === 'HostEndpoint' && item.interfaceName === WILDCARD);
    if (host === undefined) return [];
    const message = `untracked policy is not applied to the host endpoint ${JSON.stringify(host.name)}, which has interface "*": name the interface there`;
    return [{ key, path: ['spec', 'doNotTrack'], message }];
  });

/** Specification section 3.4, point 5: untracked and pre-DNAT policy is for host endpoints, it does nothing for workloads. */
export const findHostPoliciesWithoutHost: FindWarnings = (world) =>
  world.policies.flatMap(({ key, value: policy }): Warning[] => {
    const field = policy.doNotTrack ? 'doNotTrack' : policy.preDnat ? 'preDNAT' : undefined;
    if (field === undefined || policy.staged) return [];
    const selected = world.endpoints(policyScope(policy));
    if (selected.length === 0 || selected.some(({ kind }) => kind === 'HostEndpoint')) return [];
    const message = `the policy selects workloads only, for which ${field} policy does nothing: select host endpoints, or leave ${field} out`;
    return [{ key, path: ['spec', field], message }];
  });
