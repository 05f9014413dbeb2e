/**
 * A small Kubernetes API server for tests, over real HTTPS: stores objects, serves discovery, lists, watches and events, knows tokens and
 * client certificates, and misbehaves when asked (faults.ts). It follows the API conventions closely enough that a real kube-apiserver
 * can take its place; what the agent must not rely on, it does not do.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { makeAuthority } from './certificates.ts';
import type { Authority } from './certificates.ts';
import { aggregated, coreVersions, etagOf, groupList, resourceList } from './discovery.ts';
import { Faults, Reply, reset } from './faults.ts';
import { Listing } from './listing.ts';
import { ObjectStore } from './object-store.ts';
import type { ApiObject, ManifestObject } from './object-store.ts';
import { BUILT_IN, groupVersion } from './resources.ts';
import type { ServedResource } from './resources.ts';
import { parseFieldSelector } from './selector.ts';
import { statusOf } from './status.ts';
import type { Status } from './status.ts';
import { startWatch } from './watching.ts';

export interface ApiServerOptions {
  readonly store?: ObjectStore;
  readonly authority?: Authority;
  /** 0 = whatever is free. */
  readonly port?: number;
  readonly tokens?: Readonly<Record<string, string>>;
  /** Whether `sendInitialEvents` is known; before Kubernetes 1.32 it is not, by default. */
  readonly hasStreamingLists?: boolean;
  readonly hasAggregatedDiscovery?: boolean;
  readonly bookmarkMs?: number;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly user: string;
}

/** Of the administrator, whom every server knows. */
export const TOKEN = 'secret-token-of-picket';

export class ApiServer {
  readonly store: ObjectStore;
  readonly authority: Authority;
  readonly faults = new Faults();
  readonly requests: SeenRequest[] = [];
  /** Bearer token to user; a test may change it. */
  readonly tokens: Map<string, string>;
  /** Plural names that nobody may read. */
  readonly forbidden = new Set<string>();
  readonly listing: Listing;
  readonly #options: ApiServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<() => void>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'picket-api-'));

  private constructor(options: ApiServerOptions) {
    this.#options = options;
    this.store = options.store ?? new ObjectStore(BUILT_IN);
    this.authority = options.authority ?? makeAuthority();
    this.tokens = new Map(Object.entries(options.tokens ?? { [TOKEN]: 'admin' }));
    this.listing = new Listing(this.store);
    const tls = { ...this.authority.issueServer(), ca: this.authority.cert };
    this.#server = createServer(
      { ...tls, requestCert: true, rejectUnauthorized: false, keepAliveTimeout: 60_000 },
      (request, response) => this.#handle(request, response),
    );
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(options: ApiServerOptions = {}): Promise<ApiServer> {
    const server = new ApiServer(options);
    server.#server.listen(options.port ?? 0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  put(...objects: readonly ManifestObject[]): void {
    for (const object of objects) this.store.put(object);
  }

  /** Writes a kubeconfig and returns its path; `user` as in a kubeconfig, the administrator's token when left out. */
  kubeconfig(user: object = { token: TOKEN }, cluster: object = {}): string {
    const path = join(this.#folder, `kubeconfig-${this.requests.length}-${Math.random()}`);
    const caData = Buffer.from(this.authority.cert).toString('base64');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [
        {
          name: 'c',
          cluster: { server: this.url, 'certificate-authority-data': caData, ...cluster },
        },
      ],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'test', context: { cluster: 'c', user: 'u' } }],
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  /** A file beside the kubeconfig; returns its path. */
  write(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Cuts every connection, as a crash does; it goes on listening. */
  cutConnections(): void {
    for (const stop of this.#watches) stop();
    for (const socket of this.#sockets) reset(socket);
  }

  /** Abrupt, as a crash. Files stay until `close`. */
  async kill(): Promise<void> {
    this.#server.close();
    this.cutConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.url);
    const user = this.#userOf(request);
    const { pathname: path, searchParams: query } = url;
    this.requests.push({ method: request.method ?? '', path, query, user: user ?? '' });
    response.on('error', () => undefined);
    if (user === undefined) return sendStatus(response, statusOf(401, 'Unauthorized'));
    const found = this.#resourceAt(path);
    if (found === undefined) return this.#discover(request, response, path);
    if (this.forbidden.has(found.resource.plural)) {
      const what = `${found.resource.plural} is forbidden: User "${user}" cannot list resource`;
      return sendStatus(response, statusOf(403, what));
    }
    if (request.method === 'POST') return this.#create(request, response, found);
    this.#read(response, query, found);
  }

  #userOf(request: IncomingMessage): string | undefined {
    const [, token = ''] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    const socket = request.socket as TLSSocket;
    const name: unknown = socket.authorized ? socket.getPeerCertificate().subject?.CN : undefined;
    return this.tokens.get(token) ?? (typeof name === 'string' ? name : undefined);
  }

  #resourceAt(path: string): Found | undefined {
    const match =
      /^\/(?:api|apis\/(?<group>[^/]+))\/(?<version>[^/]+)(?:\/namespaces\/(?<namespace>[^/]+)(?=\/))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?$/.exec(
        path,
      );
    const { group = '', version, namespace, plural, name } = match?.groups ?? {};
    const resource = this.store.resources.find(
      (each) => each.group === group && each.version === version && each.plural === plural,
    );
    return resource && { resource, namespace, name };
  }

