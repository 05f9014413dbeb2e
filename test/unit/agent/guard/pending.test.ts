import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import {
  asPending,
  claimToSettle,
  claimToUndo,
  isPending,
  noteUndone,
  putPending,
  readPending,
  readUndoing,
  readUndone,
} from '../../../../agent/guard/pending.ts';
import type { PendingSnapshot } from '../../../../agent/guard/pending.ts';
import { encodeTable } from '../../../../agent/state/batch.ts';

const TRIED = { host: 'h', policy: 'p' };

function change(id: string): PendingSnapshot {
  const pending = { id, bootId: 'b', deadlineMs: 1, scope: 'all', tried: TRIED } as const;
  const header = { version: '1', node: 'n', createdMs: 0, origin: 'test', pending };
  return { header, batch: encodeTable(undefined) };
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'picket-pending-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('one change waits at a time', (t) =>
  inFolder(async (folder) => {
    t.false(isPending(folder));
    t.is(readPending(folder).ok, false);
    const puts = await Promise.all(['a', 'b', 'c'].map((id) => putPending(folder, change(id))));
    t.is(puts.filter(Boolean).length, 1);
    t.deepEqual(readdirSync(folder), ['pending'], 'nothing half-written is left');
  }));

test('whoever claims first decides, and only of the change that it means', (t) =>
  inFolder(async (folder) => {
    await putPending(folder, change('a'));
    t.false(await claimToUndo(folder, 'another'));
    t.is(asPending(readPending(folder))?.header.pending.id, 'a', 'it waits on');
    const claims = await Promise.all([
      claimToSettle(folder, 'a'),
      claimToUndo(folder, 'a'),
      claimToSettle(folder, 'a'),
      claimToUndo(folder, 'a'),
    ]);
    t.is(claims.filter(Boolean).length, 1);
    t.false(isPending(folder));
  }));

test('what is being undone keeps others waiting, until it is undone', (t) =>
  inFolder(async (folder) => {
    await putPending(folder, change('a'));
    t.true(await claimToUndo(folder, 'a'));
    t.false(await putPending(folder, change('b')));
    t.is(readUndoing(folder)?.header.pending.id, 'a');
    const undone = { id: 'a', atMs: 5, why: 'deadline', scope: 'all', tried: TRIED } as const;
    await noteUndone(folder, { ...undone, origin: 'test' });
    t.deepEqual(readUndone(folder), { ...undone, origin: 'test' });
    t.true(await putPending(folder, change('b')));
  }));

for (const { name, text } of [
  { name: 'no JSON', text: '{' },
  { name: 'a list', text: '[]' },
  { name: 'no digests', text: '{"id":"a","atMs":1,"why":"asked","scope":"all","origin":""}' },
  { name: 'an unknown reason', text: '{"id":"a","atMs":1,"why":"x","scope":"all","origin":""}' },
]) {
  test(`what is not a record of an undoing is none: ${name}`, (t) =>
    inFolder((folder) => {
      writeFileSync(join(folder, 'undone.json'), text, { mode: 0o600 });
      t.is(readUndone(folder), undefined);
      return Promise.resolve();
    }));
}
