/** Selectors from text, for tests: text that does not parse is the test's own mistake and throws. */
import { parseSelector } from '../../compiler/model/parse/selector.ts';
import type { Selector } from '../../compiler/model/selector.ts';

export function sel(text: string): Selector {
  const result = parseSelector(text);
  if ('selector' in result) return result.selector;
  throw new Error(`${text}: ${result.error} at ${result.offset}`);
}
