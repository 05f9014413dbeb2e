/** Resource versions: opaque by the API's old rules, growing decimal numbers in fact and by its new ones (KEP-5504). */

const DECIMAL = /^[0-9]{1,30}$/;

/** False where they cannot be compared. */
export function isBefore(version: string, other: string): boolean {
  return DECIMAL.test(version) && DECIMAL.test(other) && BigInt(version) < BigInt(other);
}
