/**
 * Kubernetes label selectors as selector trees. Comes in: `matchLabels` and `matchExpressions`; goes out: a conjunction. A term
 * that cannot be read is an error of whatever holds the selector. Source: specification section 5.1.
 */
import type { Selector } from '../selector.ts';
import { compareUtf8, sortedUnique } from '../text-order.ts';
import { readLabels } from './metadata.ts';
import { isLabelKey } from './names.ts';
import {
  type Cursor,
  fail,
  isEmptyList,
  readFields,
  readList,
  readString,
  readWord,
  requirePresent,
  show,
} from './reader.ts';
import { KUBERNETES, ORCHESTRATOR_LABEL } from './well-known.ts';

/** Matches pods and nothing else that has labels. */
const IS_POD: Selector = { kind: 'equals', label: ORCHESTRATOR_LABEL, value: KUBERNETES };

/** Pods: the orchestrator term and the selector's own terms. Absent and empty select every pod. */
export function readPodSelector(at: Cursor): Selector {
  return toConjunction([IS_POD, ...readTerms(at)]);
}

/** Namespaces, by their labels. Empty selects every one; absent is for the caller to look at. */
export function readNamespaceSelector(at: Cursor): Selector {
  return toConjunction(readTerms(at));
}

function toConjunction(terms: readonly Selector[]): Selector {
  const [first, ...rest] = terms;
  if (first === undefined) return { kind: 'all' };
  return rest.length === 0 ? first : { kind: 'and', operands: terms };
}

function readTerms(at: Cursor): readonly Selector[] {
  const fields = readFields(at, ['matchLabels', 'matchExpressions'], 'strict');
  const labels = [...readLabels(fields.matchLabels)].sort(([a], [b]) => compareUtf8(a, b));
  return [
    ...labels.map(([label, value]): Selector => ({ kind: 'equals', label, value })),
    ...readList(fields.matchExpressions).flatMap((entry) => readExpression(entry) ?? []),
  ];
}

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

function readExpression(at: Cursor): Selector | undefined {
  if (!requirePresent(at, 'the expression')) return undefined;
  const fields = readFields(at, ['key', 'operator', 'values'], 'strict');
  requirePresent(fields.key, 'the label key');
  requirePresent(fields.operator, 'the operator');
  const label = readString(fields.key);
  if (label !== undefined && !isLabelKey(label)) {
    fail(fields.key, 'label-selector-invalid', `${show(label)} is not a label key`);
  }
  const operator = readWord(fields.operator, OPERATORS, 'exact');
  const values = readList(fields.values).flatMap((entry) => {
    requirePresent(entry, 'the value');
    return readString(entry) ?? [];
  });
  if (label === undefined || operator === undefined) return undefined;
  const wantsValues = operator === 'In' || operator === 'NotIn';
  if (wantsValues === isEmptyList(fields.values)) {
    const text = wantsValues ? 'needs at least one value' : 'takes no values';
    return fail(fields.values, 'label-selector-invalid', `${operator} ${text}`);
  }
  return toTerm(operator, label, sortedUnique(values));
}

function toTerm(
  operator: (typeof OPERATORS)[number],
  label: string,
  values: readonly string[],
): Selector {
  switch (operator) {
    case 'In':
      return { kind: 'in', label, values };
    case 'NotIn':
      return { kind: 'not-in', label, values };
    case 'Exists':
      return { kind: 'has', label };
    case 'DoesNotExist':
      return { kind: 'not', operand: { kind: 'has', label } };
  }
}
