/**
 * A selector's normal form and the id made of it: specification section 2.4. Comes in: a syntax tree. Goes out: text that
 * the API's own agent would print for the same tree. Knows nothing of where selectors are used.
 */
import { sha224Base64Url } from '../hash.ts';
import type { Selector } from './selector.ts';

/** Normal form. `and` and `or` always stand in parentheses, so operands need none. */
export function printSelector(selector: Selector): string {
  switch (selector.kind) {
    case 'all':
    case 'global':
      return `${selector.kind}()`;
    case 'has':
      return `has(${selector.label})`;
    case 'in':
    case 'not-in': {
      const values = selector.values.map(quote).join(', ');
      return `${selector.label} ${OPERATORS[selector.kind]} {${values}}`;
    }
    case 'not':
      return `!${printSelector(selector.operand)}`;
    case 'and':
    case 'or':
      return `(${selector.operands.map(printSelector).join(` ${OPERATORS[selector.kind]} `)})`;
    case 'equals':
    case 'not-equals':
    case 'contains':
    case 'starts-with':
    case 'ends-with':
      return `${selector.label} ${OPERATORS[selector.kind]} ${quote(selector.value)}`;
  }
}

/** `s:` and 38 characters; equal for selectors with equal normal forms, also between agents and restarts. */
export function selectorId(selector: Selector): string {
  return `s:${sha224Base64Url(`s:${printSelector(selector)}`)}`;
}

const OPERATORS = {
  equals: '==',
  'not-equals': '!=',
  contains: 'contains',
  'starts-with': 'starts with',
  'ends-with': 'ends with',
  in: 'in',
  'not-in': 'not in',
  and: '&&',
  or: '||',
} as const satisfies Partial<Record<Selector['kind'], string>>;

function quote(value: string): string {
  return value.includes('"') ? `'${value}'` : `"${value}"`;
}
