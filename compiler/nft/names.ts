/**
 * Names of kernel objects: readable, legal as nft identifiers, never longer than MAX_NAME_LENGTH. A name says what the object is for, not what
 * it contains, so an edit rewrites one object and a restart finds what is there.
 *
 * Two objects never share a name, or one policy's rules would stand for another's. A short legal name is spelled as it is and has no `__`;
 * every other name ends in `__` and a digest of the whole. Whoever may create objects chooses names at will, so the digest has 160
 * bits: a pair with equal digests takes about 2^80 attempts to find (with 48 bits it took two minutes; see names.test.ts).
 */
import { shortHash } from '../hash.ts';
import type { Direction } from '../model/policy.ts';
import { MAX_NAME_LENGTH } from './program.ts';

/** Hex digits, 4 bits each. */
const HASH_LENGTH = 40;

const HASH_MARK = '__';

/** Joins parts with `/`. Over-long names, and those with illegal characters or the mark of a digest, are cut and end in one. */
export function objectName(...parts: readonly string[]): string {
  const text = parts.join('/');
  const legal = text.replaceAll(/[^A-Za-z0-9/_.-]/g, '_');
  if (legal === text && !text.includes(HASH_MARK) && text.length <= MAX_NAME_LENGTH) return text;
  const kept = legal.slice(0, MAX_NAME_LENGTH - HASH_MARK.length - HASH_LENGTH);
  return kept + HASH_MARK + shortHash(text, HASH_LENGTH);
}

/** Digest of an identity that is too long to spell; equal only for equal identities. */
export function identityHash(identity: unknown): string {
  return shortHash(JSON.stringify(identity), HASH_LENGTH);
}

/** Chain that a local endpoint's packets enter: `from-shop/web-1`, `to-shop/web-1`. */
export function endpointChain(direction: Direction, endpointId: string): string {
  return objectName(`${direction === 'egress' ? 'from' : 'to'}-${endpointId}`);
}
