import test from 'ava';
import { Outbox } from '../../../../agent/kube/outbox.ts';
import type { RawEvent } from '../../../../agent/watch/event.ts';

const ORIGIN = { source: 'test', lineOf: () => undefined };
const NEVER = new AbortController().signal;

const NEVER_URGENT = (): boolean => false;

function removal(key: string): RawEvent {
  return { op: 'delete', key };
}

function put(key: string): RawEvent {
  return { op: 'put', key, object: {}, origin: ORIGIN };
}

function keys(outbox: Outbox, count: number): string {
  return outbox
    .take(count)
    .map(({ key }) => key)
    .join();
}

test('the newest event of each object, in the order of the last change', async (t) => {
  let now = 5;
  const outbox = new Outbox(100, () => now++, NEVER_URGENT);
  t.is(outbox.sinceMs, undefined);
  for (const key of ['a', 'b', 'c', 'a']) await outbox.add(removal(key));
  t.is(outbox.sinceMs, 5);
  t.is(outbox.size, 3);
  t.is(keys(outbox, 2), 'b,c');
  t.is(outbox.sinceMs, 6);
  t.is(keys(outbox, 2), 'a');
  t.is(outbox.sinceMs, undefined);
});

test('who comes to a full outbox waits until half of it is taken', async (t) => {
  const outbox = new Outbox(4, () => 0, NEVER_URGENT);
  for (const key of ['a', 'b', 'c']) await outbox.add(removal(key));
  let isThrough = false;
  const adding = outbox.add(removal('d')).then(() => (isThrough = true));
  t.is(keys(outbox, 2), 'a,b');
  await Promise.resolve();
  t.false(isThrough);
  t.is(keys(outbox, 1), 'c');
  await adding;
  t.true(isThrough);
});

test('when it is closed nobody waits, before and after', async (t) => {
  const outbox = new Outbox(1, () => 0, NEVER_URGENT);
  const adding = outbox.add(removal('a'));
  outbox.close();
  await adding;
  await outbox.add(removal('b'));
  t.is(outbox.size, 2);
});

test('a waiter is woken by an event, a touch, an abort and a failure', async (t) => {
  const outbox = new Outbox(9, () => 0, NEVER_URGENT);
  const first = outbox.wait(NEVER);
  await outbox.add(removal('a'));
  await first;
  outbox.take(9);
  const second = outbox.wait(NEVER);
  outbox.touch();
  await second;
  outbox.take(9);
  const stop = new AbortController();
  const third = outbox.wait(stop.signal);
  stop.abort();
  await third;
  const fourth = outbox.wait(NEVER);
  outbox.fail(new RangeError('ours'));
  await t.throwsAsync(fourth, { message: 'ours' });
  await t.throwsAsync(outbox.wait(NEVER), { message: 'ours' });
});

test('urgent events come first; an object waits once, as its newest event says', async (t) => {
  const outbox = new Outbox(
    9,
    () => 0,
    (event) => event.op === 'put',
  );
  await outbox.add(removal('a'));
  await outbox.add(put('b'));
  await outbox.add(removal('c'));
  await outbox.add(put('d'));
  await outbox.add(removal('b'));
  await outbox.add(put('c'));
  t.is(outbox.size, 4);
  t.is(keys(outbox, 3), 'd,c,a');
  t.is(keys(outbox, 3), 'b');
});
