/** Rules to set ids: which named sets the two sides of a rule refer to. Specification sections 2.7, 4.2 and 4.4. */
import { shortHash } from '../hash.ts';
import type { EntityMatch, PortMatch, Rule, RuleMatch } from '../model/policy.ts';
import { compareUtf8 } from '../model/text-order.ts';
import { selectorId } from '../model/selector-text.ts';
import type { Selector } from '../model/selector.ts';
import { entityScope } from '../selector/scope.ts';
import type {
  PolicyStage,
  ResolvedEntity,
  ResolvedPolicy,
  ResolvedRule,
  SetSpec,
} from './resolved.ts';

const NO_SETS: ResolvedEntity = Object.freeze({
  positive: undefined,
  negative: undefined,
  namedPorts: undefined,
  notNamedPorts: undefined,
  service: undefined,
});

const EVERYTHING: Selector = Object.freeze({ kind: 'all' });

/** What of a policy or profile its rules depend on. */
export interface RuleOwner {
  /** `undefined` for cluster-scoped policies and profiles. */
  readonly namespace: string | undefined;
  readonly stage: PolicyStage;
  readonly logAllowed?: boolean;
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
}

export function resolvePolicy(id: string, owner: RuleOwner): ResolvedPolicy {
  const sets = new Map<string, SetSpec>();
  const resolve = (rule: Rule): ResolvedRule => resolveRule(rule, owner.namespace, sets);
  const { stage, logAllowed = false, ingress, egress } = owner;
  const rules = { ingress: ingress.map(resolve), egress: egress.map(resolve) };
  return { id, stage, logAllowed, ...rules, sets };
}

function resolveRule(
  rule: Rule,
  namespace: string | undefined,
  sets: Map<string, SetSpec>,
): ResolvedRule {
  if (typeof rule.match === 'string') return { rule, source: NO_SETS, destination: NO_SETS };
  return {
    rule,
    source: resolveEntity(rule.match.source, rule.match, namespace, 'source', sets),
    destination: resolveEntity(rule.match.destination, rule.match, namespace, 'destination', sets),
  };
}

function resolveEntity(
  entity: EntityMatch,
  match: RuleMatch,
  namespace: string | undefined,
  side: 'source' | 'destination',
  sets: Map<string, SetSpec>,
): ResolvedEntity {
  const use = (spec: SetSpec): string => {
    sets.set(spec.id, spec);
    return spec.id;
  };
  const { positive, negative } = entityScope(entity, namespace);
  const named = (ports: readonly PortMatch[]): string | undefined => {
    const names = ports.flatMap((port) => (port.kind === 'named' ? [port.name] : []));
    if (names.length === 0) return undefined;
    return use(namedPortSet(positive ?? EVERYTHING, match.protocol?.number, names));
  };
  const namedPorts = named(entity.ports);
  const onlyNamedPorts = namedPorts !== undefined && entity.ports.every(isNamed);
  return {
    positive: positive === undefined || onlyNamedPorts ? undefined : use(addressSet(positive)),
    negative: negative === undefined ? undefined : use(addressSet(negative)),
    namedPorts,
    notNamedPorts: named(entity.notPorts),
    service: entity.service && serviceOf(entity.service, side === 'destination', use),
  };
}

function addressSet(selector: Selector): SetSpec {
  return { kind: 'addresses', id: selectorId(selector), selector };
}

/** One set for a whole list: a set per name would be a rule per pair of names of both sides. */
function namedPortSet(
  selector: Selector,
  protocol: number | undefined,
  names: readonly string[],
): SetSpec {
  const ports = [...new Set(names)].sort(compareUtf8);
  const id = `n:${shortHash(JSON.stringify([selectorId(selector), protocol ?? 'any', ports]), 40)}`;
  return { kind: 'named-port', id, selector, protocol, ports };
}

function isNamed(port: PortMatch): boolean {
  return port.kind === 'named';
}

function serviceOf(
  service: { readonly namespace: string; readonly name: string },
  withPorts: boolean,
  use: (spec: SetSpec) => string,
): { id: string; withPorts: boolean } {
  const name = `${service.namespace}/${service.name}`;
  const id = `${withPorts ? 'svc' : 'svcnoport'}:${shortHash(name, 40)}`;
  return { id: use({ kind: 'service', id, service: name, withPorts }), withPorts };
}
