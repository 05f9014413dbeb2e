/**
 * The selector language's syntax tree. Text to tree is parse/selector.ts; evaluation and the index are in compiler/selector.
 * Source: specification section 2.
 */

/** Bytewise comparison against one label's value. For a missing label: specification section 2.3. */
export type Selector =
  | { readonly kind: 'all' }
  | { readonly kind: 'global' }
  | { readonly kind: 'has'; readonly label: string }
  | { readonly kind: 'equals'; readonly label: string; readonly value: string }
  | { readonly kind: 'not-equals'; readonly label: string; readonly value: string }
  | { readonly kind: 'contains'; readonly label: string; readonly value: string }
  | { readonly kind: 'starts-with'; readonly label: string; readonly value: string }
  | { readonly kind: 'ends-with'; readonly label: string; readonly value: string }
  /** `values` sorted bytewise and without repeats; empty matches nothing. */
  | { readonly kind: 'in'; readonly label: string; readonly values: readonly string[] }
  /** `values` sorted bytewise and without repeats; empty matches everything. */
  | { readonly kind: 'not-in'; readonly label: string; readonly values: readonly string[] }
  | { readonly kind: 'not'; readonly operand: Selector }
  /** Two or more operands; flat (no `and` directly inside an `and` that was written without parentheses). */
  | { readonly kind: 'and'; readonly operands: readonly Selector[] }
  /** Two or more operands; flat like `and`. */
  | { readonly kind: 'or'; readonly operands: readonly Selector[] };
