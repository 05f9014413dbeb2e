/**
 * One watch connection: what is there first, if asked for, then every change and bookmarks, until time is up or the client leaves. As in
 * the API conventions: an object that begins or ceases to match the selector is added or deleted; an old version is answered by an
 * ERROR event that carries a Status.
 */
import type { Reply } from './faults.ts';
import type { ApiObject, Change, ObjectStore } from './object-store.ts';
import { groupVersion } from './resources.ts';
import type { ServedResource } from './resources.ts';
import { statusOf } from './status.ts';

export interface WatchRequest {
  readonly resource: ServedResource;
  readonly query: URLSearchParams;
  readonly matches: (object: ApiObject) => boolean;
  readonly bookmarkMs: number;
}

/** Returns what ends it. */
export function startWatch(store: ObjectStore, request: WatchRequest, reply: Reply): () => void {
  const { resource, query, matches } = request;
  const version = query.get('resourceVersion') ?? '';
  const sendsInitial = query.get('sendInitialEvents') === 'true';
  if (sendsInitial || version === '' || version === '0') {
    for (const object of store.list(resource).filter(matches)) write(reply, 'ADDED', object);
    if (sendsInitial) bookmark(store, resource, reply, { 'k8s.io/initial-events-end': 'true' });
  } else {
    const missed = store.changesSince(resource, Number(version));
    if (missed === undefined) {
      const message = `too old resource version: ${version} (${store.compacted})`;
      write(reply, 'ERROR', statusOf(410, message));
      reply.end();
      return () => undefined;
    }
    for (const change of missed) writeChange(reply, change, matches);
  }
  return follow(store, request, reply);
}

function follow(store: ObjectStore, request: WatchRequest, reply: Reply): () => void {
  const { resource, query, matches, bookmarkMs } = request;
  // A client that comes from a later version than ours hears of nothing until we get there.
  const from = Number(query.get('resourceVersion') ?? 0);
  const onChange = (change: Change): void => {
    if (change.resource === resource && change.version > from) writeChange(reply, change, matches);
  };
  store.changed.on('change', onChange);
  const wantsBookmarks = query.get('allowWatchBookmarks') === 'true';
  const bookmarks = setInterval(() => {
    if (wantsBookmarks && store.version >= from) bookmark(store, resource, reply, undefined);
  }, bookmarkMs);
  const stop = (): void => {
    store.changed.off('change', onChange);
    clearInterval(bookmarks);
    clearTimeout(timeout);
  };
  const timeout = setTimeout(
    () => {
      stop();
      reply.end();
    },
    Number(query.get('timeoutSeconds') ?? 1800) * 1000,
  );
  return stop;
}

function writeChange(
  reply: Reply,
  { version, before, after }: Change,
  matches: (object: ApiObject) => boolean,
): void {
  const did = before !== undefined && matches(before);
  if (after !== undefined && matches(after)) write(reply, did ? 'MODIFIED' : 'ADDED', after);
  else if (did) {
    const metadata = { ...before.metadata, resourceVersion: String(version) };
    write(reply, 'DELETED', { ...before, metadata });
  }
}

function bookmark(
  store: ObjectStore,
  resource: ServedResource,
  reply: Reply,
  annotations: object | undefined,
): void {
  write(reply, 'BOOKMARK', {
    kind: resource.kind,
    apiVersion: groupVersion(resource),
    metadata: {
      resourceVersion: String(store.version),
      creationTimestamp: null,
      ...(annotations === undefined ? {} : { annotations }),
    },
    ...(resource.kind === 'Pod' ? { spec: { containers: null }, status: {} } : {}),
  });
}

function write(reply: Reply, type: string, object: object): void {
  reply.write(`${JSON.stringify({ type, object })}\n`);
}
