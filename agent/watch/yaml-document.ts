/**
 * What is wrong with the text of one YAML document, before it becomes a value. Comes in: a syntax tree. Goes out: findings with
 * offsets. Adds to the parser's own errors those that it cannot find in linear time or not with a place.
 */
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import type { Document, ParsedNode } from 'yaml';

/** How every file of ours is read, so that a word means the same in all: one schema whatever a %YAML line says; key repeats are looked for in linear time by inspectDocument. */
export const YAML_OPTIONS = {
  logLevel: 'silent',
  prettyErrors: false,
  schema: 'core',
  resolveKnownTags: false,
  stringKeys: true,
  uniqueKeys: false,
} as const;

export interface DocumentIssue {
  readonly severity: 'error' | 'warning';
  /** UTF-16 units from the start of the file. */
  readonly offset: number;
  readonly message: string;
}

/** Maps and lists in each other, aliases included. Manifests need about 15; readers of the value recurse. */
const MAX_DEPTH = 100;

/** Only the first syntax error of a document: the parser stumbles over the rest. */
export function inspectDocument(document: Document.Parsed): readonly DocumentIssue[] {
  const warnings = document.warnings.map(({ message, pos }): DocumentIssue => ({
    severity: 'warning',
    offset: pos[0],
    message,
  }));
  const [first] = document.errors;
  if (first !== undefined) {
    return [...warnings, { severity: 'error', offset: first.pos[0], message: first.message }];
  }
  const state: State = { heights: new Map(), issues: warnings };
  heightOf(document.contents, 0, state);
  return state.issues;
}

interface State {
  /** Of anchored nodes, by anchor. */
  readonly heights: Map<string, number>;
  readonly issues: DocumentIssue[];
}

/** Levels of maps and lists in the node, itself included; 0 for a scalar. */
function heightOf(node: ParsedNode | null, depth: number, state: State): number {
  if (isAlias(node)) return aliasHeight(node, depth, state);
  if (!isMap(node) && !isSeq(node)) {
    if (isScalar(node) && node.anchor !== undefined) state.heights.set(node.anchor, 0);
    return 0;
  }
  if (depth >= MAX_DEPTH) return report(state, node.range[0], TOO_DEEP);
  if (isMap(node)) findRepeatedKeys(node.items, state);
  let height = 0;
  for (const item of node.items) {
    const value = 'key' in item ? item.value : item;
    height = Math.max(height, heightOf(value, depth + 1, state));
  }
  if (node.anchor !== undefined) state.heights.set(node.anchor, height + 1);
  return height + 1;
}

const TOO_DEEP = `nested more than ${MAX_DEPTH} levels deep`;

function aliasHeight(
  alias: { readonly source: string; readonly range: readonly number[] },
  depth: number,
  state: State,
): number {
  const height = state.heights.get(alias.source);
  const offset = alias.range[0] ?? 0;
  if (height === undefined) {
    return report(state, offset, `alias *${alias.source} has no anchor before it`);
  }
  if (depth + height > MAX_DEPTH) return report(state, offset, TOO_DEEP);
  return height;
}

function findRepeatedKeys(items: readonly { readonly key: ParsedNode }[], state: State): void {
  const seen = new Set<string>();
  for (const { key } of items) {
    if (!isScalar(key) || key.value === '<<') continue;
    const name = String(key.value);
    if (seen.has(name)) {
      report(state, key.range[0], `the key ${JSON.stringify(name)} is given twice in one mapping`);
    }
    seen.add(name);
  }
}

function report(state: State, offset: number, message: string): 0 {
  state.issues.push({ severity: 'error', offset, message });
  return 0;
}
