/** A field that holds a selector text. Where `global()` may stand differs from field to field (specification sections 1.1 and 1.14). */
import type { Selector } from '../selector.ts';
import { type Cursor, fail, readString, show } from './reader.ts';
import { parseSelector } from './selector.ts';

/** Characters of a selector text. */
const MAX_SELECTOR = 1024;

/** `never`: no `global(` at all, not even quoted, as the API checks it; `alone`: exactly `global()`; `anywhere`: not looked at. */
export type GlobalUse = 'never' | 'alone' | 'anywhere';

/** Undefined when absent, empty or bad; a bad one is an error. */
export function readSelector(at: Cursor, globalUse: GlobalUse): Selector | undefined {
  const text = readString(at, MAX_SELECTOR);
  if (text === undefined || text === '') return undefined;
  if (text.includes('global(') && !isGlobalAllowed(text, globalUse)) {
    return fail(
      at,
      'selector-global',
      globalUse === 'alone'
        ? 'global() cannot be combined with anything else in a namespaceSelector'
        : 'global() can only be used in an EntityRule namespaceSelector',
    );
  }
  const parsed = parseSelector(text);
  if ('selector' in parsed) return parsed.selector;
  return fail(
    at,
    'selector-syntax',
    `selector ${show(text)}: ${parsed.error} at offset ${parsed.offset}`,
  );
}

function isGlobalAllowed(text: string, globalUse: GlobalUse): boolean {
  return globalUse === 'anywhere' || (globalUse === 'alone' && text.trim() === 'global()');
}
