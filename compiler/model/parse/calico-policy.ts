/**
 * Calico's own policies, enforced and staged. Comes in: the object's `spec`; goes out: a `Policy`, or nothing when its own
 * fields (not its rules) are wrong. Source: specification sections 1.1 to 1.3.
 */
import type { Selector } from '../selector.ts';
import type { Direction, Policy } from '../policy.ts';
import { MAX_RULES, readRules } from './calico-rule.ts';
import type { Metadata } from './metadata.ts';
import { isDnsLabel, readName } from './names.ts';
import {
  type Cursor,
  fail,
  isAbsent,
  readBoolean,
  readFields,
  readList,
  readNumber,
  readWord,
  show,
  warn,
} from './reader.ts';
import { readSelector } from './selector-field.ts';
import { isStagedDeletion } from './staged.ts';

export type CalicoPolicyKind =
  'NetworkPolicy' | 'GlobalNetworkPolicy' | 'StagedNetworkPolicy' | 'StagedGlobalNetworkPolicy';

const NAMESPACED_FIELDS = [
  'tier',
  'order',
  'selector',
  'serviceAccountSelector',
  'ingress',
  'egress',
  'types',
  'performanceHints',
] as const;

const GLOBAL_FIELDS = ['namespaceSelector', 'applyOnForward', 'preDNAT', 'doNotTrack'] as const;

/** Every field of any of the kinds; those that the kind at hand does not have read as absent. */
type SpecFields = Readonly<
  Record<
    (typeof NAMESPACED_FIELDS)[number] | (typeof GLOBAL_FIELDS)[number] | 'stagedAction',
    Cursor
  >
>;

/** Policies without `tier`, or with an empty one, are in this one. */
export const DEFAULT_TIER = 'default';

export function parseCalicoPolicy(
  spec: Cursor,
  meta: Metadata,
  policyKind: CalicoPolicyKind,
): Policy | undefined {
  const fields = readSpec(spec, policyKind);
  checkPolicyName(meta, policyKind);
  if (isStagedDeletion(fields.stagedAction, fields)) return undefined;
  const namespace = meta.namespace === '' ? undefined : meta.namespace;
  const ingress = readList(fields.ingress, MAX_RULES);
  const egress = readList(fields.egress, MAX_RULES);
  const types = readTypes(fields.types) ?? defaultTypes(ingress.length > 0, egress.length > 0);
  warnOfUnused(fields.ingress, ingress, types, 'ingress');
  warnOfUnused(fields.egress, egress, types, 'egress');
  checkHints(fields.performanceHints);
  return {
    kind: 'Policy',
    policyKind,
    namespace,
    name: meta.name,
    tier: readName(fields.tier) ?? DEFAULT_TIER,
    order: readNumber(fields.order),
    staged: policyKind.startsWith('Staged'),
    ...readScope(fields),
    types,
    ingress: readRules(ingress, { direction: 'ingress', namespace }),
    egress: readRules(egress, { direction: 'egress', namespace }),
    ...readHostFlags(fields, types, egress.length > 0),
  };
}

/** A prefix in a name has no meaning; only the tier field decides. */
function checkPolicyName(meta: Metadata, policyKind: CalicoPolicyKind): void {
  const { name } = meta;
  const isConverted = policyKind.endsWith('GlobalNetworkPolicy')
    ? false
    : /^(knp|ossg)\.default\./.test(name);
  const labels = name.split('.');
  if (isConverted || (labels.length <= 2 && labels.every(isDnsLabel))) return;
  const text = `${show(name)} is not "name" or "tier.name" of at most 63 characters each; it is used as it is`;
  warn(meta.nameAt, 'name-style', text);
}

/** Fields that the kind does not have read as absent. */
function readSpec(spec: Cursor, policyKind: CalicoPolicyKind): SpecFields {
  const isGlobal = policyKind.endsWith('GlobalNetworkPolicy');
  const known: readonly (keyof SpecFields)[] = [
    ...NAMESPACED_FIELDS,
    ...(isGlobal ? GLOBAL_FIELDS : []),
    ...(policyKind.startsWith('Staged') ? (['stagedAction'] as const) : []),
  ];
  const absent = { ...spec, value: undefined };
  const none = Object.fromEntries([...GLOBAL_FIELDS, 'stagedAction'].map((name) => [name, absent]));
  return { ...none, ...readFields(spec, known, 'scope') };
}

