/**
 * The objects of the test server with their history, as etcd keeps them: one counter for all resources, every change an entry. Comes in:
 * objects; goes out: snapshots and changes since a version. Knows no HTTP.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { groupVersion } from './resources.ts';
import type { ServedResource } from './resources.ts';

export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>> & {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  readonly [field: string]: unknown;
}

export interface Change {
  readonly version: number;
  readonly resource: ServedResource;
  readonly before: ApiObject | undefined;
  readonly after: ApiObject | undefined;
}

/** What a test hands in: as in a manifest. */
export type ManifestObject = Readonly<Record<string, unknown>>;

interface GivenMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly managedFields?: unknown;
}

const MANAGED_FIELDS = [{ manager: 'test', operation: 'Update', fieldsV1: { 'f:metadata': {} } }];

export class ObjectStore {
  readonly changed = new EventEmitter<{ change: [Change] }>();
  readonly #resources: ServedResource[];
  readonly #objects = new Map<string, ApiObject>();
  #history: Change[] = [];
  #version: number;
  /** Changes up to this version are forgotten. */
  #compacted: number;

  constructor(resources: readonly ServedResource[], firstVersion = 1000) {
    this.#resources = [...resources];
    this.#version = firstVersion;
    this.#compacted = firstVersion - 1;
    this.changed.setMaxListeners(0);
  }

  get version(): number {
    return this.#version;
  }

  get compacted(): number {
    return this.#compacted;
  }

  get resources(): readonly ServedResource[] {
    return this.#resources;
  }

  /** As if a custom resource definition was created. */
  serve(resources: readonly ServedResource[]): void {
    this.#resources.push(...resources);
  }

  /** As if the definitions were deleted, with their objects. */
  withdraw(resources: readonly ServedResource[]): void {
    for (const resource of resources) {
      for (const { metadata } of this.list(resource))
        this.delete(resource, metadata.namespace ?? '', metadata.name);
      this.#resources.splice(this.#resources.indexOf(resource), 1);
    }
  }

  resourceOf(apiVersion: string, kind: string): ServedResource {
    const found = this.#resources.find(
      (resource) => groupVersion(resource) === apiVersion && resource.kind === kind,
    );
    if (found === undefined)
      throw new Error(`the test server does not serve ${apiVersion} ${kind}`);
    return found;
  }

  /** Creates or replaces. */
  put(manifest: ManifestObject): ApiObject {
    const resource = this.resourceOf(String(manifest['apiVersion']), String(manifest['kind']));
    const given = manifest['metadata'] as GivenMetadata;
    const namespace = resource.isNamespaced ? (given.namespace ?? 'default') : '';
    const key = keyOf(resource, namespace, given.name);
    const before = this.#objects.get(key);
    this.#version += 1;
    const metadata = {
      ...given,
      ...(namespace === '' ? {} : { namespace }),
      uid: before?.metadata.uid ?? randomUUID(),
      resourceVersion: String(this.#version),
      creationTimestamp: before?.metadata['creationTimestamp'] ?? '2026-11-20T10:00:00Z',
      managedFields: given.managedFields ?? MANAGED_FIELDS,
    };
    const after = { ...manifest, metadata } as unknown as ApiObject;
    this.#objects.set(key, after);
    this.#note({ version: this.#version, resource, before, after });
    return after;
  }

  /** Many objects that were there before anybody listened: no history, so memory holds each once. */
  fill(manifests: Iterable<ManifestObject>): void {
    for (const manifest of manifests) this.put(manifest);
    this.compact();
  }

  has(resource: ServedResource, namespace: string, name: string): boolean {
    return this.#objects.has(keyOf(resource, namespace, name));
  }

  delete(resource: ServedResource, namespace: string, name: string): void {
    const key = keyOf(resource, namespace, name);
    const before = this.#objects.get(key);
    if (before === undefined) return;
    this.#objects.delete(key);
    this.#version += 1;
    this.#note({ version: this.#version, resource, before, after: undefined });
  }

  /** By apiVersion, kind, namespace (empty for cluster scope) and name. */
  remove(apiVersion: string, kind: string, namespace: string, name: string): void {
    this.delete(this.resourceOf(apiVersion, kind), namespace, name);
  }

  list(resource: ServedResource): ApiObject[] {
    const prefix = keyOf(resource, '', '').slice(0, -1);
    return [...this.#objects.entries()]
      .filter(([key]) => key.startsWith(prefix))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }

  /** `undefined` = the version is too old, and forgotten. */
  changesSince(resource: ServedResource, version: number): Change[] | undefined {
    if (version < this.#compacted) return undefined;
    return this.#history.filter(
      (change) => change.resource === resource && change.version > version,
    );
  }

  /** Forgets the history, as etcd does after five minutes. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history = [];
  }

  #note(change: Change): void {
    this.#history.push(change);
    this.changed.emit('change', change);
  }
}

function keyOf(resource: ServedResource, namespace: string, name: string): string {
  return `${groupVersion(resource)}/${resource.plural}//${namespace}/${name}`;
}
