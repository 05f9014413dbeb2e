/**
 * What an object must have for a selector to match it. Comes in: a syntax tree. Goes out: necessary conditions that an index
 * can look up. They are never sufficient: whoever meets them is still to be evaluated.
 */
import type { Selector } from '../model/selector.ts';

/** The label is there; with `value`, it has that value. */
export interface LabelTest {
  readonly label: string;
  readonly value: string | undefined;
}

/** At least one of these; empty = nothing can match. */
export type Requirement = readonly LabelTest[];

/** Every one of these holds for every object that matches; empty = no such condition is known. */
export function requirementsOf(selector: Selector): readonly Requirement[] {
  return derive(selector, false);
}

/** Every label whose value can influence the result. */
export function labelsOf(
  selector: Selector,
  found: Set<string> = new Set<string>(),
): ReadonlySet<string> {
  if (selector.kind === 'and' || selector.kind === 'or') {
    for (const operand of selector.operands) labelsOf(operand, found);
  } else if (selector.kind === 'not') labelsOf(selector.operand, found);
  else if ('label' in selector) found.add(selector.label);
  return found;
}

const NEVER: readonly Requirement[] = [[]];

/** Requirements of the selector, or of its negation. */
function derive(selector: Selector, negated: boolean): readonly Requirement[] {
  switch (selector.kind) {
    case 'all':
    case 'global':
      return negated ? NEVER : [];
    case 'not':
      return derive(selector.operand, !negated);
    case 'and':
    case 'or': {
      const parts = selector.operands.map((operand) => derive(operand, negated));
      return (selector.kind === 'and') === negated ? eitherOf(parts) : parts.flat();
    }
    case 'equals':
    case 'not-equals': {
      const { kind, label, value } = selector;
      return (kind === 'equals') === negated ? [] : [[{ label, value }]];
    }
    case 'in':
    case 'not-in': {
      const { kind, label, values } = selector;
      return (kind === 'in') === negated ? [] : [values.map((value) => ({ label, value }))];
    }
    case 'has':
    case 'contains':
    case 'starts-with':
    case 'ends-with':
      return negated ? [] : [[{ label: selector.label, value: undefined }]];
  }
}

/** A disjunction has a requirement if each part has one: the union of the strictest of each. */
function eitherOf(parts: readonly (readonly Requirement[])[]): readonly Requirement[] {
  const union: LabelTest[] = [];
  for (const part of parts) {
    const strictest = part.toSorted((a, b) => looseness(a) - looseness(b))[0];
    if (strictest === undefined) return [];
    union.push(...strictest);
  }
  return [union];
}

function looseness(requirement: Requirement): number {
  return requirement.reduce((sum, test) => sum + (test.value === undefined ? 16 : 1), 0);
}
