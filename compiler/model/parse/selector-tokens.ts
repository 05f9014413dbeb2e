/**
 * Text of a selector to tokens: specification section 2.1. Comes in: text. Goes out: tokens with their place, or the first
 * lexical error. Knows nothing of grammar, except that a label must be followed by an operator.
 */

export type TokenKind =
  | 'label'
  | 'string'
  | 'has'
  | 'all'
  | 'global'
  | '=='
  | '!='
  | 'contains'
  | 'starts with'
  | 'ends with'
  | 'in'
  | 'not in'
  | '!'
  | '&&'
  | '||'
  | '('
  | ')'
  | '{'
  | '}'
  | ','
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** The label of `label` and `has`, the content of `string`; empty for all others. */
  readonly text: string;
  /** UTF-16 units from the start of the selector. */
  readonly offset: number;
  /** Offset just after the token. */
  readonly end: number;
}

export interface SelectorError {
  readonly error: string;
  /** UTF-16 units from the start of the selector, where the offending token starts. */
  readonly offset: number;
}

/** Bytes; label keys are ASCII, so also characters. */
const MAX_LABEL_LENGTH = 512;

const BLANKS = /[ \t]*/y;
const IDENTIFIER = /[A-Za-z0-9_./-]+/y;
const ONE_CHARACTER = new Set<string>(['(', ')', '{', '}', ','] satisfies TokenKind[]);

/** Words that may follow a label. `boundaryAfterBlanks`: the byte that must not continue a word is the next non-blank one. */
const OPERATOR_WORDS = [
  { kind: 'contains', pattern: /contains/y, boundaryAfterBlanks: false },
  { kind: 'starts with', pattern: /starts[ \t]*with/y, boundaryAfterBlanks: true },
  { kind: 'ends with', pattern: /ends[ \t]*with/y, boundaryAfterBlanks: true },
  { kind: 'not in', pattern: /not[ \t]*in/y, boundaryAfterBlanks: true },
  { kind: 'in', pattern: /in/y, boundaryAfterBlanks: false },
] as const satisfies readonly { kind: TokenKind; pattern: RegExp; boundaryAfterBlanks: boolean }[];

/** All tokens, the last one of kind `end`; or the first error. Time and space are linear in the text. */
export function tokenizeSelector(text: string): readonly Token[] | SelectorError {
  const tokens: Token[] = [];
  let previous: Token | undefined;
  let offset = skipBlanks(text, 0);
  while (offset < text.length) {
    const token = nextToken(text, offset, previous);
    if ('error' in token) return token;
    tokens.push(token);
    previous = token;
    offset = skipBlanks(text, token.end);
  }
  tokens.push({ kind: 'end', text: '', offset, end: offset });
  return tokens;
}

function nextToken(
  text: string,
  offset: number,
  previous: Token | undefined,
): Token | SelectorError {
  const first = text.charAt(offset);
  if (ONE_CHARACTER.has(first)) return plain(first as TokenKind, offset, 1);
  switch (first) {
    case '"':
    case "'":
      return stringToken(text, offset, first);
    case '=':
      return doubled(text, offset, '==');
    case '&':
      return doubled(text, offset, '&&');
    case '|':
      return doubled(text, offset, '||');
    case '!':
      return text.charAt(offset + 1) === '=' ? plain('!=', offset, 2) : plain('!', offset, 1);
    default:
      return previous?.kind === 'label'
        ? operatorToken(text, offset, previous.text)
        : wordToken(text, offset);
  }
}

function plain(kind: TokenKind, offset: number, length: number): Token {
  return { kind, text: '', offset, end: offset + length };
}

function doubled(text: string, offset: number, kind: '==' | '&&' | '||'): Token | SelectorError {
  return text.startsWith(kind, offset)
    ? plain(kind, offset, 2)
    : { error: `expected ${kind}`, offset };
}

function stringToken(text: string, offset: number, quote: string): Token | SelectorError {
  const close = text.indexOf(quote, offset + 1);
  if (close === -1) return { error: 'unterminated string', offset };
  return { kind: 'string', text: text.slice(offset + 1, close), offset, end: close + 1 };
}

function operatorToken(text: string, offset: number, label: string): Token | SelectorError {
  for (const { kind, pattern, boundaryAfterBlanks } of OPERATOR_WORDS) {
    const end = matchEnd(pattern, text, offset);
    if (end === undefined) continue;
    const boundary = boundaryAfterBlanks ? skipBlanks(text, end) : end;
    if (matchEnd(IDENTIFIER, text, boundary) !== undefined) break;
    return { kind, text: '', offset, end };
  }
  return { error: `expected operator after label "${label}"`, offset };
}

/** `has(label)`, `all()`, `global()`, or a label. */
function wordToken(text: string, offset: number): Token | SelectorError {
  if (text.startsWith('has(', offset)) return hasToken(text, offset);
  for (const kind of ['all', 'global'] as const) {
    if (!text.startsWith(`${kind}(`, offset)) continue;
    const close = skipBlanks(text, offset + kind.length + 1);
    if (text.charAt(close) !== ')')
      return { error: `no closing ')' after ${kind}(`, offset: close };
    return { kind, text: '', offset, end: close + 1 };
  }
  const end = matchEnd(IDENTIFIER, text, offset);
  if (end === undefined) return { error: 'expected identifier', offset };
  if (end - offset > MAX_LABEL_LENGTH) return { error: 'label too long', offset };
  return { kind: 'label', text: text.slice(offset, end), offset, end };
}

function hasToken(text: string, offset: number): Token | SelectorError {
  const start = skipBlanks(text, offset + 'has('.length);
  const end = matchEnd(IDENTIFIER, text, start);
  if (end === undefined) return { error: 'no label name in has( expression', offset: start };
  if (end - start > MAX_LABEL_LENGTH) return { error: 'label too long', offset: start };
  const close = skipBlanks(text, end);
  if (text.charAt(close) !== ')') return { error: "no closing ')' after has(", offset: close };
  return { kind: 'has', text: text.slice(start, end), offset, end: close + 1 };
}

function skipBlanks(text: string, offset: number): number {
  return matchEnd(BLANKS, text, offset) ?? offset;
}

/** Where the match of a sticky pattern at exactly `offset` ends. */
function matchEnd(pattern: RegExp, text: string, offset: number): number | undefined {
  pattern.lastIndex = offset;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}
