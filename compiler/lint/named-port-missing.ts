/** Port names in rules that no endpoint declares which could be meant. */
import type { HostEndpoint, NamedPort, WorkloadEndpoint } from '../model/cluster.ts';
import { suggest } from '../model/parse/nearest.ts';
import type { Policy, ProtocolMatch } from '../model/policy.ts';
import { entityScope, policyScope } from '../selector/scope.ts';
import { ruleSides } from './conditions.ts';
import type { RuleSide } from './conditions.ts';
import { portsPath } from './places.ts';
import type { FindWarnings, Warning } from './rule.ts';
import type { LintWorld } from './world.ts';

export const findMissingPorts: FindWarnings = (world) =>
  world.policies.flatMap(({ key, value: policy }) =>
    ruleSides(policy).flatMap((ruleSide) =>
      inSide(policy, ruleSide, world).map((warning) => ({ key, ...warning })),
    ),
  );

type Endpoint = WorkloadEndpoint | HostEndpoint;

function inSide(
  policy: Policy,
  { direction, side, entity, match, path }: RuleSide,
  world: LintWorld,
): readonly Omit<Warning, 'key'>[] {
  const names = entity.ports.flatMap((port) => (port.kind === 'named' ? [port.name] : []));
  if (names.length === 0) return [];
  const isOwn = (direction === 'ingress') === (side === 'destination');
  const candidates = candidatesOf(policy, entity, isOwn, world);
  if (candidates.length === 0) return [];
  const declared = candidates.flatMap(({ ports }) => ports);
  const whose = isOwn ? 'endpoint that the policy selects' : `endpoint that can be the ${side}`;
  return names
    .filter((name) => !declared.some((port) => isMeant(port, name, match.protocol)))
    .map((name) => {
      const known = declared.map((port) => port.name);
      const isOther = known.includes(name);
      const hint = isOther ? ' for the protocol, only for another one' : suggest(name, known);
      const message = `no ${whose} has a port named ${JSON.stringify(name)}${hint}`;
      return { path: portsPath(policy, path, side), message };
    });
}

function candidatesOf(
  policy: Policy,
  entity: RuleSide['entity'],
  isOwn: boolean,
  world: LintWorld,
): readonly Endpoint[] {
  const { positive } = entityScope(entity, policy.namespace);
  const selected = positive === undefined ? undefined : world.endpoints(positive);
  if (!isOwn) return selected ?? world.endpoints({ kind: 'all' });
  const own = world.endpoints(policyScope(policy));
  return selected === undefined ? own : own.filter((endpoint) => selected.includes(endpoint));
}

function isMeant(port: NamedPort, name: string, protocol: ProtocolMatch | undefined): boolean {
  return port.name === name && (protocol === undefined || port.protocol === protocol.number);
}
