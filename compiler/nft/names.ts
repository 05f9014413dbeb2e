/**
 * Names of kernel objects: readable, unique, legal as nft identifiers, never longer than MAX_NAME_LENGTH. A name says what the object is
 * for, not what it contains, so an edit rewrites one object and a restart finds what is there.
 */
import { shortHash } from '../hash.ts';
import type { Family } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import { MAX_NAME_LENGTH } from './program.ts';

const HASH_LENGTH = 12;

/** Joins parts with `/`; illegal characters and over-long names are replaced by a hash of the whole. */
export function objectName(...parts: readonly string[]): string {
  const text = parts.join('/');
  const legal = text.replaceAll(/[^A-Za-z0-9/_.-]/g, '_');
  if (legal === text && text.length <= MAX_NAME_LENGTH) return text;
  const hash = shortHash(text, HASH_LENGTH);
  return `${legal.slice(0, MAX_NAME_LENGTH - HASH_LENGTH - 1)}_${hash}`;
}

/** Short digest of an identity that is too long to spell. */
export function identityHash(identity: unknown): string {
  return shortHash(JSON.stringify(identity), HASH_LENGTH);
}

/** `ingress4`: first part of every chain of that direction and family. */
export function layer(direction: Direction, family: Family): string {
  return `${direction}${family}`;
}

/** Chain that a local endpoint's packets enter: `from-shop/web-1`, `to-shop/web-1`. */
export function endpointChain(direction: Direction, endpointId: string): string {
  return objectName(`${direction === 'egress' ? 'from' : 'to'}-${endpointId}`);
}
