/**
 * What the agent answers about flows. Comes in: queries with filters. Goes out: the records kept, and those to come, one JSON line each.
 *
 *   GET /v1/flows?last=N&since=MS&pod=…          {record} per line, oldest first, then {"end": 5, "next": 17}
 *   GET /v1/flows/follow?next=17&pod=…           {record} per line, {"lost": N} where the reader was too slow
 */
import { setImmediate as turn } from 'node:timers/promises';
import { wrongRequest } from '../control/route.ts';
import type { ControlRequest, LineSink, Reply, Route } from '../control/route.ts';
import { FILTER_NAMES, readFilter } from './filter.ts';
import type { FlowRecord } from './record.ts';
import type { FlowRing } from './ring.ts';

export const FLOWS_PATH = '/v1/flows';
export const FOLLOW_PATH = '/v1/flows/follow';

/** Records looked at in one turn of the event loop. */
const RECORDS_A_TURN = 5_000;

/** The last row at FLOWS_PATH; an answer without it is not complete. */
export interface FlowsEnd {
  /** Records before it. */
  readonly end: number;
  /** Where to follow from so that none is missing and none comes twice. */
  readonly next: number;
}

/** A row at FLOWS_PATH, as an agent of this version makes them. */
export type FlowsRow = FlowRecord | FlowsEnd;

export function isFlowsEnd(row: FlowsRow): row is FlowsEnd {
  return 'end' in row;
}

export function flowRoutes(ring: FlowRing): readonly Route[] {
  return [
    { method: 'GET', path: FLOWS_PATH, handle: (request) => answerFlows(ring, request) },
    { method: 'GET', path: FOLLOW_PATH, handle: (request) => followFlows(ring, request) },
  ];
}

async function answerFlows(ring: FlowRing, { query }: ControlRequest): Promise<Reply> {
  const filter = filterOf(query);
  if ('wrong' in filter) return wrongRequest(filter.wrong);
  const since = numberOf(query, 'since') ?? 0;
  const last = numberOf(query, 'last') ?? Number.MAX_SAFE_INTEGER;
  if (Number.isNaN(since) || Number.isNaN(last)) return wrongRequest('since and last are numbers');
  const { next } = ring;
  const isWanted = (record: FlowRecord): boolean =>
    filter.test(record) && Date.parse(record.lastTs) >= since;
  const records = await findLast(ring.newest(), isWanted, last);
  return { kind: 'rows', rows: [...records, { end: records.length, next } satisfies FlowsEnd] };
}

/** The last `count` that are wanted, in their order; a few at a time, as there may be a million. */
async function findLast(
  records: readonly FlowRecord[],
  isWanted: (record: FlowRecord) => boolean,
  count: number,
): Promise<FlowRecord[]> {
  const found: FlowRecord[] = [];
  for (let end = records.length; end > 0 && found.length < count; end -= RECORDS_A_TURN) {
    if (end < records.length) await turn();
    const some = records.slice(Math.max(0, end - RECORDS_A_TURN), end).filter(isWanted);
    for (const record of some.toReversed()) found.push(record);
  }
  return found.slice(0, count).toReversed();
}

function followFlows(ring: FlowRing, { query }: ControlRequest): Reply {
  const filter = filterOf(query);
  if ('wrong' in filter) return wrongRequest(filter.wrong);
  const next = numberOf(query, 'next') ?? ring.next;
  if (Number.isNaN(next)) return wrongRequest('next is a number');
  return {
    kind: 'lines',
    follow: (lines) => {
      const send = (record: FlowRecord): void => sendIf(filter.test, lines, record);
      for (const record of ring.newest(next)) send(record);
      const leave = ring.follow(send);
      lines.signal.addEventListener('abort', leave, { once: true });
    },
  };
}

function sendIf(test: (record: FlowRecord) => boolean, lines: LineSink, record: FlowRecord): void {
  if (test(record)) lines.send(record);
}

function filterOf(query: URLSearchParams): ReturnType<typeof readFilter> {
  const words = FILTER_NAMES.map((name) => [name, query.get(name) ?? undefined] as const);
  return readFilter(Object.fromEntries(words));
}

/** `undefined` = not said, NaN = no number. */
function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}
