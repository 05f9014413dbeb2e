/** Lists and watch lines as the API server writes them, checked as far as the reflector relies on them. */
import { ApiError, brokenAnswer } from './api-error.ts';
import { isJsonObject } from './trim.ts';
import type { JsonObject } from './trim.ts';

export interface Page {
  readonly items: readonly unknown[];
  readonly version: string;
  /** `undefined` = the last page. */
  readonly token: string | undefined;
}

/** Throws ApiError. */
export function readPage(text: string): Page {
  const list = parseObject(text, 'the list');
  const { items, metadata } = list;
  const version = isJsonObject(metadata) ? metadata['resourceVersion'] : undefined;
  // Go writes an empty list as null.
  const objects: unknown = items ?? [];
  if (!Array.isArray(objects) || typeof version !== 'string' || version === '') {
    throw brokenAnswer('the list has no items or no resourceVersion');
  }
  const token = isJsonObject(metadata) ? metadata['continue'] : undefined;
  return {
    items: objects,
    version,
    token: typeof token === 'string' && token !== '' ? token : undefined,
  };
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: JsonObject;
  /** Empty for ERROR. */
  readonly version: string;
  /** On the last of the initial events of a streaming list (KEP-3157). */
  readonly endsList: boolean;
}

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

const TYPES: readonly unknown[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'];

/** Throws ApiError. */
export function readWatchEvent(line: string): WatchEvent {
  const { type, object } = parseObject(line, 'a watch event');
  if (!TYPES.includes(type) || !isJsonObject(object)) {
    throw brokenAnswer('a watch event has no type or no object');
  }
  const { metadata } = object;
  const meta = isJsonObject(metadata) ? metadata : {};
  const { resourceVersion, annotations } = meta;
  if (type !== 'ERROR' && (typeof resourceVersion !== 'string' || resourceVersion === '')) {
    throw brokenAnswer('a watch event has no resourceVersion');
  }
  const endsList = isJsonObject(annotations) && annotations[INITIAL_EVENTS_END] === 'true';
  const version = typeof resourceVersion === 'string' ? resourceVersion : '';
  return { type: type as WatchEvent['type'], object, version, endsList };
}

function parseObject(text: string, what: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch (error) {
    throw brokenAnswer(`${what} is not JSON: ${text.slice(0, 40)}`, error);
  }
  throw brokenAnswer(`${what} is no object`);
}

/** Our version means nothing to this server: everything has to be listed. */
export function goneError(why: string): ApiError {
  return new ApiError('ERR_WATCH_GONE', why, { status: undefined, retryAfterMs: undefined });
}
