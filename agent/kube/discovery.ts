/**
 * Which of the optional resources the API server has. Comes in: its discovery documents, old or new shape; goes out: resources to read. A
 * group that cannot answer just now is unknown, which is not the same as absent. Source: kubernetes.io/docs/concepts/overview/kubernetes-api.
 */
import { ApiError, brokenAnswer } from './api-error.ts';
import { TooLarge, readText } from './body.ts';
import type { ApiClient } from './client.ts';
import { CALICO, CLUSTER_POLICY, groupVersionOf } from './resources.ts';
import type { ApiResource } from './resources.ts';
import { isJsonObject } from './trim.ts';
import type { JsonObject } from './trim.ts';

export interface Discovered {
  readonly resources: readonly ApiResource[];
  /** Group versions that exist, but do not say what they have. */
  readonly unknown: readonly string[];
  /** Resources that policy could stand in, served only in versions that are not read: `networking.example/v9 things`. */
  readonly unread: readonly string[];
}

const ACCEPT = ['v2', 'v2beta1']
  .map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .concat('application/json')
  .join(',');

/** Hundreds of CRDs make a few MiB. */
const MAX_BYTES = 32 * 1024 * 1024;

const OPTIONAL = [...CLUSTER_POLICY, ...CALICO.flat()];

/** In every version: one that is not read is worth a word. */
const WANTED_GROUPS = new Set(OPTIONAL.map(({ group }) => group));

/** Plural names by group version; `undefined` = unknown. */
type Served = Map<string, ReadonlySet<string> | undefined>;

export class Discovery {
  readonly #client: ApiClient;
  #etag: string | undefined;
  #served: Served = new Map();
  /** Once chosen, Calico's group stays: objects of one are not those of the other. */
  #calico: readonly ApiResource[] | undefined;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  /** Throws ApiError. */
  async look(signal: AbortSignal): Promise<Discovered> {
    const headers = { accept: ACCEPT, ...(this.#etag ? { 'if-none-match': this.#etag } : {}) };
    const answer = await this.#client.get('/apis', {}, signal, headers);
    if (answer.status === 304) answer.body.resume();
    else {
      this.#etag = undefined;
      const document = await this.#parse(answer.body);
      const isAggregated = document['kind'] === 'APIGroupDiscoveryList';
      this.#served = isAggregated ? aggregated(document) : await this.#each(document, signal);
      // Unknown groups may become known without a change of the document.
      const isComplete = ![...this.#served.values()].includes(undefined);
      if (isAggregated && isComplete) this.#etag = answer.headers.etag;
    }
    return this.#choose();
  }

  #choose(): Discovered {
    const isServed = (resource: ApiResource): boolean =>
      this.#served.get(groupVersionOf(resource))?.has(resource.plural) ?? false;
    if (this.#calico === undefined || !this.#calico.some(isServed)) {
      this.#calico = CALICO.find((resources) => resources.some(isServed)) ?? this.#calico;
    }
    const read = [...CLUSTER_POLICY, ...(this.#calico ?? CALICO.flat())];
    const unknown = new Set(read.map(groupVersionOf)).intersection(unknownIn(this.#served));
    const resources = read.filter(isServed);
    return { resources, unknown: [...unknown], unread: this.#unread(resources) };
  }

  #unread(resources: readonly ApiResource[]): string[] {
    const isRead = ({ group, plural }: ApiResource): boolean =>
      resources.some((each) => each.group === group && each.plural === plural);
    return CLUSTER_POLICY.filter((resource) => !isRead(resource)).flatMap(({ group, plural }) =>
      [...this.#served]
        .filter(([name, names]) => name.startsWith(`${group}/`) && names?.has(plural))
        .map(([name]) => `${name} ${plural}`),
    );
  }

  /** Servers before Kubernetes 1.27: a list of groups, and a document for each. */
  async #each(document: JsonObject, signal: AbortSignal): Promise<Served> {
    const served: Served = new Map();
    for (const group of objectsIn(document['groups'])) {
      for (const { groupVersion } of objectsIn(group['versions'])) {
        if (typeof groupVersion !== 'string' || !isWanted(group['name'])) continue;
        served.set(groupVersion, await this.#resourcesOf(groupVersion, signal));
      }
    }
    return served;
  }

  async #resourcesOf(
    groupVersion: string,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string> | undefined> {
    try {
      const answer = await this.#client.get(`/apis/${groupVersion}`, {}, signal);
      const document = await this.#parse(answer.body);
      return new Set(objectsIn(document['resources']).map(({ name }) => String(name)));
    } catch (error) {
      if (!(error instanceof ApiError) || signal.aborted) throw error;
      return error.detail.status === 404 ? new Set() : undefined;
    }
  }

  async #parse(body: Parameters<typeof readText>[0]): Promise<JsonObject> {
    try {
      const limits = { idleMs: this.#client.limits.answerMs, maxBytes: MAX_BYTES };
      const document: unknown = JSON.parse(await readText(body, limits));
      if (isJsonObject(document)) return document;
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof TooLarge)) throw error;
    }
    throw brokenAnswer('the discovery document cannot be read');
  }
}

function isWanted(group: unknown): boolean {
  return typeof group === 'string' && WANTED_GROUPS.has(group);
}

function unknownIn(served: Served): ReadonlySet<string> {
  return new Set([...served].flatMap(([name, names]) => (names === undefined ? [name] : [])));
}

function aggregated(document: JsonObject): Served {
  const served: Served = new Map();
  for (const { metadata, versions } of objectsIn(document['items'])) {
    const group = isJsonObject(metadata) ? metadata['name'] : undefined;
    for (const { version, resources, freshness } of objectsIn(versions)) {
      const groupVersion = `${String(group)}/${String(version)}`;
      if (!isWanted(group)) continue;
      const names = objectsIn(resources).map(({ resource }) => String(resource));
      served.set(groupVersion, freshness === 'Stale' ? undefined : new Set(names));
    }
  }
  return served;
}

function objectsIn(list: unknown): readonly JsonObject[] {
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}
