/** What the running agent knows of a source of objects, be it a directory or the Kubernetes API. */
import type { RawEvent } from './event.ts';
import type { FileIssue } from './file-set.ts';

export interface Batch {
  /** What changed since the batch before. */
  readonly events: readonly RawEvent[];
  /** Everything that is wrong with the source now, also what was in earlier batches; `file` is a path or an API resource. */
  readonly issues: readonly FileIssue[];
  /** Everything that was there at the start has been handed over, in this batch or before. */
  readonly isSynced: boolean;
  /** When the source first heard of the oldest of the changes, milliseconds since the epoch; absent = just now. */
  readonly receivedMs?: number;
}

/** Names sort by precedence: where two sources have the same object, the one that sorts first counts. */
export type SourceName = 'disk' | 'kubernetes';

export interface Source {
  readonly name: SourceName;
  /** First what is there, in one batch or several, then what changes, until `signal` aborts. Throws only for our own errors. */
  watch(signal: AbortSignal): AsyncIterable<Batch>;
}

/** Made once: a text of its own in each of 20,000 keys would take a megabyte. */
const PREFIXES: Readonly<Record<SourceName, string>> = { disk: 'disk:', kubernetes: 'kubernetes:' };

/** Objects of all sources have keys of their own, which sort by precedence. */
export function sourceKey(source: SourceName, key: string): string {
  return PREFIXES[source] + key;
}

/** `<group>/<kind>/<namespace>/<name>` of a key with or without its source. */
export function objectKey(key: string): string {
  return key.slice(key.indexOf(':') + 1);
}
