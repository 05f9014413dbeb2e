/** `kind: List`, as kubectl prints it. Comes in: any object; goes out: the objects in it, with their places. */
import type { Path } from '../issue.ts';
import { KIND_NAMES } from './kinds.ts';
import { isObject } from './reader.ts';

export interface ListedObject {
  readonly object: unknown;
  /** Where it stands in the outermost object. */
  readonly path: Path;
}

/** Lists in lists; nobody writes more than one. What lies deeper comes out as the List it is, and is then reported. */
const MAX_DEPTH = 4;

/** The object itself, unless it is a List. Items of a `<Kind>List` that lack their kind get it. */
export function expandList(object: unknown): readonly ListedObject[] {
  return expand({ object, path: [] }, 0);
}

function expand(listed: ListedObject, depth: number): readonly ListedObject[] {
  const items = depth < MAX_DEPTH ? itemsOf(listed.object) : undefined;
  if (items === undefined) return [listed];
  return items.flatMap((object, index) =>
    expand({ object, path: [...listed.path, 'items', index] }, depth + 1),
  );
}

function itemsOf(object: unknown): readonly unknown[] | undefined {
  if (!isObject(object)) return undefined;
  const { kind, apiVersion } = object;
  // Go writes an empty list as null.
  const items: unknown = object['items'] === null ? [] : object['items'];
  if (!isUnknownList(items)) return undefined;
  if (kind === 'List') return items;
  const itemKind = KIND_NAMES.find((name) => kind === `${name}List`);
  if (itemKind === undefined) return undefined;
  return items.map((item) =>
    isObject(item) && item['kind'] === undefined
      ? { ...item, apiVersion: item['apiVersion'] ?? apiVersion, kind: itemKind }
      : item,
  );
}

function isUnknownList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}