interface PolicyScope {
  readonly selector: Selector | undefined;
  readonly namespaceSelector: Selector | undefined;
  readonly serviceAccountSelector: Selector | undefined;
}

function readScope(fields: SpecFields): PolicyScope {
  return {
    selector: readSelector(fields.selector, 'never'),
    namespaceSelector: readSelector(fields.namespaceSelector, 'never'),
    serviceAccountSelector: readSelector(fields.serviceAccountSelector, 'never'),
  };
}

const TYPES: Readonly<Record<'Ingress' | 'Egress', Direction>> = {
  Ingress: 'ingress',
  Egress: 'egress',
};

const TYPE_NAMES = ['Ingress', 'Egress'] as const;

/** Nothing when absent or empty. Shared with the Kubernetes kinds, which spell their types the same. */
export function readTypes(at: Cursor): readonly Direction[] | undefined {
  const types = new Set<Direction>();
  for (const entry of readList(at)) {
    const word = isAbsent(entry)
      ? fail(entry, 'missing', 'a policy type must be "Ingress" or "Egress"')
      : readWord(entry, TYPE_NAMES, 'any-case');
    if (word === undefined) continue;
    if (types.has(TYPES[word])) warn(entry, 'duplicate', `${word} stands twice; once is enough`);
    types.add(TYPES[word]);
  }
  return types.size === 0 ? undefined : [...types];
}

/** What the API text promises: the directions that have rules, and ingress if none has. */
function defaultTypes(hasIngress: boolean, hasEgress: boolean): readonly Direction[] {
  if (!hasEgress) return ['ingress'];
  return hasIngress ? ['ingress', 'egress'] : ['egress'];
}

/** Rules of a direction that the policy does not govern are probably a mistake. */
export function warnOfUnused(
  at: Cursor,
  rules: readonly Cursor[],
  types: readonly Direction[],
  direction: Direction,
): void {
  if (rules.length === 0 || types.includes(direction)) return;
  warn(
    at,
    'rules-not-governed',
    `the ${direction} rules are not used, because the types leave it out`,
  );
}

type HostFlags = Pick<Policy, 'applyOnForward' | 'preDnat' | 'doNotTrack'>;

function readHostFlags(
  fields: SpecFields,
  types: readonly Direction[],
  hasEgress: boolean,
): HostFlags {
  const preDnat = readBoolean(fields.preDNAT) ?? false;
  const doNotTrack = readBoolean(fields.doNotTrack) ?? false;
  const applyOnForward = readBoolean(fields.applyOnForward) ?? false;
  if (preDnat && doNotTrack) {
    fail(fields.preDNAT, 'pre-dnat-and-untracked', 'preDNAT and doNotTrack cannot both be true');
  }
  if (preDnat && hasEgress) {
    fail(fields.egress, 'pre-dnat-egress', 'preDNAT policy cannot have any egress rules');
  }
  if (preDnat && !hasEgress && types.includes('egress')) {
    fail(fields.types, 'pre-dnat-egress', "preDNAT policy cannot have 'Egress' type");
  }
  if ((preDnat || doNotTrack) && !applyOnForward) {
    const text =
      'applyOnForward must be true if either preDNAT or doNotTrack is true; it is taken as true';
    warn(fields.applyOnForward, 'apply-on-forward', text);
  }
  return { applyOnForward: applyOnForward || preDnat || doNotTrack, preDnat, doNotTrack };
}

/** They say nothing about packets, so a bad one costs nothing. */
function checkHints(at: Cursor): void {
  const known = 'AssumeNeededOnEveryNode';
  for (const hint of Array.isArray(at.value) ? (at.value as readonly unknown[]) : []) {
    if (hint !== known)
      warn(at, 'not-in-list', `the only performance hint is "${known}"; others are ignored`);
  }
}
