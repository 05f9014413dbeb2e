import test from 'ava';
import type { LineSink } from '../../../../agent/control/route.ts';
import type { FlowRecord } from '../../../../agent/flowlog/record.ts';
import { FlowRing } from '../../../../agent/flowlog/ring.ts';
import {
  FLOWS_PATH,
  FOLLOW_PATH,
  flowRoutes,
  isFlowsEnd,
} from '../../../../agent/flowlog/routes.ts';
import type { FlowsRow } from '../../../../agent/flowlog/routes.ts';
import { DENIED, numbered } from '../../../support/flow-records.ts';

const counts = (records: readonly FlowRecord[]): number[] => records.map(({ count }) => count);

function filled(last: number): FlowRing {
  const ring = new FlowRing(100);
  for (const record of numbered(1, last)) ring.add(record);
  return ring;
}

async function ask(ring: FlowRing, path: string, query: string): Promise<unknown> {
  const route = flowRoutes(ring).find((each) => each.path === path);
  return route?.handle({ query: new URLSearchParams(query), body: undefined });
}

const lateMs = Date.parse(DENIED.lastTs);

const ROWS: readonly { query: string; out: number[] }[] = [
  { query: '', out: [1, 2, 3] },
  { query: 'last=2', out: [2, 3] },
  { query: 'last=0', out: [] },
  { query: `since=${lateMs}`, out: [1, 2, 3] },
  { query: `since=${lateMs + 1}`, out: [] },
  { query: 'pod=shop%2Fdb&last=1', out: [3] },
  { query: 'pod=bank%2Fdb', out: [] },
];

for (const { query, out } of ROWS) {
  test(`flows: ${query === '' ? 'all' : query}`, async (t) => {
    const reply = (await ask(filled(3), FLOWS_PATH, query)) as { readonly rows: FlowsRow[] };
    t.deepEqual(
      reply.rows.map((row) => (isFlowsEnd(row) ? row : row.count)),
      [...out, { end: out.length, next: 3 }],
    );
  });
}

test('looking through many records leaves the event loop to others', async (t) => {
  const ring = new FlowRing(20_000);
  for (let count = 0; count < 20_000; count++) ring.add(DENIED);
  let hasTurned = false;
  setImmediate(() => (hasTurned = true));
  await ask(ring, FLOWS_PATH, 'pod=bank%2Fdb');
  t.true(hasTurned);
});

for (const [path, query] of [
  [FLOWS_PATH, 'last=-1'],
  [FLOWS_PATH, 'since=now'],
  [FLOWS_PATH, 'verdict=maybe'],
  [FOLLOW_PATH, 'next=x'],
  [FOLLOW_PATH, 'port=http'],
] as const) {
  test(`refused: ${path}?${query}`, async (t) => {
    t.like(await ask(filled(1), path, query), { kind: 'json', status: 400 });
  });
}

test('who follows from a number misses none and sees none twice, until it goes', async (t) => {
  const ring = filled(3);
  const reply = (await ask(ring, FOLLOW_PATH, 'next=2')) as {
    readonly follow: (lines: LineSink) => void;
  };
  const gone = new AbortController();
  const seen: FlowRecord[] = [];
  reply.follow({
    send: (value) => seen.push(value as FlowRecord) > 0,
    end: () => undefined,
    signal: gone.signal,
  });
  for (const record of numbered(4, 5)) ring.add(record);
  ring.add({ ...DENIED, count: 6, verdict: 'allow' });
  gone.abort();
  for (const record of numbered(7, 7)) ring.add(record);
  t.deepEqual(counts(seen), [3, 4, 5, 6]);
  t.is(ring.listeners, 0);
});
