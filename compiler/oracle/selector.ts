/**
 * Which items a selector selects, and how the place where a selector is written changes what it means (specification
 * sections 2.3, 2.6 and 2.7). The tree is read as written: scopes are rules of reading here, never a rewritten selector.
 */
import type { HostEndpoint, WorkloadEndpoint } from '../model/cluster.ts';
import type { EntityMatch, Policy } from '../model/policy.ts';
import type { Selector } from '../model/selector.ts';
import { labelOf } from './world.ts';
import type { Item, World } from './world.ts';

const NAMESPACE = 'projectcalico.org/namespace';
const SERVICE_ACCOUNT = 'projectcalico.org/serviceaccount';

/** How to read a selector at the place where it stands. */
interface Reading {
  /** Put before every label key. */
  readonly prefix: '' | 'pcns.' | 'pcsa.';
  /** The (unprefixed) label that `all()` asks for; `undefined` = `all()` is true. */
  readonly allMeansHas: string | undefined;
  /** `global()` means "has no namespace label" instead of true. */
  readonly isGlobalUnnamespaced: boolean;
}

const PLAIN: Reading = { prefix: '', allMeansHas: undefined, isGlobalUnnamespaced: false };

/** What a side of a rule asks of addresses. */
export interface Selection {
  /** Some item with the address must satisfy this. `undefined` = any address, known or not. */
  readonly isSelected: ((item: Item) => boolean) | undefined;
  /** No item with the address may satisfy this: the stand-alone `notSelector` of section 2.7. */
  readonly isExcluded: ((item: Item) => boolean) | undefined;
}

/** Whether the policy governs the endpoint: its effective selector, section 2.6. */
export function governs(
  world: World,
  policy: Policy,
  endpoint: WorkloadEndpoint | HostEndpoint,
): boolean {
  const { selector, namespaceSelector, serviceAccountSelector, namespace } = policy;
  const holds = (part: Selector | undefined, reading: Reading): boolean =>
    part === undefined || isSelected(world, part, reading, endpoint);
  if (namespace !== undefined) {
    return (
      labelOf(world, endpoint, NAMESPACE) === namespace &&
      holds(selector, PLAIN) &&
      holds(serviceAccountSelector, { ...PLAIN, prefix: 'pcsa.' })
    );
  }
  const namespaced = namespaceSelector === undefined ? undefined : NAMESPACE;
  const accounted = serviceAccountSelector === undefined ? undefined : SERVICE_ACCOUNT;
  return (
    holds(selector, { ...PLAIN, allMeansHas: namespaced ?? accounted }) &&
    holds(namespaceSelector, { ...PLAIN, prefix: 'pcns.', allMeansHas: NAMESPACE }) &&
    holds(serviceAccountSelector, { ...PLAIN, prefix: 'pcsa.', allMeansHas: SERVICE_ACCOUNT })
  );
}

/** Section 2.7. `namespace` is the policy's own; `undefined` for cluster-scoped policies and profiles. */
export function selectionOf(
  world: World,
  entity: EntityMatch,
  namespace: string | undefined,
): Selection {
  const { selector, notSelector, namespaceSelector } = entity;
  const accounts = entity.serviceAccounts;
  const hasAccounts =
    accounts !== undefined && (accounts.names.length > 0 || accounts.selector !== undefined);
  const hasEndpointPart = selector !== undefined || hasAccounts;
  const asksForItem =
    hasEndpointPart ||
    namespaceSelector !== undefined ||
    (namespace !== undefined && notSelector !== undefined);
  const matchesNot = (item: Item): boolean =>
    notSelector !== undefined && isSelected(world, notSelector, PLAIN, item);
  if (!asksForItem) {
    return {
      isSelected: undefined,
      isExcluded: notSelector === undefined ? undefined : matchesNot,
    };
  }
  return {
    isSelected: (item) =>
      isInNamespaces(world, namespaceSelector, namespace, item) &&
      (accounts === undefined || isServiceAccount(world, accounts, item)) &&
      (selector === undefined || isSelected(world, selector, PLAIN, item)) &&
      !matchesNot(item),
    isExcluded: undefined,
  };
}

function isInNamespaces(
  world: World,
  namespaceSelector: Selector | undefined,
  namespace: string | undefined,
  item: Item,
): boolean {
  if (namespaceSelector === undefined) {
    return namespace === undefined || labelOf(world, item, NAMESPACE) === namespace;
  }
  const reading: Reading = { prefix: 'pcns.', allMeansHas: NAMESPACE, isGlobalUnnamespaced: true };
  return isSelected(world, namespaceSelector, reading, item);
}

function isServiceAccount(
  world: World,
  accounts: NonNullable<EntityMatch['serviceAccounts']>,
  item: Item,
): boolean {
  const account = labelOf(world, item, SERVICE_ACCOUNT);
  const isNamed =
    accounts.names.length === 0 || (account !== undefined && accounts.names.includes(account));
  const reading: Reading = { ...PLAIN, prefix: 'pcsa.' };
  return (
    isNamed &&
    (accounts.selector === undefined || isSelected(world, accounts.selector, reading, item))
  );
}

/** Section 2.3: what a missing label does is in the column on the right of its table. */
function isSelected(world: World, selector: Selector, reading: Reading, item: Item): boolean {
  const has = (label: string): boolean => labelOf(world, item, label) !== undefined;
  const value = (label: string): string | undefined => labelOf(world, item, reading.prefix + label);
  switch (selector.kind) {
    case 'all':
      return reading.allMeansHas === undefined || has(reading.allMeansHas);
    case 'global':
      return !reading.isGlobalUnnamespaced || !has(NAMESPACE);
    case 'has':
      return has(reading.prefix + selector.label);
    case 'equals':
      return value(selector.label) === selector.value;
    case 'not-equals':
      return value(selector.label) !== selector.value;
    case 'contains':
      return value(selector.label)?.includes(selector.value) ?? false;
    case 'starts-with':
      return value(selector.label)?.startsWith(selector.value) ?? false;
    case 'ends-with':
      return value(selector.label)?.endsWith(selector.value) ?? false;
    case 'in':
      return isOneOf(value(selector.label), selector.values);
    case 'not-in':
      return !isOneOf(value(selector.label), selector.values);
    case 'not':
      return !isSelected(world, selector.operand, reading, item);
    case 'and':
      return selector.operands.every((operand) => isSelected(world, operand, reading, item));
    case 'or':
      return selector.operands.some((operand) => isSelected(world, operand, reading, item));
  }
}

function isOneOf(value: string | undefined, values: readonly string[]): boolean {
  return value !== undefined && values.includes(value);
}
