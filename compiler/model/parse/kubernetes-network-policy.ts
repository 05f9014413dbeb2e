/**
 * Kubernetes NetworkPolicy, and Calico's staged form of it. Comes in: the object's `spec`; goes out: a `Policy` of allow rules in
 * tier default. A rule with any error keeps its place and allows nothing. Source: specification sections 5.1 and 5.3.
 */
import { type Cidr, cidrContains } from '../ip.ts';
import {
  ANY_ENTITY,
  type Direction,
  type EntityMatch,
  type Policy,
  type PortMatch,
  type Rule,
} from '../policy.ts';
import { DEFAULT_TIER, readTypes, warnOfUnused } from './calico-policy.ts';
import { type PortEntry, expandRule } from './expand.ts';
import { readNamespaceSelector, readPodSelector } from './label-selector.ts';
import type { Metadata } from './metadata.ts';
import { readNet } from './nets.ts';
import { MAX_PORT, readPortName, toRange } from './ports.ts';
import { readTransport } from './protocol.ts';
import {
  type Cursor,
  attempt,
  fail,
  isAbsent,
  isEmptyList,
  readFields,
  readInteger,
  readList,
  requirePresent,
  show,
  warn,
} from './reader.ts';
import { RULE_EFFECTS, brokenRule } from './rule-parts.ts';
import { isStagedDeletion } from './staged.ts';

/** Place of every Kubernetes policy in its tier. */
const ORDER = 1000;

const FIELDS = ['podSelector', 'policyTypes', 'ingress', 'egress'] as const;

const STAGED_FIELDS = [...FIELDS, 'stagedAction'] as const;

export function parseKubernetesNetworkPolicy(
  spec: Cursor,
  meta: Metadata,
  policyKind: 'KubernetesNetworkPolicy' | 'StagedKubernetesNetworkPolicy',
): Policy | undefined {
  const staged = policyKind === 'StagedKubernetesNetworkPolicy';
  const known = staged ? STAGED_FIELDS : FIELDS;
  const fields = readFields<(typeof STAGED_FIELDS)[number]>(spec, known, 'scope');
  if (staged && isStagedDeletion(fields.stagedAction, fields)) return undefined;
  const [ingress, egress] = [readRuleList(fields.ingress), readRuleList(fields.egress)];
  const types = readPolicyTypes(fields.policyTypes, !isEmptyList(fields.egress));
  warnOfUnused(fields.ingress, ingress, types, 'ingress');
  warnOfUnused(fields.egress, egress, types, 'egress');
  return {
    kind: 'Policy',
    policyKind,
    namespace: meta.namespace,
    name: meta.name,
    tier: DEFAULT_TIER,
    order: ORDER,
    staged,
    selector: readPodSelector(fields.podSelector),
    namespaceSelector: undefined,
    serviceAccountSelector: undefined,
    types,
    ingress: ingress.flatMap((at, index) => readRule(at, index, 'ingress')),
    egress: egress.flatMap((at, index) => readRule(at, index, 'egress')),
    applyOnForward: false,
    preDnat: false,
    doNotTrack: false,
  };
}

/** What is no list costs its rules and not the policy, which would open its pods. */
function readRuleList(at: Cursor): readonly Cursor[] {
  return attempt(at, 'these rules allow nothing until they are corrected', readList) ?? [];
}

const TYPES_EFFECT =
  'until it is corrected, the types that can be read count, and those that are assumed without types';

/** A bad type does not cost the policy, which would open its pods (specification section 5.1). */
function readPolicyTypes(at: Cursor, hasEgress: boolean): readonly Direction[] {
  const types = attempt(at, TYPES_EFFECT, readTypes);
  if (types !== undefined) return types;
  const words: readonly unknown[] = Array.isArray(at.value) ? at.value : [];
  const recognised = words.includes('Egress') ? (['egress'] as const) : [];
  return [...new Set([...defaultTypes(hasEgress), ...recognised])];
}

