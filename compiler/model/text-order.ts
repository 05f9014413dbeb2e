/** Order of texts by their UTF-8 bytes, which is how the API sorts. JavaScript's `<` orders by UTF-16 units and differs above U+FFFF. */

/** Negative, zero or positive, for `sort`. A surrogate without its partner sorts as its own code point. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return byteRank(left) - byteRank(right);
  }
  return a.length - b.length;
}

/** `values` sorted by bytes, each once. */
export function sortedUnique(values: Iterable<string>): string[] {
  return [...new Set(values)].sort(compareUtf8);
}

/** Surrogates (0xd800..0xdfff) encode code points above all other UTF-16 units, so they rank behind them. */
function byteRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
