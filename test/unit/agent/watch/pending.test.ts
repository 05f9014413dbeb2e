import test from 'ava';
import { MAX_PENDING_PATHS, Pending } from '../../../../agent/watch/pending.ts';

test('marks are coalesced, and taken once', (t) => {
  const pending = new Pending();
  for (const path of ['a', 'b', 'a']) pending.markPath(path);
  t.is(pending.marks, 3);
  t.deepEqual(pending.take(), { everything: false, paths: new Set(['a', 'b']) });
  t.deepEqual(pending.take(), { everything: false, paths: new Set<string>() });
});

test('too many paths become one look at everything', (t) => {
  const pending = new Pending();
  for (let n = 0; n < 10 * MAX_PENDING_PATHS; n += 1) pending.markPath(`f${n}`);
  t.deepEqual(pending.take(), { everything: true, paths: new Set<string>() });
});

test('everything includes later paths', (t) => {
  const pending = new Pending();
  pending.markPath('a');
  pending.markEverything();
  pending.markPath('b');
  t.deepEqual(pending.take(), { everything: true, paths: new Set<string>() });
});

test('waiting ends with a mark, before or after, and with abort', async (t) => {
  const pending = new Pending();
  const controller = new AbortController();
  const first = pending.wait(controller.signal);
  pending.markPath('a');
  await first;
  await pending.wait(controller.signal);
  pending.take();
  const second = pending.wait(controller.signal);
  controller.abort();
  await second;
  await pending.wait(controller.signal);
  t.pass();
});