/** Kubernetes' own words: always ingress, and egress when there are egress rules. */
function defaultTypes(hasEgress: boolean): readonly Direction[] {
  return hasEgress ? ['ingress', 'egress'] : ['ingress'];
}

function readRule(rule: Cursor, index: number, direction: Direction): readonly Rule[] {
  const read = attempt(rule, RULE_EFFECTS.allow, (at) => {
    requirePresent(at, 'the rule');
    const peerField = direction === 'ingress' ? 'from' : 'to';
    const fields = readFields(at, [peerField, 'ports'], 'strict');
    const peers = readList(fields[peerField]).map((entry) => readPeer(entry));
    const ports = readList(fields.ports).flatMap((entry) => readPort(entry) ?? []);
    return { peers: peers.length === 0 ? [ANY_ENTITY] : peers, ports };
  });
  if (read === undefined) return [brokenRule('allow', index)];
  return expandRule({ action: 'allow', index, name: undefined, direction, ...read });
}

function readPeer(at: Cursor): EntityMatch {
  requirePresent(at, 'the peer');
  const fields = readFields(at, ['podSelector', 'namespaceSelector', 'ipBlock'], 'strict');
  if (!isAbsent(fields.ipBlock)) {
    if (!isAbsent(fields.podSelector) || !isAbsent(fields.namespaceSelector)) {
      const text = 'ipBlock cannot be combined with podSelector or namespaceSelector';
      fail(fields.ipBlock, 'peer-conflict', text);
    }
    return readIpBlock(fields.ipBlock);
  }
  return {
    ...ANY_ENTITY,
    selector: readPodSelector(fields.podSelector),
    namespaceSelector: isAbsent(fields.namespaceSelector)
      ? undefined
      : readNamespaceSelector(fields.namespaceSelector),
  };
}

function readIpBlock(at: Cursor): EntityMatch {
  const fields = readFields(at, ['cidr', 'except'], 'strict');
  if (!requirePresent(fields.cidr, 'the CIDR')) return ANY_ENTITY;
  const cidr = readNet(fields.cidr, 'rule');
  const except = readList(fields.except).flatMap((entry) => {
    const net = readNet(entry, 'rule');
    if (net !== undefined && cidr !== undefined) checkException(entry, net, cidr);
    return net ?? [];
  });
  return cidr === undefined ? ANY_ENTITY : { ...ANY_ENTITY, nets: [cidr], notNets: except };
}

function checkException(at: Cursor, except: Cidr, block: Cidr): void {
  if (except.family !== block.family) {
    fail(at, 'mixed-families', `${show(at.value)} is of the other IP family than its block`);
  } else if (!cidrContains(block, except) || except.prefixLen < block.prefixLen) {
    warn(at, 'except-outside', `${show(at.value)} is not inside its block`);
  }
}

function readPort(at: Cursor): PortEntry | undefined {
  if (!requirePresent(at, 'the port')) return undefined;
  const fields = readFields(at, ['protocol', 'port', 'endPort'], 'strict');
  const protocol = readTransport(fields.protocol);
  if (isAbsent(fields.port)) {
    if (!isAbsent(fields.endPort)) fail(fields.endPort, 'port-invalid', 'endPort needs a port');
    return { protocol, port: undefined };
  }
  return { protocol, port: readPortOrRange(fields.port, fields.endPort) };
}

function readPortOrRange(at: Cursor, endPort: Cursor): PortMatch | undefined {
  const { value } = at;
  const isNumber = typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value));
  if (!isNumber) {
    if (!isAbsent(endPort)) fail(endPort, 'port-invalid', 'endPort needs a numeric port');
    const name = readPortName(at);
    return name === undefined ? undefined : { kind: 'named', name };
  }
  const last = readInteger(endPort, 1, MAX_PORT);
  return toRange(at, Number(value), last ?? Number(value));
}
