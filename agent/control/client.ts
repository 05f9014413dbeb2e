/** Asks the running agent over its socket. Comes in: a path; goes out: the checked answer, or why there is none. Knows no command. */
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { VERSION_HEADER } from './server.ts';

/** `not-running`: nobody listens. `permission`: the socket is not for us. `old-agent`: it does not know the question. */
export type ControlFault = 'not-running' | 'permission' | 'old-agent' | 'wrong' | 'failed';

export class ControlError extends Error {
  readonly fault: ControlFault;

  constructor(fault: ControlFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ControlError';
    this.fault = fault;
  }
}

/** Answers are bounded by the agent; this guards against something else at the socket. */
const MAX_ANSWER_BYTES = 256 << 20;

const TIMEOUT_MS = 30_000;

/** The JSON answer to GET `path`; its shape is that of the same version's agent. Throws ControlError. */
export async function askAgent(
  socketPath: string,
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
): Promise<unknown> {
  const response = await get(socketPath, path, query, TIMEOUT_MS);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) {
      throw new ControlError('failed', 'the answer of the agent is too large');
    }
    chunks.push(chunk);
  }
  return parse(Buffer.concat(chunks).toString());
}

/** Each line of an endless answer, until `signal` aborts or the agent ends it. Throws ControlError. */
export async function* followAgent(
  socketPath: string,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): AsyncGenerator {
  const response = await get(socketPath, path, query, 0);
  const lines = createInterface({ input: response });
  // A response that is destroyed without an error tells its reader nothing: the lines have to be ended too.
  const stop = (): void => {
    lines.close();
    response.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const line of lines) {
      if (line !== '') yield parse(line);
    }
  } catch (error) {
    if (!signal.aborted) {
      throw new ControlError('failed', 'the agent ended while it answered', { cause: error });
    }
  } finally {
    signal.removeEventListener('abort', stop);
    response.destroy();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new ControlError('failed', 'the answer is not JSON: is this the socket of an agent?', {
      cause: error,
    });
  }
}

/** Resolves with an answer whose status is 200. */
async function get(
  socketPath: string,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  timeoutMs: number,
): Promise<IncomingMessage> {
  const given = Object.entries(query).filter((entry): entry is [string, string] => {
    return entry[1] !== undefined;
  });
  const search = new URLSearchParams(given).toString();
  const target = search === '' ? path : `${path}?${search}`;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request({ socketPath, path: target, timeout: timeoutMs }, resolve);
    asked.once('timeout', () => asked.destroy(new Error(`no answer in ${timeoutMs / 1000} s`)));
    asked.once('error', (error: NodeJS.ErrnoException) => reject(connectError(socketPath, error)));
    asked.end();
  });
  if (response.statusCode === 200) return response;
  throw await refusal(response);
}

function connectError(socketPath: string, error: NodeJS.ErrnoException): ControlError {
  const options = { cause: error };
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTDIR') {
    const message = `no agent is running here: nobody listens at ${socketPath}`;
    return new ControlError('not-running', message, options);
  }
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    const message = `${socketPath}: permission denied; run as root, or as a member of its group`;
    return new ControlError('permission', message, options);
  }
  return new ControlError('failed', `asking the agent at ${socketPath}: ${error.message}`, options);
}

const MAX_ERROR_BYTES = 64 << 10;

async function refusal(response: IncomingMessage): Promise<ControlError> {
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > MAX_ERROR_BYTES) break;
  }
  const said = errorOf(text) ?? `HTTP status ${response.statusCode}`;
  const version = response.headers[VERSION_HEADER];
  if (response.statusCode === 404 && version !== undefined) {
    const message = `the running agent (version ${String(version)}) cannot answer this: ${said}`;
    return new ControlError('old-agent', message);
  }
  return new ControlError('wrong', said);
}

function errorOf(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}
