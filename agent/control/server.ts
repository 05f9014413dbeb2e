/**
 * The agent's HTTP servers: a table of routes over a unix socket or loopback TCP. Comes in: routes. Goes out: answers, within bounds of
 * clients, body, time and queue, so that no client can stall or fill the agent. Refuses to know what is asked.
 */
import { once } from 'node:events';
import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import { dirname } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import type { Log } from '../obs/log.ts';
import { setImmediate as turn } from 'node:timers/promises';
import { openLineStream } from './line-stream.ts';
import { wrongRequest } from './route.ts';
import type { Reply, Route } from './route.ts';

/** A response header: the version of the agent that answers. */
export const VERSION_HEADER = 'picket-version';

const MAX_CLIENTS = 64;
const MAX_BODY_BYTES = 64 << 10;
/** A request must have come, and an answer must move, within these, milliseconds. */
const REQUEST_MS = 10_000;
const IDLE_MS = 30_000;

/** `sun_path` has 108 bytes with NUL. */
const MAX_PATH_BYTES = 107;

/** Only root and the group of the directory may connect. */
const SOCKET_UMASK = 0o117;

export interface ControlServer {
  /** Ends every answer and forgets the socket. */
  close(): Promise<void>;
}

/**
 * Listens at `path`, mode 0660; its directory is made when missing, mode 0750. Whoever calls has the lock of the network namespace, so a
 * socket that is there was left by an agent that is gone. Throws where it cannot listen.
 */
export async function openControlServer(
  path: string,
  routes: readonly Route[],
  log: Log,
): Promise<ControlServer> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new Error(
      `the path of the socket is longer than ${MAX_PATH_BYTES} bytes: choose another runDirectory`,
    );
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  removeStale(path);
  return open({ path }, routes, log);
}

/** Listens on TCP; what is served there must be harmless to tell. Throws where it cannot listen. */
export function openTcpServer(
  address: { readonly host: string; readonly port: number },
  routes: readonly Route[],
  log: Log,
): Promise<ControlServer> {
  return open(address, routes, log);
}

function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} is there and is no socket: it is not replaced`);
  unlinkSync(path);
}

async function open(
  where: ListenOptions,
  routes: readonly Route[],
  log: Log,
): Promise<ControlServer> {
  const closing = new AbortController();
  const server = createServer(
    { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, keepAliveTimeout: 1_000 },
    (request, response) => {
      void respond(routes, request, response, closing.signal).catch((error: unknown) => {
        // A client that is gone, or a handler that is wrong: neither is a reason to stop enforcing.
        log.error({ url: request.url, error: String(error) }, 'request not answered');
        response.destroy();
      });
    },
  );
  server.maxConnections = MAX_CLIENTS;
  server.timeout = IDLE_MS;
  await listen(server, where);
  server.on('error', (error) => log.warn({ error: error.message }, 'control server'));
  server.unref();
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        closing.abort();
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 500).unref();
      }),
  };
}

function listen(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket is made inside `listen`, so it never has another mode.
    const umask = process.umask(SOCKET_UMASK);
    try {
      server.listen(where, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

async function respond(
  routes: readonly Route[],
  request: IncomingMessage,
  response: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  response.setHeader(VERSION_HEADER, manifest.version);
  await send(await answer(routes, request), response, closing);
}

async function answer(routes: readonly Route[], request: IncomingMessage): Promise<Reply> {
  const url = URL.parse(request.url ?? '', 'http://picket');
  if (url === null) return wrongRequest('the request has no path');
  const found = routes.filter(({ path }) => path === url.pathname);
  if (found.length === 0) {
    const known = routes.map(({ path }) => path).join(', ');
    return wrongRequest(`there is no ${url.pathname}; there is: ${known}`, 404);
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const route = found.find((each) => each.method === method);
  if (route === undefined) return wrongRequest(`${request.method} is not for this path`, 405);
  const body = await readBody(request);
  if ('wrong' in body) return body.wrong;
  return route.handle({ query: url.searchParams, body: body.value });
}

async function readBody(
  request: IncomingMessage,
): Promise<{ readonly value: unknown } | { readonly wrong: Reply }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      return { wrong: wrongRequest(`the body is larger than ${MAX_BODY_BYTES} bytes`, 413) };
    }
    chunks.push(chunk);
  }
  if (size === 0) return { value: undefined };
  try {
    return { value: JSON.parse(Buffer.concat(chunks).toString()) as unknown };
  } catch {
    return { wrong: wrongRequest('the body is not JSON') };
  }
}

async function send(reply: Reply, response: ServerResponse, closing: AbortSignal): Promise<void> {
  if (reply.kind === 'lines' || reply.kind === 'rows') {
    response.setHeader('content-type', 'application/x-ndjson');
  }
  if (reply.kind === 'rows') return sendRows(reply.rows, response);
  if (reply.kind === 'lines') {
    // Between two lines as much time may pass as it takes.
    response.socket?.setTimeout(0);
    reply.follow(openLineStream(response, closing));
    return;
  }
  const isText = reply.kind === 'text';
  const body = isText ? reply.body : `${JSON.stringify(reply.body)}\n`;
  response.statusCode = reply.status ?? 200;
  const type = isText ? (reply.contentType ?? 'text/plain; charset=utf-8') : 'application/json';
  response.setHeader('content-type', type);
  // A body that nobody read to its end would be the next request.
  if (response.statusCode === 413) response.setHeader('connection', 'close');
  response.end(body);
}

/** Rows made in one turn of the event loop. */
const ROWS_A_TURN = 100;

/** A reader that stands still is cut off by the socket's timeout, which also ends this. */
async function sendRows(rows: Iterable<unknown>, response: ServerResponse): Promise<void> {
  let chunk: string[] = [];
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const flush = async (): Promise<void> => {
    const isRoomLeft = response.write(chunk.join(''));
    chunk = [];
    if (isRoomLeft) await turn();
    else await once(response, 'drain', { signal: gone.signal }).catch(() => undefined);
  };
  for (const row of rows) {
    chunk.push(`${JSON.stringify(row)}\n`);
    if (chunk.length >= ROWS_A_TURN) await flush();
    if (response.destroyed) return;
  }
  response.end(chunk.join(''));
}
