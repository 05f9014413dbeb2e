/**
 * Records as OTLP logs to a collector: HTTP with JSON, batches in order, back-off while it is down, a bounded queue, and everything that was
 * not accepted counted. Refuses to know what the collector does with them.
 * Source: OTLP specification 1.5.0 (OTLP/HTTP: retryable status codes, Retry-After, partial success), opentelemetry-proto v1.5.0.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BatchQueue, TroubleTeller } from './output.ts';
import type { FlowOutput, OutputTrouble } from './output.ts';
import { otlpLogs } from './otlp.ts';
import type { FlowRecord } from './record.ts';

export interface OtlpOutputOptions {
  /** Base address, as in OTEL_EXPORTER_OTLP_ENDPOINT: `/v1/logs` is appended. */
  readonly endpoint: string;
  readonly node: string;
  readonly version: string;
  readonly trouble: OutputTrouble;
  /** Waiting times between attempts; the last one repeats. Milliseconds. */
  readonly backoffMs?: readonly number[];
}

const MAX_WAITING = 20_000;
const MAX_BATCH = 500;
const TIMEOUT_MS = 10_000;
const BACKOFF_MS = [1_000, 2_000, 5_000, 10_000, 30_000];
/** No collector makes us wait longer. */
const MAX_WAIT_MS = 300_000;
/** Time for a last batch when the agent ends. */
const CLOSE_MS = 2_000;

const RETRYABLE = new Set([408, 429, 502, 503, 504]);

const MAX_ANSWER_BYTES = 64 << 10;

type Outcome =
  { readonly kind: 'accepted'; readonly rejected: number; readonly why: string } | Failure;

interface Failure {
  readonly kind: 'retry' | 'refused';
  readonly why: string;
  /** How long the collector wants to be left alone at least. */
  readonly waitMs: number;
}

export function openOtlpOutput(options: OtlpOutputOptions): FlowOutput {
  const stop = new AbortController();
  const teller = new TroubleTeller(`collector ${options.endpoint}`, options.trouble);
  const queue = new BatchQueue<FlowRecord>({
    maxItems: MAX_WAITING,
    maxBatch: MAX_BATCH,
    deliver: (batch) => deliver(options, batch, teller, stop.signal),
  });
  return {
    name: 'otlp',
    counts: queue.counts,
    write: (records) => queue.push(records),
    close: async () => {
      await Promise.race([queue.idle(), delay(CLOSE_MS)]);
      queue.drop();
      stop.abort();
      await queue.idle();
    },
  };
}

/** Tries until the collector takes the batch or refuses it for good; resolves with how many records it took. */
async function deliver(
  options: OtlpOutputOptions,
  batch: readonly FlowRecord[],
  teller: TroubleTeller,
  signal: AbortSignal,
): Promise<number> {
  const { backoffMs = BACKOFF_MS } = options;
  const body = JSON.stringify(otlpLogs(batch, options));
  for (let failures = 0; !signal.aborted; failures++) {
    const outcome = await post(options.endpoint, body, signal);
    if (outcome.kind === 'accepted') {
      if (outcome.rejected === 0) teller.succeed();
      else teller.fail(`it rejected ${outcome.rejected} of ${batch.length}: ${outcome.why}`);
      return Math.max(0, batch.length - outcome.rejected);
    }
    if (signal.aborted) return 0;
    teller.fail(outcome.why);
    if (outcome.kind === 'refused') return 0;
    const backOffMs = backoffMs[Math.min(failures, backoffMs.length - 1)] ?? 0;
    await delay(Math.max(backOffMs, outcome.waitMs), undefined, { signal }).catch(() => undefined);
  }
  return 0;
}

async function post(endpoint: string, body: string, signal: AbortSignal): Promise<Outcome> {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/logs`;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const text = await readBounded(response);
    if (response.ok) return accepted(text);
    const why = `HTTP status ${response.status}`;
    const waitMs = retryAfterMs(response.headers.get('retry-after'));
    return { kind: RETRYABLE.has(response.status) ? 'retry' : 'refused', why, waitMs };
  } catch (error) {
    const { message, cause } = error as Error;
    return { kind: 'retry', why: cause instanceof Error ? cause.message : message, waitMs: 0 };
  }
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const waitMs = /^\d{1,9}$/.test(header)
    ? Number(header) * 1_000
    : Date.parse(header) - Date.now();
  return waitMs > 0 ? Math.min(waitMs, MAX_WAIT_MS) : 0;
}

/** The answer's beginning; the rest is not fetched. */
async function readBounded(response: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > MAX_ANSWER_BYTES) break;
  }
  return text;
}

/** An answer that is no JSON is one without a partial success. */
function accepted(text: string): Outcome {
  const { rejectedLogRecords = 0, errorMessage = '' } = partialSuccess(text);
  // An int64, so JSON has it as text; some servers write a number.
  const rejected = Number(rejectedLogRecords);
  return { kind: 'accepted', rejected: rejected > 0 ? rejected : 0, why: String(errorMessage) };
}

function partialSuccess(text: string): {
  readonly rejectedLogRecords?: unknown;
  readonly errorMessage?: unknown;
} {
  try {
    const answer = JSON.parse(text) as { readonly partialSuccess?: object } | null;
    return answer?.partialSuccess ?? {};
  } catch {
    return {};
  }
}
