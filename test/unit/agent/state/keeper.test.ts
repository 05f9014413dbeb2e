import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as tick } from 'node:timers/promises';
import test from 'ava';
import { encodeTable } from '../../../../agent/state/batch.ts';
import { StateKeeper } from '../../../../agent/state/keeper.ts';
import { readHostDigest, readLastGood } from '../../../../agent/state/last-good.ts';

const folder = mkdtempSync(join(tmpdir(), 'picket-keeper-'));
test.after.always(() => rmSync(folder, { recursive: true }));

function made(origin: string, hostDigest = 'none') {
  const header = { version: '1', node: 'n', createdMs: 0, origin };
  return { snapshot: { header, batch: encodeTable(undefined) }, hostDigest };
}

function originIn(directory: string): string | undefined {
  const read = readLastGood(directory);
  return read.ok ? read.snapshot.header.origin : undefined;
}

test('many changes are one write, of the latest', async (t) => {
  const directory = join(folder, 'many');
  let asked = 0;
  const snapshot = async () => made(`state ${++asked}`, 'digest');
  const keeper = new StateKeeper({ directory, snapshot, onFailure: t.fail, minPauseMs: 60_000 });
  for (let change = 0; change < 100; change++) keeper.changed();
  await tick();
  t.is(asked, 0, 'not at once');
  await keeper.close();
  t.is(asked, 1);
  t.is(originIn(directory), 'state 1');
  t.is(readHostDigest(directory), 'digest');
  await keeper.close();
  t.is(asked, 1, 'nothing new');
});

test('what is not good now is not kept', async (t) => {
  const directory = join(folder, 'waiting');
  const keeper = new StateKeeper({ directory, snapshot: async () => undefined, onFailure: t.fail });
  keeper.changed();
  await keeper.close();
  t.is(originIn(directory), undefined);
});

test('a disk that takes nothing is told once, and counted', async (t) => {
  const directory = join(folder, 'no-folder');
  writeFileSync(directory, '');
  const told: string[] = [];
  const keeper = new StateKeeper({
    directory,
    snapshot: async () => made('x'),
    onFailure: (message) => told.push(message),
    minPauseMs: 60_000,
  });
  for (let change = 0; change < 3; change++) {
    keeper.changed();
    await keeper.close();
  }
  t.is(told.length, 1);
  t.regex(told[0] ?? '', /EEXIST|ENOTDIR/);
  t.true(keeper.failures >= 3);
  rmSync(directory);
  keeper.changed();
  await keeper.close();
  t.is(originIn(directory), 'x', 'and goes on when there is room again');
});
