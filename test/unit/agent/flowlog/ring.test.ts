import test from 'ava';
import type { FlowRecord } from '../../../../agent/flowlog/record.ts';
import { FlowRing } from '../../../../agent/flowlog/ring.ts';

const counts = (records: readonly FlowRecord[]): number[] => records.map(({ count }) => count);

function fill(ring: FlowRing, from: number, to: number): void {
  for (let count = from; count <= to; count++) ring.add({ count } as FlowRecord);
}

test('the newest records, oldest first', (t) => {
  const ring = new FlowRing(3);
  fill(ring, 1, 2);
  t.deepEqual(counts(ring.newest()), [1, 2]);
  fill(ring, 3, 10);
  t.deepEqual(counts(ring.newest()), [8, 9, 10]);
});

test('a listener gets what comes until it leaves', (t) => {
  const ring = new FlowRing(10);
  fill(ring, 1, 3);
  const seen: FlowRecord[] = [];
  const leave = ring.follow((record) => seen.push(record));
  fill(ring, 4, 6);
  leave();
  fill(ring, 7, 7);
  t.deepEqual(counts(seen), [4, 5, 6]);
  t.is(ring.listeners, 0);
});

test('records from a number on, for who has seen those before', (t) => {
  const ring = new FlowRing(3);
  fill(ring, 0, 5);
  t.is(ring.next, 6);
  t.deepEqual(counts(ring.newest(5)), [5]);
  t.deepEqual(counts(ring.newest(6)), []);
  t.deepEqual(counts(ring.newest(1)), [3, 4, 5]);
});

const SIZES = [
  { name: 'smaller', capacity: 2, kept: [4, 5], later: [6, 7] },
  { name: 'none', capacity: 0, kept: [], later: [] },
  { name: 'larger', capacity: 5, kept: [3, 4, 5], later: [3, 4, 5, 6, 7] },
];

for (const { name, capacity, kept, later } of SIZES) {
  test(`resized: ${name}`, (t) => {
    const ring = new FlowRing(3);
    fill(ring, 0, 5);
    ring.resize(capacity);
    t.deepEqual(counts(ring.newest()), kept);
    fill(ring, 6, 7);
    t.deepEqual(counts(ring.newest()), later);
    t.is(ring.next, 8);
    t.deepEqual(counts(ring.newest(7)), later.slice(-1));
  });
}

test('without room nothing is kept, and whoever follows hears of it', (t) => {
  const ring = new FlowRing(0);
  const seen: FlowRecord[] = [];
  ring.follow((record) => seen.push(record));
  fill(ring, 1, 3);
  t.deepEqual(counts(ring.newest()), []);
  t.deepEqual(counts(seen), [1, 2, 3]);
  t.is(ring.next, 3);
});
