/**
 * What can go wrong between an API server and its client, as a table. A test adds faults for a kind of request; each is used up by one
 * request. Goes out: a reply whose bytes are spoilt accordingly.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type Fault =
  /** Refused with a Status. */
  | {
      readonly kind: 'status';
      readonly code: number;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Nothing is ever answered. */
  | { readonly kind: 'hang' }
  /** The connection is reset instead of an answer. */
  | { readonly kind: 'reset' }
  /** The connection is reset after so many bytes of the answer. */
  | { readonly kind: 'tear'; readonly afterBytes: number }
  /** Every byte comes as a chunk of its own, which also splits characters. */
  | { readonly kind: 'chop' }
  /** A few bytes at a time. */
  | { readonly kind: 'drip'; readonly bytes: number; readonly everyMs: number }
  /** This comes first. */
  | { readonly kind: 'garbage'; readonly text: string }
  /** Status 200, then silence, as on a connection whose other end is gone. */
  | { readonly kind: 'mute' };

export interface FaultTarget {
  readonly verb: 'list' | 'watch' | 'discovery' | 'create' | 'any';
  /** Plural name; every resource when left out. */
  readonly plural?: string;
}

export class Faults {
  readonly #waiting: { readonly target: FaultTarget; readonly fault: Fault }[] = [];

  /** For the next `times` matching requests. */
  add(target: FaultTarget, fault: Fault, times = 1): void {
    for (let i = 0; i < times; i += 1) this.#waiting.push({ target, fault });
  }

  /** Faults that no request has met. */
  get left(): number {
    return this.#waiting.length;
  }

  take(verb: FaultTarget['verb'], plural: string): Fault | undefined {
    const index = this.#waiting.findIndex(
      ({ target }) =>
        (target.verb === verb || target.verb === 'any') &&
        (target.plural === undefined || target.plural === plural),
    );
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0]?.fault;
  }
}

/** Writes an answer, honestly or not. */
export class Reply {
  readonly #response: ServerResponse;
  readonly #fault: Fault | undefined;
  #sentBytes = 0;
  #queue: Promise<void> = Promise.resolve();

  constructor(response: ServerResponse, fault: Fault | undefined) {
    this.#response = response;
    this.#fault = fault;
    if (fault?.kind === 'garbage') this.write(fault.text);
  }

  get isOpen(): boolean {
    return !this.#response.writableEnded && !this.#response.destroyed;
  }

  write(text: string): void {
    if (!this.isOpen || this.#fault?.kind === 'mute') return;
    const bytes = Buffer.from(text);
    if (this.#fault?.kind === 'tear') this.#tear(bytes, this.#fault.afterBytes);
    else if (this.#fault?.kind === 'chop') this.#pieces(bytes, 1, 0);
    else if (this.#fault?.kind === 'drip')
      this.#pieces(bytes, this.#fault.bytes, this.#fault.everyMs);
    else this.#response.write(bytes);
  }

  end(): void {
    if (this.#fault?.kind === 'mute') return;
    void this.#queue.then(() => this.#response.end());
  }

  #tear(bytes: Buffer, limit: number): void {
    const left = limit - this.#sentBytes;
    this.#sentBytes += bytes.length;
    if (left > bytes.length) {
      this.#response.write(bytes);
      return;
    }
    this.#response.write(bytes.subarray(0, Math.max(left, 0)), () => {
      reset(this.#response.socket);
    });
  }

  #pieces(bytes: Buffer, size: number, everyMs: number): void {
    const before = this.#queue;
    const send = async (): Promise<void> => {
      await before;
      for (let at = 0; at < bytes.length && this.isOpen; at += size) {
        this.#response.write(bytes.subarray(at, at + size));
        if (everyMs > 0) await delay(everyMs);
      }
    };
    this.#queue = send();
  }
}

export function reset(socket: Socket | null): void {
  socket?.destroy();
}
