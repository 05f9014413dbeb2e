/** How requests to the API server fail. In: what came back, or why nothing did. Out: an `AgentError` that says what to do next. */
import { AgentError } from '../errors.ts';
import type { FaultCode } from '../errors.ts';

export interface ApiErrorDetail {
  /** HTTP status, also of a Status in a stream; `undefined` = there was no (complete) answer. */
  readonly status: number | undefined;
  /** As the server asks to wait, milliseconds. */
  readonly retryAfterMs: number | undefined;
}

export class ApiError extends AgentError<ApiErrorDetail> {}

/** No answer, or one that broke off or cannot be read. */
export function brokenAnswer(what: string, cause?: unknown): ApiError {
  const detail = { status: undefined, retryAfterMs: undefined };
  return new ApiError('ERR_API', what, detail, cause === undefined ? undefined : { cause });
}

/** The server's words are cut: they go into logs. */
const MAX_MESSAGE = 300;

/** Of a refused request, or of an ERROR event. `body` should be a Status, and need not be. */
export function refusedBy(
  status: number,
  body: unknown,
  retryAfterMs: number | undefined,
): ApiError {
  const said = isRecord(body) && typeof body['message'] === 'string' ? body['message'] : '';
  const text = said === '' ? `HTTP status ${status}` : `${status}: ${said.slice(0, MAX_MESSAGE)}`;
  const code: FaultCode = status === 410 ? 'ERR_WATCH_GONE' : 'ERR_API';
  return new ApiError(code, text, { status, retryAfterMs });
}

/** In a row: one or two happen whenever an API server restarts, refusals by one that has not read its roles yet among them. */
const MAX_UNTOLD = 2;

/** Whether people should hear of an error that came after `failures` others. At the start what somebody has to change is told at once. */
export function isWorthTelling({ detail }: ApiError, failures: number, isStart: boolean): boolean {
  return failures >= MAX_UNTOLD || (isStart && [401, 403, 404].includes(detail.status ?? 0));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
