import test from 'ava';
import {
  ConnectionSweep,
  printSweepFailure,
} from '../../../../agent/dataplane/connection-sweep.ts';
import type { SweepFailure } from '../../../../agent/dataplane/connection-sweep.ts';
import { printAddress } from '../../../../compiler/model/ip.ts';
import type { Address } from '../../../../compiler/model/ip.ts';
import { address } from '../../../support/world.ts';

interface Recorded {
  readonly sweep: ConnectionSweep;
  readonly removed: string[][];
  readonly failures: SweepFailure[];
  readonly waits: number[];
}

/** Fails as often as `failures` says. */
function record(failing: number): Recorded {
  const removed: string[][] = [];
  const failures: SweepFailure[] = [];
  const waits: number[] = [];
  let left = failing;
  const remove = (addresses: readonly Address[]): Promise<void> => {
    if (left-- > 0) return Promise.reject(new Error('no'));
    removed.push(addresses.map(printAddress));
    return Promise.resolve();
  };
  const wait = (ms: number): Promise<void> => {
    waits.push(ms);
    return Promise.resolve();
  };
  const onFailure = (failure: SweepFailure): void => void failures.push(failure);
  return { sweep: new ConnectionSweep({ remove, wait, onFailure }), removed, failures, waits };
}

test('nothing to forget costs nothing', async (t) => {
  const { sweep, removed } = record(0);
  sweep.add([]);
  await sweep.idle();
  t.deepEqual(removed, []);
});

test('what comes while a removal runs goes together in the next one', async (t) => {
  const { sweep, removed } = record(0);
  sweep.add([address('10.0.0.1')]);
  sweep.add([address('10.0.0.2')]);
  sweep.add([address('fd00::3')]);
  await sweep.idle();
  t.deepEqual(removed, [['10.0.0.1'], ['10.0.0.2', 'fd00::3']]);
  sweep.add([address('10.0.0.4')]);
  await sweep.idle();
  t.is(removed.length, 3);
});

test('a failure is told and tried again, with what came meanwhile', async (t) => {
  const { sweep, removed, failures, waits } = record(2);
  sweep.add([address('10.0.0.1')]);
  sweep.add([address('10.0.0.2')]);
  await sweep.idle();
  t.deepEqual(removed, [['10.0.0.1', '10.0.0.2']]);
  t.deepEqual(waits, [200, 1_000]);
  t.deepEqual(
    failures.map(({ retryMs }) => retryMs),
    waits,
  );
});

test('it gives up in the end, says so, and still takes the next', async (t) => {
  const { sweep, removed, failures } = record(5);
  sweep.add([address('10.0.0.1')]);
  await sweep.idle();
  t.deepEqual(removed, []);
  t.is(failures.length, 5);
  const [last] = failures.slice(-1);
  t.is(
    last && printSweepFailure(last),
    'connections of 10.0.0.1 are still tracked: no; remove them by hand: conntrack -D -s ADDRESS, and -d',
  );
  sweep.add([address('10.0.0.2')]);
  await sweep.idle();
  t.deepEqual(removed, [['10.0.0.2']]);
});
