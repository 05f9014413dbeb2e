/** Requests to the API server. Comes in: path and query; goes out: an answer that is 2xx or 304, or an ApiError. Retries nothing. */
import { request } from 'node:https';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';
import type { Access } from './access.ts';
import { ApiError, brokenAnswer, refusedBy } from './api-error.ts';
import { readText } from './body.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Must be read to its end, or destroyed. */
  readonly body: IncomingMessage;
}

export interface ClientLimits {
  /** Milliseconds until the head of an answer must be there. */
  readonly answerMs: number;
  /** Milliseconds without a byte of an answer's body. */
  readonly idleMs: number;
}

export type Query = Readonly<Record<string, string | undefined>>;

/** Of the body of a refusal. */
const MAX_STATUS_BYTES = 256 * 1024;

/** A server may ask for more patience, but not for ever. */
const MAX_RETRY_AFTER_MS = 300_000;

export class ApiClient {
  readonly limits: ClientLimits;
  readonly #access: Access;

  constructor(access: Access, limits: ClientLimits) {
    this.#access = access;
    this.limits = limits;
  }

  /** For messages. */
  get server(): string {
    return this.#access.server.origin;
  }

  /** Throws ApiError; `signal` ends the request and its body, with an ApiError too. */
  get(
    path: string,
    query: Query,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const url = this.#urlOf(path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    return this.#ask(url, { method: 'GET', signal }, headers, '');
  }

  /** Like `get`; `body` is JSON. */
  post(path: string, body: string, signal: AbortSignal): Promise<Answer> {
    const headers = { 'content-type': 'application/json' };
    return this.#ask(this.#urlOf(path), { method: 'POST', signal }, headers, body);
  }

  #urlOf(path: string): URL {
    const { server } = this.#access;
    return new URL(server.pathname.replace(/\/$/, '') + path, server);
  }

  async #ask(
    url: URL,
    how: Pick<RequestOptions, 'method' | 'signal'>,
    headers: Readonly<Record<string, string>>,
    body: string,
  ): Promise<Answer> {
    const options = await this.#access.options();
    const answer = await this.#send(
      url,
      {
        ...options,
        ...how,
        headers: {
          accept: 'application/json',
          'user-agent': 'picket',
          ...headers,
          ...options.headers,
        },
      },
      body,
    );
    const { statusCode: status = 0 } = answer;
    if ((status >= 200 && status < 300) || status === 304)
      return { status, headers: answer.headers, body: answer };
    throw await this.#refusal(status, answer);
  }

  #send(url: URL, options: RequestOptions, body: string): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const { answerMs } = this.limits;
    const sent = startRequest(url, options);
    const timer = setTimeout(() => {
      sent.destroy(brokenAnswer(`no answer for ${answerMs / 1000} s`));
    }, answerMs);
    sent.on('response', (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    sent.on('error', (error) => {
      clearTimeout(timer);
      reject(error instanceof ApiError ? error : brokenAnswer(error.message, error));
    });
    sent.end(body);
    return promise;
  }

  async #refusal(status: number, body: IncomingMessage): Promise<ApiError> {
    const retryAfterMs = retryAfter(body.headers['retry-after']);
    if (status === 401) this.#access.forget();
    return refusedBy(status, await this.#statusOf(body), retryAfterMs);
  }

  async #statusOf(body: IncomingMessage): Promise<unknown> {
    try {
      const limits = { idleMs: this.limits.answerMs, maxBytes: MAX_STATUS_BYTES };
      return JSON.parse(await readText(body, limits)) as unknown;
    } catch {
      return undefined;
    }
  }
}

/** Headers and certificates come from files that anybody may have written. */
function startRequest(url: URL, options: RequestOptions): ClientRequest {
  try {
    return request(url, options);
  } catch (error) {
    throw brokenAnswer(`the credentials cannot be used: ${(error as Error).message}`, error);
  }
}

/** In seconds; a date is not used by API servers. */
function retryAfter(value: string | undefined): number | undefined {
  const seconds = Number(value ?? '');
  if (value === undefined || !Number.isFinite(seconds) || seconds < 0) return undefined;
  return Math.min(seconds * 1000, MAX_RETRY_AFTER_MS);
}
