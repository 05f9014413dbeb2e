/** Where a value stands in a YAML document. Comes in: a syntax tree and a path; goes out: an offset. It does not follow aliases and merge keys. */
import { isMap, isScalar, isSeq } from 'yaml';
import type { Document, ParsedNode } from 'yaml';
import type { Path } from '../../compiler/model/issue.ts';

/** UTF-16 units from the start of the file to the key or list item at `path`, or to its nearest existing ancestor. */
export function offsetOf(document: Document.Parsed, path: Path): number {
  let node: ParsedNode | null = document.contents;
  let offset = node?.range[0] ?? document.range[0];
  for (const part of path) {
    const next = step(node, part);
    if (next === undefined) break;
    ({ node, offset } = next);
  }
  return offset;
}

interface Position {
  readonly node: ParsedNode | null;
  readonly offset: number;
}

function step(node: ParsedNode | null, part: string | number): Position | undefined {
  if (isMap<ParsedNode, ParsedNode | null>(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
    return pair && { node: pair.value, offset: pair.key.range[0] };
  }
  if (isSeq<ParsedNode>(node) && typeof part === 'number') {
    const item = node.items[part];
    return item && { node: item, offset: item.range[0] };
  }
  return undefined;
}
