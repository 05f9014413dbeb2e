/**
 * What ClusterNetworkPolicy and its two predecessors have in common: subject, peers, and rules that fail closed. Comes in: fields of
 * any of them; goes out: parts of a `Policy`. Knows neither their actions nor how they write ports. Source: specification 5.2.
 */
import {
  type Action,
  ANY_ENTITY,
  type Direction,
  type EntityMatch,
  type Policy,
  type Rule,
} from '../policy.ts';
import type { Selector } from '../selector.ts';
import { type PortEntry, expandRule } from './expand.ts';
import { readNamespaceSelector, readPodSelector } from './label-selector.ts';
import type { Metadata } from './metadata.ts';
import { readNets } from './nets.ts';
import {
  type Cursor,
  attempt,
  fail,
  fieldOf,
  isAbsent,
  isEmptyList,
  isObject,
  readFields,
  readList,
  readString,
  readWord,
  requirePresent,
  show,
} from './reader.ts';
import { RULE_EFFECTS, brokenRule } from './rule-parts.ts';

/** How one of the kinds writes its rules. */
export interface ClusterRuleStyle {
  /** As written, with what they are. */
  readonly actions: Readonly<Record<string, Action>>;
  readonly portsField: 'protocols' | 'ports';
  readonly readPort: (entry: Cursor) => PortEntry | undefined;
}

export interface ClusterPolicyHead {
  readonly policyKind: Policy['policyKind'];
  readonly tier: string;
  readonly order: number | undefined;
}

/** Of the spec's fields. A direction without rules is not governed. */
export function readClusterPolicy(
  fields: Readonly<Record<'subject' | 'ingress' | 'egress', Cursor>>,
  meta: Metadata,
  head: ClusterPolicyHead,
  style: ClusterRuleStyle,
): Policy {
  const subject = readSubject(fields.subject);
  const ingress = readClusterRules(fields.ingress, 'ingress', style);
  const egress = readClusterRules(fields.egress, 'egress', style);
  return {
    kind: 'Policy',
    ...head,
    namespace: undefined,
    name: meta.name,
    staged: false,
    ...subject,
    serviceAccountSelector: undefined,
    types: [
      ...(ingress.length > 0 ? (['ingress'] as const) : []),
      ...(egress.length > 0 ? (['egress'] as const) : []),
    ],
    ingress,
    egress,
    applyOnForward: false,
    preDnat: false,
    doNotTrack: false,
  };
}

interface PodsAndNamespaces {
  readonly selector: Selector;
  readonly namespaceSelector: Selector;
}

function readSubject(at: Cursor): PodsAndNamespaces {
  requirePresent(at, 'the subject');
  const fields = readFields(at, ['namespaces', 'pods'], 'strict');
  checkOneOf(at, [fields.namespaces, fields.pods], 'namespaces or pods');
  return isAbsent(fields.pods)
    ? {
        selector: readPodSelector({ ...fields.namespaces, value: undefined }),
        namespaceSelector: readNamespaceSelector(fields.namespaces),
      }
    : readPods(fields.pods);
}

function checkOneOf(at: Cursor, fields: readonly Cursor[], names: string): void {
  const given = fields.filter((field) => !isAbsent(field)).length;
  if (given !== 1) fail(at, 'peer-conflict', `expected exactly one of ${names}, found ${given}`);
}

function readPods(at: Cursor): PodsAndNamespaces {
  const fields = readFields(at, ['namespaceSelector', 'podSelector'], 'strict');
  return {
    selector: readPodSelector(fields.podSelector),
    namespaceSelector: readNamespaceSelector(fields.namespaceSelector),
  };
}

/** What is no list, or too long, denies everything, as one rule would that cannot be read. */
function readClusterRules(
  at: Cursor,
  direction: Direction,
  style: ClusterRuleStyle,
): readonly Rule[] {
  const entries = attempt(at, 'everything is denied here', (list) => readList(list, MAX_RULES));
  if (entries === undefined) return [brokenRule('deny', 0)];
  return entries.flatMap((entry, index) => readRule(entry, index, direction, style));
}

/** Entries of one rule list. The API allows 100. */
const MAX_RULES = 1024;

/** Stricter than elsewhere: a rule that should pass on denies when it cannot be read. */
function readRule(
  entry: Cursor,
  index: number,
  direction: Direction,
  style: ClusterRuleStyle,
): readonly Rule[] {
  const action = attempt(entry, 'this rule denies everything', (at) => readAction(at, style));
  if (!isObject(entry.value)) return [brokenRule('deny', index)];
  const nameAt = fieldOf(entry, 'name').value;
  const name =
    typeof nameAt === 'string' && nameAt !== '' ? nameAt.slice(0, MAX_RULE_NAME) : undefined;
  const safe = action === 'allow' ? 'allow' : 'deny';
  const read = attempt(entry, RULE_EFFECTS[safe], (at) => readBody(at, direction, style));
  if (action === undefined || read === undefined) return [brokenRule(safe, index, name)];
  return expandRule({ action, index, name, direction, ...read });
}

/** Characters of a rule's name in the API. */
const MAX_RULE_NAME = 100;

function readAction(at: Cursor, { actions }: ClusterRuleStyle): Action | undefined {
  if (!isObject(at.value))
    return fail(at, 'not-an-object', `expected a rule, found ${show(at.value)}`);
  const field = fieldOf(at, 'action');
  requirePresent(field, 'the action');
  const word = readWord(field, Object.keys(actions), 'exact');
  return word === undefined ? undefined : actions[word];
}

interface RuleBody {
  readonly peers: readonly EntityMatch[];
  readonly ports: readonly PortEntry[];
}

function readBody(at: Cursor, direction: Direction, style: ClusterRuleStyle): RuleBody {
  const peerField = direction === 'ingress' ? 'from' : 'to';
  const fields = readFields(at, ['name', 'action', peerField, style.portsField], 'strict');
  readString(fields.name);
  const peers = readList(fields[peerField]).map((entry) => readPeer(entry, direction));
  if (isEmptyList(fields[peerField])) {
    fail(fields[peerField], 'missing', `${peerField} needs at least one peer`);
  }
  const ports = readList(fields[style.portsField]).flatMap((entry) => style.readPort(entry) ?? []);
  return { peers, ports };
}

function readPeer(at: Cursor, direction: Direction): EntityMatch {
  requirePresent(at, 'the peer');
  for (const name of ['nodes', 'domainNames', ...(direction === 'ingress' ? ['networks'] : [])]) {
    const field = fieldOf(at, name);
    if (!isAbsent(field))
      fail(field, 'peer-unsupported', `peers of kind ${name} cannot be matched here`);
  }
  const known = ['namespaces', 'pods', 'networks', 'nodes', 'domainNames'] as const;
  const fields = readFields(at, known, 'strict');
  checkOneOf(at, Object.values(fields), 'namespaces, pods or networks');
  if (!isAbsent(fields.networks)) return { ...ANY_ENTITY, nets: readNetworks(fields.networks) };
  if (!isAbsent(fields.pods)) return { ...ANY_ENTITY, ...readPods(fields.pods) };
  return { ...ANY_ENTITY, namespaceSelector: readNamespaceSelector(fields.namespaces) };
}

function readNetworks(at: Cursor): EntityMatch['nets'] {
  if (isEmptyList(at)) fail(at, 'missing', 'networks needs at least one prefix');
  return readNets(at, 'rule');
}
