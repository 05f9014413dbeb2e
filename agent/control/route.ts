/** What a server of the agent can be asked, and the forms of its answers. Knows no socket. */

export interface ControlRequest {
  readonly query: URLSearchParams;
  /** Parsed JSON; `undefined` without a body. Unchecked. */
  readonly body: unknown;
}

/** One reader of an endless answer. */
export interface LineSink {
  /**
   * Queues one JSON line. False: the reader is too slow, its queue is full and the line is lost; it is told how many were, as a line
   * `{"lost": N}`, as soon as it reads again.
   */
  send(value: unknown): boolean;
  /** Ends the answer after what is queued. */
  end(): void;
  /** Aborts when the reader is gone, or the server closes. */
  readonly signal: AbortSignal;
}

export type Reply =
  | { readonly kind: 'json'; readonly status?: number; readonly body: unknown }
  | {
      readonly kind: 'text';
      readonly status?: number;
      readonly contentType?: string;
      readonly body: string;
    }
  /** One JSON line each, made and sent a few at a time, as fast as the reader reads: for answers too long to make at once. */
  | { readonly kind: 'rows'; readonly rows: Iterable<unknown> }
  /** Lines of JSON until `end`, or until the reader goes. `follow` must return at once. */
  | { readonly kind: 'lines'; readonly follow: (lines: LineSink) => void };

/** Handlers run in the agent's event loop: they must be quick, and what they answer bounded. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** `/v1/status`; without a query. */
  readonly path: string;
  readonly handle: (request: ControlRequest) => Reply | Promise<Reply>;
}

export function json(body: unknown, status = 200): Reply {
  return { kind: 'json', status, body };
}

/** The request cannot be answered as it was asked; `error` says why, for people. */
export function wrongRequest(error: string, status = 400): Reply {
  return { kind: 'json', status, body: { error } };
}
