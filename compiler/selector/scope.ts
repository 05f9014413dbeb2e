/**
 * Effective selectors: what a policy applies to and what one side of a rule means, with the restrictions that follow from
 * namespaces and service accounts. Comes in: selectors as written. Goes out: selectors over the labels that objects
 * really carry, where `pcns.` and `pcsa.` keys are inherited from namespace and service account. Works on trees, so a quoted
 * `all()` is never touched (DEVIATION from quirk Q2). Source: specification sections 2.6 and 2.7, examples A.1 and A.2.
 */
import type { EntityMatch, Policy, ServiceAccountMatch } from '../model/policy.ts';
import type { Selector } from '../model/selector.ts';
import { sortedUnique } from '../model/text-order.ts';

const NAMESPACE = 'projectcalico.org/namespace';
const SERVICE_ACCOUNT = 'projectcalico.org/serviceaccount';
/** Prefixes of the labels that a namespace's and a service account's profile apply to their endpoints. */
const NAMESPACE_PREFIX = 'pcns.';
const SERVICE_ACCOUNT_PREFIX = 'pcsa.';

const ALL: Selector = Object.freeze({ kind: 'all' });
const HAS_NAMESPACE: Selector = Object.freeze({ kind: 'has', label: NAMESPACE });
const HAS_SERVICE_ACCOUNT: Selector = Object.freeze({ kind: 'has', label: SERVICE_ACCOUNT });
const NO_NAMESPACE: Selector = Object.freeze({ kind: 'not', operand: HAS_NAMESPACE });

/**
 * Selects the endpoints that the policy governs. In a cluster-scoped policy a namespace selector turns every `all()` into
 * "has a namespace", also those of the policy's own selector; a service account selector likewise.
 */
export function policyScope(policy: Policy): Selector {
  const { namespace, selector, namespaceSelector, serviceAccountSelector } = policy;
  let scope = namespace === undefined ? selector : conjunction(selector, inNamespace(namespace));
  if (namespaceSelector !== undefined) {
    scope = conjunction(scope, prefixed(namespaceSelector, NAMESPACE_PREFIX));
    scope = replaced(scope, { all: HAS_NAMESPACE });
  }
  if (serviceAccountSelector !== undefined) {
    scope = conjunction(scope, prefixed(serviceAccountSelector, SERVICE_ACCOUNT_PREFIX));
    if (namespace === undefined) scope = replaced(scope, { all: HAS_SERVICE_ACCOUNT });
  }
  return scope ?? ALL;
}

export interface EntityScope {
  /** The address belongs to an object that this selects; `undefined` = any address, known or not. */
  readonly positive: Selector | undefined;
  /** The address belongs to no object that this selects. Only without `positive`: else it is part of that. */
  readonly negative: Selector | undefined;
}

/** `policyNamespace` is `undefined` for rules of cluster-scoped policies and of profiles. */
export function entityScope(entity: EntityMatch, policyNamespace: string | undefined): EntityScope {
  const { selector, notSelector, namespaceSelector } = entity;
  const endpoints = conjunction(serviceAccountScope(entity.serviceAccounts), selector);
  if (endpoints === undefined && notSelector === undefined && namespaceSelector === undefined) {
    return { positive: undefined, negative: undefined };
  }
  const namespaces = namespaceScope(namespaceSelector, policyNamespace);
  const positive = conjunction(namespaces, endpoints);
  if (positive === undefined || notSelector === undefined) {
    return { positive, negative: notSelector };
  }
  return {
    positive: conjunction(positive, { kind: 'not', operand: notSelector }),
    negative: undefined,
  };
}

function namespaceScope(
  selector: Selector | undefined,
  policyNamespace: string | undefined,
): Selector | undefined {
  if (selector !== undefined) {
    const own = prefixed(selector, NAMESPACE_PREFIX);
    return replaced(own, { all: HAS_NAMESPACE, global: NO_NAMESPACE });
  }
  return policyNamespace === undefined ? undefined : inNamespace(policyNamespace);
}

/** No rewriting of `all()` here: a service account selector `all()` does not restrict. */
function serviceAccountScope(match: ServiceAccountMatch | undefined): Selector | undefined {
  if (match === undefined) return undefined;
  const labels = match.selector && prefixed(match.selector, SERVICE_ACCOUNT_PREFIX);
  if (match.names.length === 0) return labels;
  const names = sortedUnique(match.names);
  return conjunction(labels, { kind: 'in', label: SERVICE_ACCOUNT, values: names });
}

function inNamespace(namespace: string): Selector {
  return { kind: 'equals', label: NAMESPACE, value: namespace };
}

/** Keeps each side as its own node, as the parentheses do in the specification's texts. */
function conjunction(left: Selector, right: Selector | undefined): Selector;
function conjunction(left: Selector | undefined, right: Selector): Selector;
function conjunction(left: Selector | undefined, right: Selector | undefined): Selector | undefined;
function conjunction(
  left: Selector | undefined,
  right: Selector | undefined,
): Selector | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  return { kind: 'and', operands: [left, right] };
}

/** Every label key gets `prefix`. */
function prefixed(selector: Selector, prefix: string): Selector {
  return mapLeaves(selector, (leaf) =>
    'label' in leaf ? { ...leaf, label: prefix + leaf.label } : leaf,
  );
}

function replaced(
  selector: Selector,
  by: { readonly all: Selector; readonly global?: Selector },
): Selector {
  return mapLeaves(selector, (leaf) => {
    if (leaf.kind === 'all') return by.all;
    return leaf.kind === 'global' ? (by.global ?? leaf) : leaf;
  });
}

type Leaf = Exclude<Selector, { readonly kind: 'not' | 'and' | 'or' }>;

function mapLeaves(selector: Selector, map: (leaf: Leaf) => Selector): Selector {
  if (selector.kind === 'not') {
    return { kind: 'not', operand: mapLeaves(selector.operand, map) };
  }
  if (selector.kind === 'and' || selector.kind === 'or') {
    const operands = selector.operands.map((operand) => mapLeaves(operand, map));
    return { kind: selector.kind, operands };
  }
  return map(selector);
}