  #discover(request: IncomingMessage, response: ServerResponse, path: string): void {
    const fault = this.faults.take('discovery', '');
    if (isRefused(fault, response)) return;
    const { resources } = this.store;
    const accept = request.headers.accept ?? '';
    const isAggregated =
      (this.#options.hasAggregatedDiscovery ?? true) && accept.includes('APIGroupDiscoveryList');
    const body =
      path === '/api' || path === '/apis'
        ? isAggregated
          ? aggregated(resources, path === '/api')
          : path === '/api'
            ? coreVersions()
            : groupList(resources)
        : resourceList(resources, path.replace(/^\/apis?\//, ''));
    if (body === undefined) {
      return sendStatus(
        response,
        statusOf(404, 'the server could not find the requested resource'),
      );
    }
    const text = JSON.stringify(body);
    const etag = etagOf(text);
    if (isAggregated && request.headers['if-none-match'] === etag) {
      response.writeHead(304, { etag }).end();
      return;
    }
    const type = isAggregated
      ? 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
      : 'application/json';
    response.writeHead(200, { 'content-type': type, ...(isAggregated ? { etag } : {}) });
    const reply = new Reply(response, fault);
    reply.write(text);
    reply.end();
  }

  #read(
    response: ServerResponse,
    query: URLSearchParams,
    { resource, namespace, name }: Found,
  ): void {
    if (name !== undefined) return this.#get(response, resource, namespace ?? '', name);
    const isWatch = ['true', '1'].includes(query.get('watch') ?? '');
    const fault = this.faults.take(isWatch ? 'watch' : 'list', resource.plural);
    if (isRefused(fault, response)) return;
    const problem = this.#problemOf(query, isWatch);
    if (problem !== undefined) return sendStatus(response, problem);
    const matches = this.#matcher(query, resource, namespace);
    if (typeof matches === 'string') return sendStatus(response, statusOf(400, matches));
    if (!isWatch) {
      const page = this.listing.page(resource, query, matches);
      if ('code' in page) return sendStatus(response, page);
      response.writeHead(200, { 'content-type': 'application/json' });
      const reply = new Reply(response, fault);
      reply.write(JSON.stringify(page));
      return reply.end();
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const reply = new Reply(response, fault);
    const bookmarkMs = this.#options.bookmarkMs ?? 60_000;
    const stop = startWatch(this.store, { resource, query, matches, bookmarkMs }, reply);
    this.#watches.add(stop);
    response.on('close', () => {
      stop();
      this.#watches.delete(stop);
    });
  }

  #get(response: ServerResponse, resource: ServedResource, namespace: string, name: string): void {
    const object = this.store
      .list(resource)
      .find(({ metadata }) => metadata.name === name && (metadata.namespace ?? '') === namespace);
    if (object === undefined) {
      return sendStatus(response, statusOf(404, `${resource.plural} "${name}" not found`));
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(object));
  }

  #problemOf(query: URLSearchParams, isWatch: boolean): Status | undefined {
    const match = query.get('resourceVersionMatch');
    const hasInitial = query.get('sendInitialEvents') !== null;
    if (!isWatch)
      return hasInitial ? statusOf(422, 'sendInitialEvents is forbidden for list') : undefined;
    const isKnown = this.#options.hasStreamingLists ?? true;
    if (hasInitial && !isKnown) {
      return statusOf(
        422,
        'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
      );
    }
    if (hasInitial !== (match === 'NotOlderThan')) {
      return statusOf(
        422,
        'sendInitialEvents and resourceVersionMatch=NotOlderThan go together for watch',
      );
    }
    return undefined;
  }

  #matcher(
    query: URLSearchParams,
    resource: ServedResource,
    namespace: string | undefined,
  ): ((object: ApiObject) => boolean) | string {
    try {
      const selects = parseFieldSelector(query.get('fieldSelector') ?? '', resource);
      return (object) =>
        (namespace === undefined || object.metadata.namespace === namespace) && selects(object);
    } catch (error) {
      return (error as Error).message;
    }
  }

  #create(
    request: IncomingMessage,
    response: ServerResponse,
    { resource, namespace }: Found,
  ): void {
    if (isRefused(this.faults.take('create', resource.plural), response)) return;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const given = JSON.parse(Buffer.concat(chunks).toString()) as ManifestObject;
      const metadata = given['metadata'] as Readonly<Record<string, string>>;
      const name = metadata['name'] ?? `${metadata['generateName'] ?? ''}${this.store.version}`;
      if (this.store.has(resource, namespace ?? '', name)) {
        const what = `${resource.plural} "${name}" already exists`;
        return sendStatus(response, statusOf(409, what));
      }
      const object = this.store.put({
        ...given,
        apiVersion: groupVersion(resource),
        kind: resource.kind,
        metadata: { ...metadata, name, ...(namespace === undefined ? {} : { namespace }) },
      });
      response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(object));
    });
  }
}

interface Found {
  readonly resource: ServedResource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

/** Faults that leave nothing to answer. */
function isRefused(fault: ReturnType<Faults['take']>, response: ServerResponse): boolean {
  if (fault?.kind === 'reset') reset(response.socket);
  if (fault?.kind === 'status') {
    sendStatus(response, statusOf(fault.code, 'injected fault'), fault.headers);
  }
  return fault !== undefined && ['hang', 'reset', 'status'].includes(fault.kind);
}

function sendStatus(
  response: ServerResponse,
  status: Status,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status.code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(status));
}
