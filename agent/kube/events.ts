/**
 * Events on objects of the API (core/v1), where people look for what is wrong with them: `kubectl describe`, `kubectl get events`. Comes in:
 * an object, a reason, a message. Goes out: POST requests, few of them. Never holds up anybody: what cannot be sent soon is dropped, and
 * the log has it anyway. Knows nothing of policies.
 */
import { hash } from 'node:crypto';
import { ApiError } from './api-error.ts';
import { readText } from './body.ts';
import type { ApiClient } from './client.ts';
import { BackOff } from './timing.ts';
import type { KubeLimits, Timing } from './timing.ts';
import { TokenBucket } from './token-bucket.ts';

/** As `involvedObject` wants it. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty for cluster scope. */
  readonly namespace: string;
  readonly name: string;
  /** Without it `kubectl describe` does not show the event. */
  readonly uid: string | undefined;
}

export interface ObjectEvent {
  readonly object: ObjectReference;
  /** UpperCamelCase, for machines. */
  readonly reason: string;
  readonly message: string;
}

export interface EventParts {
  readonly client: ApiClient;
  readonly timing: Timing;
  readonly limits: KubeLimits;
  readonly node: string;
  /** Told once: events cannot be written, for good. */
  readonly onRefused: (message: string) => void;
}

/** Per minute, of all objects and of one; as many at once. */
const PER_MINUTE = 30;
const PER_OBJECT = 5;

/** The same event is told again after so long: by then the server has forgotten it (kube-apiserver --event-ttl, 1 h by default). */
const REPEAT_MS = 3_600_000;

/** Events that wait. More at once are not worth the server's time. */
const MAX_WAITING = 100;

/** Events and objects remembered, so that neither is told of too often. */
const MAX_REMEMBERED = 2_000;

/** Of a message; the server refuses more in its newer API, and people read less. */
const MAX_MESSAGE = 1_000;

/** The server's answer is not needed, but has to be read. */
const MAX_ANSWER_BYTES = 256 * 1024;

const MAX_ATTEMPTS = 5;

export class EventSink {
  readonly #parts: EventParts;
  readonly #all: TokenBucket;
  readonly #ofObject = new Map<string, TokenBucket>();
  /** Name of an event to when it was told last. */
  readonly #told = new Map<string, number>();
  readonly #waiting: { readonly path: string; readonly body: string }[] = [];
  #wake: (() => void) | undefined;
  #isRefused = false;
  /** Not sent: too many at once, too often, or the server did not take them. */
  dropped = 0;

  constructor(parts: EventParts) {
    this.#parts = parts;
    this.#all = new TokenBucket(PER_MINUTE, PER_MINUTE, parts.timing.now());
  }

  /** Returns at once; what was told already, or is too much, is not sent. */
  report(event: ObjectEvent): void {
    if (this.#isRefused) return;
    const nowMs = this.#parts.timing.now();
    const name = nameOf(event);
    const toldMs = this.#told.get(name);
    if (toldMs !== undefined && nowMs - toldMs < REPEAT_MS) return;
    if (this.#waiting.length >= MAX_WAITING || !this.#mayTell(event.object, nowMs)) {
      this.dropped += 1;
      return;
    }
    remember(this.#told, name, nowMs);
    // Events of objects without namespace are kept in this one (client-go, tools/record).
    const namespace = event.object.namespace === '' ? 'default' : event.object.namespace;
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
    const body = JSON.stringify(bodyOf(event, { name, namespace, nowMs, node: this.#parts.node }));
    this.#waiting.push({ path, body });
    this.#wake?.();
  }

  /** Sends until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#isRefused) {
      const next = this.#waiting[0];
      if (next === undefined) {
        await this.#wait(signal);
        continue;
      }
      const isSent = await this.#send(next.path, next.body, signal);
      if (!isSent) this.dropped += 1;
      this.#waiting.shift();
    }
  }

  #mayTell(object: ObjectReference, nowMs: number): boolean {
    const key = [object.apiVersion, object.kind, object.namespace, object.name].join('/');
    const bucket = this.#ofObject.get(key) ?? new TokenBucket(PER_OBJECT, PER_OBJECT, nowMs);
    remember(this.#ofObject, key, bucket);
    return bucket.take(nowMs) && this.#all.take(nowMs);
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = (): void => resolve();
    this.#wake = resolve;
    signal.addEventListener('abort', onAbort, { once: true });
    await promise;
    signal.removeEventListener('abort', onAbort);
    this.#wake = undefined;
  }

  /** False when it was given up. */
  async #send(path: string, body: string, signal: AbortSignal): Promise<boolean> {
    const { client, timing, limits } = this.#parts;
    const backOff = new BackOff(limits, timing);
    for (let attempt = 1; attempt <= MAX_ATTEMPTS && !signal.aborted; attempt += 1) {
      try {
        const answer = await client.post(path, body, signal);
        await readText(answer.body, { idleMs: limits.answerMs, maxBytes: MAX_ANSWER_BYTES });
        return true;
      } catch (error) {
        if (!(error instanceof ApiError)) return false;
        const { status, retryAfterMs } = error.detail;
        // Another node, or this one before it was started again, has told it.
        if (status === 409) return true;
        if (status === 403) return this.#refuse(error);
        if (status !== undefined && status < 500 && status !== 429 && status !== 401) return false;
        await timing.sleep(backOff.next(retryAfterMs), signal);
      }
    }
    return false;
  }

  #refuse({ message }: ApiError): false {
    this.#isRefused = true;
    this.#waiting.length = 0;
    this.#parts.onRefused(
      `events on objects cannot be written, they are only in this log; the RBAC rule {apiGroups: [""], resources: ["events"], verbs: ["create"]} is missing: ${message}`,
    );
    return false;
  }
}

/** The same for the same event, whichever node tells it, so that a thousand nodes write it once. */
function nameOf({ object, reason, message }: ObjectEvent): string {
  const { apiVersion, kind, uid, namespace, name } = object;
  const text = JSON.stringify([apiVersion, kind, uid, namespace, name, reason, message]);
  return `${name.slice(0, 200)}.${hash('sha256', text).slice(0, 16)}`;
}

/** EventSpec of core/v1, staging/src/k8s.io/api/core/v1/types.go (v1.34). */
function bodyOf(
  { object, reason, message }: ObjectEvent,
  {
    name,
    namespace,
    nowMs,
    node,
  }: Record<'name' | 'namespace' | 'node', string> & { nowMs: number },
): object {
  const time = new Date(nowMs).toISOString();
  // metav1.Time has no fractions of a second.
  const seconds = time.replace(/\.\d+Z$/, 'Z');
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace },
    involvedObject: { ...object, ...(object.namespace === '' ? { namespace: undefined } : {}) },
    type: 'Warning',
    reason,
    message: message.slice(0, MAX_MESSAGE),
    source: { component: 'picket', host: node },
    firstTimestamp: seconds,
    lastTimestamp: seconds,
    count: 1,
    reportingComponent: 'picket',
    reportingInstance: node,
  };
}

/** The newest ones. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_REMEMBERED && oldest !== undefined) map.delete(oldest);
}
