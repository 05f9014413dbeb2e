import test from 'ava';
import type { FlowRecord } from '../../../../agent/flowlog/record.ts';
import { FlowRing } from '../../../../agent/flowlog/ring.ts';

const record = (count: number): FlowRecord => ({ count }) as FlowRecord;
const counts = (records: readonly FlowRecord[]): number[] => records.map(({ count }) => count);

function fill(ring: FlowRing, from: number, to: number): void {
  for (let count = from; count <= to; count++) ring.add(record(count));
}

test('the newest records, oldest first', (t) => {
  const ring = new FlowRing(3);
  fill(ring, 1, 2);
  t.deepEqual(counts(ring.newest()), [1, 2]);
  fill(ring, 3, 10);
  t.deepEqual(counts(ring.newest()), [8, 9, 10]);
});

test('a reader gets what comes after it began, and is woken once for a batch', (t) => {
  const ring = new FlowRing(10);
  fill(ring, 1, 3);
  let wakes = 0;
  const reader = ring.follow(10, () => wakes++);
  fill(ring, 4, 6);
  t.is(wakes, 1);
  const { lost, records } = reader.take();
  t.deepEqual([lost, counts(records)], [0, [4, 5, 6]]);
  fill(ring, 7, 7);
  t.is(wakes, 2);
});

test('a reader that does not read loses its own records only, and is told', (t) => {
  const ring = new FlowRing(100);
  const slow = ring.follow(4, () => undefined);
  const quick = ring.follow(4, () => undefined);
  const seen: number[] = [];
  for (let count = 1; count <= 50; count++) {
    ring.add(record(count));
    seen.push(...counts(quick.take().records));
  }
  t.is(seen.length, 50);
  const { lost, records } = slow.take();
  t.deepEqual([lost, counts(records)], [46, [47, 48, 49, 50]]);
  t.deepEqual(slow.take(), { lost: 0, records: [] });
});

test('who has left gets nothing more', (t) => {
  const ring = new FlowRing(10);
  const reader = ring.follow(10, () => undefined);
  ring.leave(reader);
  fill(ring, 1, 1);
  t.deepEqual(reader.take().records, []);
  t.is(ring.readers, 0);
});
