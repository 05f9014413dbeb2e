/** In a file (so a process) of its own: root has to give up its rights to be refused anything. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { DirectorySource } from '../../../../agent/watch/directory.ts';
import type { Batch } from '../../../../agent/watch/source.ts';
import { printFileIssue } from '../../../support/file-issues.ts';

const NOBODY = 65_534;
const TIER = 'apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: NAME}\n';

test('what becomes unreadable stays in force and is reported', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'picket-watch-'));
  mkdirSync(join(dir, 'sub'));
  for (const name of ['a', 'sub/b']) {
    writeFileSync(join(dir, `${name}.yaml`), TIER.replace('NAME', name.replace('/', '-')));
  }
  chmodSync(dir, 0o755);
  if (process.getuid?.() === 0) process.seteuid?.(NOBODY);
  const setMode = (name: string, mode: number): void => {
    if (process.getuid?.() === 0) process.seteuid?.(0);
    chmodSync(join(dir, name), mode);
    if (process.getuid?.() === 0) process.seteuid?.(NOBODY);
  };
  t.teardown(() => {
    if (process.getuid?.() === 0) process.seteuid?.(0);
    rmSync(dir, { recursive: true });
  });
  const batches = new DirectorySource(dir).watch(new AbortController().signal);
  const next = async (): Promise<Batch> => {
    const { value } = await batches.next();
    if (!value) throw new Error('the watch ended');
    return value;
  };
  const issuesOf = ({ issues }: Batch): string[] =>
    issues.map((issue) => printFileIssue(issue).replace(dir, 'DIR'));

  t.is((await next()).events.length, 2);
  setMode('a.yaml', 0);
  const file = await next();
  t.deepEqual(file.events, []);
  t.deepEqual(issuesOf(file), [
    'DIR/a.yaml: error: the last good version of this file stays in force',
    'DIR/a.yaml: error: the file cannot be read: permission denied (EACCES)',
  ]);
  setMode('a.yaml', 0o644);
  t.deepEqual(await next(), { events: [], issues: [], isSynced: true });

  setMode('sub', 0);
  const directory = await next();
  t.deepEqual(directory.events, []);
  t.deepEqual(issuesOf(directory), [
    'DIR/sub: error: the directory cannot be read: permission denied (EACCES)',
  ]);
  setMode('sub', 0o755);
  t.deepEqual(await next(), { events: [], issues: [], isSynced: true });
  await batches.return();
});
