/**
 * Text of a selector to its syntax tree: specification section 2.2. Comes in: text as written in a manifest. Goes out: a
 * tree or one error with its place. Knows nothing of which field the text stood in, so length limits and the ban of
 * `global()` in most fields are the caller's.
 */
import type { Selector } from '../selector.ts';
import { sortedUnique } from '../text-order.ts';
import { tokenizeSelector } from './selector-tokens.ts';
import type { SelectorError, Token, TokenKind } from './selector-tokens.ts';

/**
 * Groups inside each other. The API's 1,024 characters allow 509; the limit keeps this parser, and every recursive reader of
 * the tree, far from the end of the stack. DEVIATION from the specification, which has no limit here.
 */
export const MAX_SELECTOR_DEPTH = 1000;

/** Empty or blank text is `all()`. Never throws; `'selector' in result` tells success. */
export function parseSelector(text: string): { readonly selector: Selector } | SelectorError {
  const tokens = tokenizeSelector(text);
  if ('error' in tokens) return tokens;
  const cursor: Cursor = { tokens, position: 0, depth: 0 };
  if (peek(cursor).kind === 'end') return { selector: { kind: 'all' } };
  const selector = parseChain(cursor, 'or');
  if ('error' in selector) return selector;
  const rest = peek(cursor);
  if (rest.kind !== 'end') {
    return failure(rest, `unexpected content at end of selector: ${show(rest)}`);
  }
  return { selector };
}

interface Cursor {
  readonly tokens: readonly Token[];
  position: number;
  depth: number;
}

type Parsed = Selector | SelectorError;

const CHAINS = {
  or: { separator: '||', parseOperand: (cursor: Cursor): Parsed => parseChain(cursor, 'and') },
  and: { separator: '&&', parseOperand: (cursor: Cursor): Parsed => parseUnary(cursor) },
} as const;

/** One operand or more, with the same separator between them. */
function parseChain(cursor: Cursor, kind: 'or' | 'and'): Parsed {
  const { separator, parseOperand } = CHAINS[kind];
  const first = parseOperand(cursor);
  if ('error' in first || peek(cursor).kind !== separator) return first;
  const operands = [first];
  while (accept(cursor, separator)) {
    const operand = parseOperand(cursor);
    if ('error' in operand) return operand;
    operands.push(operand);
  }
  return { kind, operands };
}

function parseUnary(cursor: Cursor): Parsed {
  let negated = false;
  while (accept(cursor, '!')) negated = !negated;
  const operand = parsePrimary(cursor);
  return negated && !('error' in operand) ? { kind: 'not', operand } : operand;
}

function parsePrimary(cursor: Cursor): Parsed {
  const token = take(cursor);
  const { kind } = token;
  if (kind === '(') return parseGroup(cursor, token);
  if (kind === 'all' || kind === 'global') return { kind };
  if (kind === 'has') return { kind, label: token.text };
  if (kind === 'label') return parseComparison(cursor, token.text);
  return failure(token, `unexpected token: ${show(token)}`);
}

function parseGroup(cursor: Cursor, open: Token): Parsed {
  cursor.depth += 1;
  if (cursor.depth > MAX_SELECTOR_DEPTH) {
    return failure(open, `more than ${MAX_SELECTOR_DEPTH} nested parentheses`);
  }
  const inner = parseChain(cursor, 'or');
  if ('error' in inner) return inner;
  cursor.depth -= 1;
  const close = take(cursor);
  return close.kind === ')' ? inner : failure(close, 'expected )');
}

/** Operators with one string on the right. */
const STRING_OPERATORS = {
  '==': 'equals',
  '!=': 'not-equals',
  contains: 'contains',
  'starts with': 'starts-with',
  'ends with': 'ends-with',
} as const satisfies Partial<Record<TokenKind, Selector['kind']>>;

const SET_OPERATORS = {
  in: 'in',
  'not in': 'not-in',
} as const satisfies Partial<Record<TokenKind, Selector['kind']>>;

function parseComparison(cursor: Cursor, label: string): Parsed {
  const operator = take(cursor);
  if (isKeyOf(STRING_OPERATORS, operator.kind)) {
    const literal = take(cursor);
    if (literal.kind !== 'string') return failure(literal, 'expected string');
    return { kind: STRING_OPERATORS[operator.kind], label, value: literal.text };
  }
  if (isKeyOf(SET_OPERATORS, operator.kind)) {
    const values = parseSet(cursor);
    if ('error' in values) return values;
    return { kind: SET_OPERATORS[operator.kind], label, values };
  }
  return operator.kind === 'end'
    ? failure(operator, 'unexpected end of string looking for op')
    : failure(operator, `expected == or != not ${show(operator)}`);
}

function parseSet(cursor: Cursor): readonly string[] | SelectorError {
  const open = take(cursor);
  if (open.kind !== '{') return failure(open, 'expected set literal');
  const values: string[] = [];
  while (peek(cursor).kind === 'string') {
    values.push(take(cursor).text);
    if (!accept(cursor, ',')) break;
  }
  const close = take(cursor);
  return close.kind === '}' ? sortedUnique(values) : failure(close, 'expected }');
}

const END: Token = { kind: 'end', text: '', offset: 0, end: 0 };

function peek(cursor: Cursor): Token {
  return cursor.tokens[cursor.position] ?? cursor.tokens.at(-1) ?? END;
}

function take(cursor: Cursor): Token {
  const token = peek(cursor);
  cursor.position += 1;
  return token;
}

function accept(cursor: Cursor, kind: TokenKind): boolean {
  if (peek(cursor).kind !== kind) return false;
  cursor.position += 1;
  return true;
}

function failure(token: Token, error: string): SelectorError {
  return { error, offset: token.offset };
}

function show({ kind, text }: Token): string {
  if (kind === 'end') return 'end of selector';
  if (kind === 'label') return text;
  if (kind === 'string') return text.includes('"') ? `'${text}'` : `"${text}"`;
  if (kind === 'has') return `has(${text})`;
  return kind === 'all' || kind === 'global' ? `${kind}()` : kind;
}

function isKeyOf<T extends object>(table: T, key: PropertyKey): key is keyof T {
  return Object.hasOwn(table, key);
}
