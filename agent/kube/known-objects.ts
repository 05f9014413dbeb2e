/**
 * Which objects of one resource the agent was told of, and in which state. Comes in: objects as the API gives them; goes out: events for what
 * is really different, after trimming. Keeps a digest per object, no object.
 */
import { hash } from 'node:crypto';
import { resourceKey } from '../../compiler/model/parse/resource.ts';
import type { Origin, RawEvent } from '../watch/event.ts';
import { brokenAnswer } from './api-error.ts';
import { groupVersionOf, printResource } from './resources.ts';
import type { ApiResource } from './resources.ts';
import { isJsonObject, isTooDeep, trimMetadata } from './trim.ts';
import type { JsonObject } from './trim.ts';

export interface Taken {
  /** `undefined` = an object that is not read. */
  readonly key: string | undefined;
  /** `undefined` = nothing that matters is different. */
  readonly event: RawEvent | undefined;
}

/** In the place of what nobody can have meant. */
const TOO_DEEP = 'nested too deeply to be read';

const NOTHING: Taken = { key: undefined, event: undefined };

export class KnownObjects {
  readonly #resource: ApiResource;
  readonly #type: { readonly apiVersion: string; readonly kind: string };
  /** Key to digest of the trimmed object. */
  readonly #digests = new Map<string, string>();

  constructor(resource: ApiResource) {
    this.#resource = resource;
    this.#type = { apiVersion: groupVersionOf(resource), kind: resource.kind };
  }

  keys(): IterableIterator<string> {
    return this.#digests.keys();
  }

  /** Throws ApiError for what is no such object. */
  put(object: unknown): Taken {
    const trimmed = this.#trim(object);
    if (trimmed === undefined) return NOTHING;
    const key = this.#keyOf(trimmed);
    const digest = hash('sha256', JSON.stringify(trimmed), 'buffer').toString('latin1', 0, 16);
    if (this.#digests.get(key) === digest) return { key, event: undefined };
    this.#digests.set(key, digest);
    const origin = new ApiOrigin(this.#resource, key);
    return { key, event: { op: 'put', key, object: trimmed, origin } };
  }

  /** Throws ApiError for what is no such object. */
  delete(object: unknown): Taken {
    const trimmed = this.#trim(object);
    return trimmed === undefined ? NOTHING : this.deleteKey(this.#keyOf(trimmed));
  }

  deleteKey(key: string): Taken {
    return { key, event: this.#digests.delete(key) ? { op: 'delete', key } : undefined };
  }

  #trim(object: unknown): JsonObject | undefined {
    if (!isJsonObject(object) || !isJsonObject(object['metadata'])) {
      throw brokenAnswer('something that is no object came instead of one');
    }
    // Items of a list lack their type.
    const typed = { ...this.#type, ...object };
    if (typed.apiVersion !== this.#type.apiVersion || typed.kind !== this.#type.kind) {
      throw brokenAnswer(`an object of another kind came: ${typed.apiVersion} ${typed.kind}`);
    }
    const trimmed = this.#resource.trim(typed, trimMetadata(object['metadata']));
    if (trimmed === undefined) return undefined;
    if (!isTooDeep(trimmed)) return { ...this.#type, ...trimmed };
    // The parser refuses it for that, and says so: the last accepted version stays.
    const readable = { ...trimmed, spec: TOO_DEEP };
    if (isTooDeep(readable)) throw brokenAnswer('an object with bottomless metadata came');
    return { ...this.#type, ...readable };
  }

  #keyOf(object: JsonObject): string {
    const result = resourceKey(object);
    if ('key' in result) return result.key;
    throw brokenAnswer(`an object without a usable name came: ${result.issue.message}`);
  }
}

/** `api networking.k8s.io/networkpolicies shop/web`. Made per object, so it holds no text of its own. */
class ApiOrigin implements Origin {
  readonly #resource: ApiResource;
  readonly #key: string;

  constructor(resource: ApiResource, key: string) {
    this.#resource = resource;
    this.#key = key;
  }

  get source(): string {
    const [, , namespace = '', name = ''] = this.#key.split('/');
    const prefix = namespace === '' ? '' : `${namespace}/`;
    return `${printResource(this.#resource)} ${prefix}${name}`;
  }

  lineOf(): undefined {
    return undefined;
  }
}
