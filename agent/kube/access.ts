/**
 * TLS and credentials of the requests, as they are at the time of each request: files and tokens rotate. Comes in: a connection; goes out:
 * request options. Never logs what it reads.
 */
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import type { RequestOptions } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import { FileAuth } from '@kubernetes/client-node/dist/file_auth.js';
import { cidrContains, toAddress, toCidr } from '../../compiler/model/ip.ts';
import { brokenAnswer } from './api-error.ts';
import type { Connection } from './kubeconfig.ts';

/** A plugin that takes longer is not waited for. */
const EXEC_MS = 30_000;

/** Silence of a TCP connection before it is probed; ten probes, a second apart (libuv), without an answer end it: after 40 s in all. */
const KEEP_ALIVE_MS = 30_000;

export interface AccessOptions extends RequestOptions {
  readonly headers: Readonly<Record<string, string>>;
}

export class Access {
  readonly #connect: () => Connection;
  #connection: Connection;
  readonly #agent: Agent;
  #exec = new ExecAuth();
  #file = new FileAuth();
  #credential: Promise<RequestOptions> | undefined;

  /** `connect` is called now, and again when the server refuses us; it throws where there is no usable connection. */
  constructor(connect: () => Connection, env: NodeJS.ProcessEnv) {
    this.#connect = connect;
    this.#connection = connect();
    const { proxyUrl } = this.#connection.cluster;
    this.#agent = new Agent({
      keepAlive: true,
      keepAliveMsecs: KEEP_ALIVE_MS,
      maxFreeSockets: 4,
      proxyEnv: proxyUrl === undefined ? proxyOf(env, this.server) : { HTTPS_PROXY: proxyUrl },
    });
  }

  get server(): URL {
    return new URL(this.#connection.cluster.server);
  }

  /** Everything but method and path. Throws ApiError where credentials cannot be had. */
  async options(): Promise<AccessOptions> {
    const { cluster, user } = this.#connection;
    const [ca, cert, key] = await Promise.all([
      bytesOf(cluster.caFile, cluster.caData),
      bytesOf(user.certFile, user.certData),
      bytesOf(user.keyFile, user.keyData),
    ]);
    const given = await this.#credentials();
    const headers: Record<string, string> = {};
    const authorization = this.#authorizationOf(given);
    if (authorization !== undefined) headers['authorization'] = authorization;
    if (user.impersonateUser) headers['impersonate-user'] = user.impersonateUser;
    return {
      agent: this.#agent,
      headers,
      ...defined({ ca, cert: given.cert ?? cert, key: given.key ?? key }),
      ...defined({ servername: cluster.tlsServerName }),
      ...(cluster.skipTLSVerify ? { rejectUnauthorized: false } : {}),
    };
  }

  /** After the server refused our credentials: they are read, or asked for, again. */
  forget(): void {
    this.#exec = new ExecAuth();
    this.#file = new FileAuth();
    try {
      this.#connection = this.#connect();
    } catch {
      // Somebody is writing it, perhaps: what we have stays.
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #authorizationOf({ headers }: RequestOptions): string | undefined {
    const { user } = this.#connection;
    if (user.token) return `Bearer ${user.token.trim()}`;
    if (user.username) {
      return `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
    }
    const value = (headers as Readonly<Record<string, unknown>>)['Authorization'];
    return typeof value === 'string' ? value.trim() : undefined;
  }

  /** One plugin runs at a time, even when it is not waited for any more. */
  async #credentials(): Promise<RequestOptions> {
    this.#credential ??= this.#askFor().finally(() => (this.#credential = undefined));
    const timeout = new AbortController();
    try {
      return await Promise.race([
        this.#credential,
        delay(EXEC_MS, undefined, { signal: timeout.signal, ref: false }).then(() => {
          throw brokenAnswer(`no credentials within ${EXEC_MS / 1000} s`);
        }),
      ]);
    } catch (error) {
      throw brokenAnswer(`asking for credentials: ${(error as Error).message.trim()}`, error);
    } finally {
      timeout.abort();
    }
  }

  async #askFor(): Promise<RequestOptions> {
    const options: RequestOptions = { headers: {} };
    const { user } = this.#connection;
    for (const provider of [this.#exec, this.#file]) {
      if (provider.isAuthProvider(user)) await provider.applyAuthentication(user, options);
    }
    return options;
  }
}

/** Node.js does not know prefixes in NO_PROXY, and clusters live by them: `10.96.0.0/12`. */
function proxyOf(env: NodeJS.ProcessEnv, server: URL): NodeJS.ProcessEnv {
  const address = toAddress(server.hostname.replace(/^\[|\]$/g, ''));
  const entries = (env['NO_PROXY'] ?? env['no_proxy'] ?? '').split(',');
  const isExempt = entries.some((entry) => {
    const cidr = toCidr(entry.trim());
    return cidr !== undefined && address !== undefined && cidrContains(cidr, address);
  });
  return isExempt ? {} : env;
}

/** Data counts more than a file, as in kubectl. */
async function bytesOf(
  file: string | undefined,
  base64: string | undefined,
): Promise<Buffer | undefined> {
  try {
    if (base64) return Buffer.from(base64, 'base64');
    return file ? await readFile(file) : undefined;
  } catch (error) {
    throw brokenAnswer(`reading credentials: ${(error as Error).message}`, error);
  }
}

function defined<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== null),
  ) as { [K in keyof T]?: NonNullable<T[K]> };
}
