/**
 * A state of our table as a file. Comes in: the transaction that brings the kernel to it, and where it comes from. Goes out: bytes, and back;
 * what is not wholly as it was written has a named reason and nothing else. Refuses to know: the kernel, and where files are.
 *
 *   picket-state FORMAT SHA256\n  header as one line of JSON\n  the transaction, ready to be sent
 *
 * The digest covers everything behind the first line. The transaction is kept as the bytes that netlink wants, so that loading decodes
 * nothing; its messages are looked at all the same, and only those that touch `inet picket` are let through. See adr/0010-commit-confirm.md.
 */
import { createHash } from 'node:crypto';
import { isTableBatch } from './batch.ts';

/** Raised when an older Picket could not read what a newer one writes, or the other way round. */
const FORMAT = 1;

const MAGIC = 'picket-state';
const DIGEST_CHARS = 64;
const MAX_HEADER_BYTES = 8 * 1024;

/** A table of some two million addresses. */
export const MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024;

export interface SnapshotHeader {
  /** Version of the Picket that wrote it. */
  readonly version: string;
  readonly node: string;
  /** Milliseconds since the epoch, by the clock of whoever wrote it. */
  readonly createdMs: number;
  /** For people: `apply by uid 0 on /etc/picket/policies`. */
  readonly origin: string;
  /** Only of a state to go back to: see agent/guard/pending.ts. */
  readonly pending?: PendingFields;
}

export interface PendingFields {
  /** Names this change, among all. */
  readonly id: string;
  /** The boot of the machine that the deadline belongs to. */
  readonly bootId: string;
  /** CLOCK_MONOTONIC, milliseconds. */
  readonly deadlineMs: number;
  /** What was tried, and is not to be tried again after it was undone: see agent/guard/gate.ts. */
  readonly scope: 'host' | 'all';
  readonly tried: Digests;
}

/** Tell policies apart: see agent/guard/digest.ts. */
export interface Digests {
  /** What governs the host itself. */
  readonly host: string;
  /** Everything that decides. */
  readonly policy: string;
}

export interface Snapshot {
  readonly header: SnapshotHeader;
  /** One transaction: whatever is in `inet picket`, afterwards it is this. */
  readonly batch: Uint8Array;
}

export type Broken =
  /** Ends before it should. */
  | 'truncated'
  /** No state of Picket's at all. */
  | 'foreign'
  /** Written by a Picket whose states this one does not know. */
  | 'format'
  /** Not what was written. */
  | 'digest'
  /** What was written is not a state: a bug, or somebody who knows how to make digests. */
  | 'contents';

export type ReadSnapshot =
  | { readonly ok: true; readonly snapshot: Snapshot }
  | { readonly ok: false; readonly reason: Broken; readonly message: string };

/** In parts, so that the large one is not copied. */
export function encodeSnapshot({ header, batch }: Snapshot): readonly Uint8Array[] {
  const head = Buffer.from(`${JSON.stringify(header)}\n`);
  const first = Buffer.from(`${MAGIC} ${FORMAT} ${digestOf(head, batch)}\n`);
  return [first, head, batch];
}

/** Never throws. */
export function decodeSnapshot(bytes: Uint8Array): ReadSnapshot {
  const line = lineAt(bytes, 0, MAX_HEADER_BYTES);
  const match = /^picket-state (\d{1,9}) ([0-9a-f]*)$/.exec(line ?? '');
  if (line === undefined || match === null) return noState(bytes);
  const [, format, digest = ''] = match;
  if (Number(format) !== FORMAT) {
    return broken('format', `it has format ${format}, and this Picket knows ${FORMAT} only`);
  }
  if (digest.length !== DIGEST_CHARS) return broken('digest', 'its digest is not one');
  const content = bytes.subarray(line.length + 1);
  const actual = digestOf(content);
  if (digest !== actual) {
    return broken('digest', `it is damaged or cut off: digest ${actual}, written ${digest}`);
  }
  return readContent(content);
}

function noState(bytes: Uint8Array): ReadSnapshot {
  const start = Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1');
  return bytes.length < MAGIC.length + DIGEST_CHARS && MAGIC.startsWith(start)
    ? broken('truncated', `it ends after ${bytes.length} bytes`)
    : broken('foreign', 'it does not begin as a state does');
}

function readContent(content: Uint8Array): ReadSnapshot {
  const line = lineAt(content, 0, MAX_HEADER_BYTES);
  const header = line === undefined ? undefined : toHeader(line);
  if (line === undefined || header === undefined) return broken('contents', 'its header is wrong');
  const batch = content.subarray(Buffer.byteLength(line) + 1);
  return isTableBatch(batch)
    ? { ok: true, snapshot: { header, batch } }
    : broken('contents', 'it is no transaction on table inet picket alone');
}

function lineAt(bytes: Uint8Array, from: number, maxBytes: number): string | undefined {
  const end = bytes.subarray(from, from + maxBytes).indexOf(0x0a);
  return end < 0 ? undefined : Buffer.from(bytes.subarray(from, from + end)).toString('utf8');
}

function toHeader(line: string): SnapshotHeader | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, node, createdMs, origin, pending } = value as Record<string, unknown>;
  if (typeof version !== 'string' || typeof node !== 'string' || typeof origin !== 'string') {
    return undefined;
  }
  if (typeof createdMs !== 'number' || !Number.isFinite(createdMs)) return undefined;
  if (pending === undefined) return { version, node, createdMs, origin };
  const fields = toPending(pending);
  return fields && { version, node, createdMs, origin, pending: fields };
}

function toPending(value: unknown): PendingFields | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, bootId, deadlineMs, scope, tried: digests } = value as Record<string, unknown>;
  if (typeof id !== 'string' || typeof bootId !== 'string') return undefined;
  if (typeof deadlineMs !== 'number' || !Number.isFinite(deadlineMs)) return undefined;
  const tried = toDigests(digests);
  if (tried === undefined || (scope !== 'host' && scope !== 'all')) return undefined;
  return { id, bootId, deadlineMs, scope, tried };
}

export function toDigests(value: unknown): Digests | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { host, policy } = value as Record<string, unknown>;
  return typeof host === 'string' && typeof policy === 'string' ? { host, policy } : undefined;
}

function digestOf(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function broken(reason: Broken, message: string): ReadSnapshot {
  return { ok: false, reason, message };
}
