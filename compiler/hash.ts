/** Digests for names. The one import of `node:` in compiler/: a digest is a pure function. */
import { createHash } from 'node:crypto';

/** First `length` hex digits of SHA-256 over UTF-8 text. */
export function shortHash(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

/** SHA-224, base64url without padding (specification section 2.4). */
export function sha224Base64Url(text: string): string {
  return createHash('sha224').update(text).digest('base64url');
}

/** Hex SHA-1 (Calico's interface names, specification section 10.2). */
export function sha1Hex(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
