/** Lists as the API server gives them: of one version, in pages of `limit`, whose `continue` token can expire. */
import { randomUUID } from 'node:crypto';
import type { ApiObject, ObjectStore } from './object-store.ts';
import { groupVersion } from './resources.ts';
import type { ServedResource } from './resources.ts';
import { statusOf } from './status.ts';
import type { Status } from './status.ts';

interface Rest {
  readonly version: number;
  readonly objects: readonly ApiObject[];
}

export class Listing {
  readonly #store: ObjectStore;
  readonly #rests = new Map<string, Rest>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** As if etcd had forgotten the versions of all lists that are not finished. */
  expireContinues(): void {
    this.#rests.clear();
  }

  page(
    resource: ServedResource,
    query: URLSearchParams,
    matches: (object: ApiObject) => boolean,
  ): object | Status {
    const token = query.get('continue') ?? '';
    const rest = token === '' ? this.#start(resource, query, matches) : this.#rests.get(token);
    if (rest === undefined) {
      return statusOf(
        410,
        'The provided continue parameter is too old to display a consistent list result.',
      );
    }
    if ('code' in rest) return rest;
    this.#rests.delete(token);
    const limit = Number(query.get('limit') ?? 0);
    const items = limit > 0 ? rest.objects.slice(0, limit) : rest.objects;
    const left = rest.objects.slice(items.length);
    return {
      kind: `${resource.kind}List`,
      apiVersion: groupVersion(resource),
      metadata: { resourceVersion: String(rest.version), ...this.#keep(rest.version, left) },
      items: resource.isCustom ? items : items.map(withoutType),
    };
  }

  #start(
    resource: ServedResource,
    query: URLSearchParams,
    matches: (object: ApiObject) => boolean,
  ): Rest | Status {
    const wanted = Number(query.get('resourceVersion') ?? 0);
    if (wanted > this.#store.version) {
      const message = `Too large resource version: ${wanted}, current: ${this.#store.version}`;
      const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
      return statusOf(504, message, { causes, retryAfterSeconds: 1 });
    }
    return {
      version: this.#store.version,
      objects: this.#store.list(resource).filter(matches),
    };
  }

  #keep(version: number, objects: readonly ApiObject[]): object {
    if (objects.length === 0) return {};
    const token = randomUUID();
    this.#rests.set(token, { version, objects });
    return { continue: token, remainingItemCount: objects.length };
  }
}

function withoutType(object: ApiObject): object {
  return Object.fromEntries(
    Object.entries(object).filter(([field]) => field !== 'kind' && field !== 'apiVersion'),
  );
}
