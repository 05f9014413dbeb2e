import test from 'ava';
import { BackOff, KUBE_LIMITS, REAL_TIMING } from '../../../../agent/kube/timing.ts';
import { isBefore } from '../../../../agent/kube/versions.ts';

function backOff(random: number): BackOff {
  return new BackOff(KUBE_LIMITS, { ...REAL_TIMING, random: () => random });
}

test('waiting times double up to the longest, with up to half of it added by chance', (t) => {
  const least = backOff(0);
  const times = Array.from({ length: 10 }, () => least.next());
  t.deepEqual(times, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  least.reset();
  t.is(least.next(), 200);
  t.is(backOff(1).next(), 300);
});

test('a server that asks for more patience gets it', (t) => {
  t.is(backOff(0).next(7000), 7000);
  t.is(backOff(0).next(50), 200);
});

test('versions are compared as numbers, where they are numbers', (t) => {
  t.true(isBefore('9', '10'));
  t.false(isBefore('10', '9'));
  t.false(isBefore('10', '10'));
  t.true(isBefore('99999999999999999998', '99999999999999999999'));
  t.false(isBefore('a', '10'));
  t.false(isBefore('', '10'));
});
