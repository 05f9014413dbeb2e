import { closeSync, openSync, readSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { openStdoutOutput } from '../../../../agent/flowlog/stdout-output.ts';
import { numbered } from '../../../support/flow-records.ts';

const nobody = (): void => undefined;

test('lines for programs and for people', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'picket-stdout-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [format, line] of [
    ['json', /^\{"schema":"picket.flow\/v1"/],
    ['text', /^flow 03:04:05 DENY {2}ingress shop\/web -> shop\/db/],
  ] as const) {
    const path = join(folder, format);
    const fd = openSync(path, 'w');
    const output = openStdoutOutput({ queuedBytes: () => 0 }, format, nobody, fd);
    output.write(numbered(1, 50));
    // Closing waits half a second only.
    while (output.counts.written < 50) await delay(5);
    await output.close();
    closeSync(fd);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    t.is(lines.length, 50);
    t.regex(lines[0] ?? '', line);
    t.deepEqual(output.counts, { written: 50, lost: 0 });
  }
});

test('however long records are, most of a pipe stays free for the log', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'picket-stdout-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const fd = openSync(pipe, 'r+');
  const looks: number[] = [];
  const output = openStdoutOutput({ queuedBytes: () => looks.push(0) - 1 }, 'json', nobody, fd);
  const labels = { comment: 'x'.repeat(4_000) };
  output.write(numbered(1, 50).map((record) => ({ ...record, src: { ...record.src, labels } })));
  // Looked again: the first part is written.
  while (looks.length < 2) await delay(5);
  await output.close();
  const bytes = Buffer.alloc(1 << 16);
  const read = readSync(fd, bytes);
  t.true(read <= 16 << 10, String(read));
  const { written, lost } = output.counts;
  t.is(bytes.toString('utf8', 0, read).trimEnd().split('\n').length, written);
  t.is(written + lost, 50);
  closeSync(fd);
});

test('nothing is written before all was read; what waits at the end is lost and counted', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'picket-stdout-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const fd = openSync(pipe, 'r+');
  let unread = 0;
  const output = openStdoutOutput({ queuedBytes: () => unread }, 'json', nobody, fd);
  output.write(numbered(1, 20));
  while (output.counts.written < 20) await delay(5);
  unread = 1;
  output.write(numbered(21, 25_000));
  await output.close();
  t.deepEqual(output.counts, { written: 20, lost: 24_980 });
  const bytes = Buffer.alloc(1 << 16);
  const text = bytes.toString('utf8', 0, readSync(fd, bytes));
  t.is(text.trimEnd().split('\n').length, 20);
  closeSync(fd);
});
