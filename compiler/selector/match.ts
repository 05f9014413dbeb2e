/** Evaluates a selector for one object: specification section 2.3. Knows nothing of where the labels come from. */
import type { Selector } from '../model/selector.ts';

/** A label's value; `undefined` = the object has no such label. Inherited labels included (specification section 2.5). */
export type LabelLookup = (key: string) => string | undefined;

/**
 * A missing label fails every comparison but `!=` and `not in`. `global()` is true: where it means something else it has been
 * rewritten before (scope.ts).
 */
export function matches(selector: Selector, labelOf: LabelLookup): boolean {
  switch (selector.kind) {
    case 'all':
    case 'global':
      return true;
    case 'not':
      return !matches(selector.operand, labelOf);
    case 'and':
      return selector.operands.every((operand) => matches(operand, labelOf));
    case 'or':
      return selector.operands.some((operand) => matches(operand, labelOf));
    case 'not-equals':
      return labelOf(selector.label) !== selector.value;
    case 'not-in': {
      const value = labelOf(selector.label);
      return value === undefined || !selector.values.includes(value);
    }
    case 'has':
    case 'equals':
    case 'contains':
    case 'starts-with':
    case 'ends-with':
    case 'in':
      return matchesPresent(selector, labelOf(selector.label));
  }
}

type PresentTest = Extract<
  Selector,
  { readonly kind: 'has' | 'equals' | 'contains' | 'starts-with' | 'ends-with' | 'in' }
>;

function matchesPresent(selector: PresentTest, value: string | undefined): boolean {
  if (value === undefined) return false;
  switch (selector.kind) {
    case 'has':
      return true;
    case 'equals':
      return value === selector.value;
    case 'contains':
      return value.includes(selector.value);
    case 'starts-with':
      return value.startsWith(selector.value);
    case 'ends-with':
      return value.endsWith(selector.value);
    case 'in':
      return selector.values.includes(value);
  }
}
