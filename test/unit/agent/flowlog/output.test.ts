import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { openFileOutput } from '../../../../agent/flowlog/file-output.ts';
import type { FileOutputOptions } from '../../../../agent/flowlog/file-output.ts';
import { journalEntry, openJournalOutput } from '../../../../agent/flowlog/journal-output.ts';
import { BatchQueue } from '../../../../agent/flowlog/output.ts';
import { DENIED, numbered } from '../../../support/flow-records.ts';

test('a queue keeps the order, delivers in batches and loses what does not fit', async (t) => {
  const batches: (readonly number[])[] = [];
  const queue = new BatchQueue<number>({
    maxItems: 5,
    maxBatch: 2,
    deliver: async (batch) => {
      batches.push(batch);
      await Promise.resolve();
      return batch.length;
    },
  });
  queue.push([1, 2, 3]);
  queue.push([4, 5, 6, 7, 8]);
  queue.push([]);
  await queue.idle();
  t.deepEqual(batches, [[1, 2], [3, 4], [5, 6], [7]]);
  t.deepEqual(queue.counts, { written: 7, lost: 1 });
});

test('a queue that had nothing to do goes on working', async (t) => {
  const queue = new BatchQueue<number>({
    maxItems: 1,
    maxBatch: 1,
    deliver: () => Promise.resolve(1),
  });
  queue.push([]);
  await queue.idle();
  queue.push([1]);
  await queue.idle();
  queue.push([2]);
  await queue.idle();
  t.deepEqual(queue.counts, { written: 2, lost: 0 });
});

test('what a delivery did not take is lost', async (t) => {
  const queue = new BatchQueue<number>({
    maxItems: 9,
    maxBatch: 3,
    deliver: () => Promise.resolve(1),
  });
  queue.push([1, 2, 3]);
  await queue.idle();
  t.deepEqual(queue.counts, { written: 1, lost: 2 });
});

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'picket-flows-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const troubles: string[] = [];
const options = (path: string, over: Partial<FileOutputOptions> = {}): FileOutputOptions => ({
  path,
  maxBytes: 1_000_000,
  keep: 2,
  trouble: (message) => troubles.push(message),
  ...over,
});

const countsIn = (path: string): number[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { count: number }).count);

test('a file has one record per line, and another run appends', async (t) => {
  const path = join(folder(t), 'flows.jsonl');
  for (const [first, last] of [
    [1, 3],
    [4, 4],
  ] as const) {
    const output = openFileOutput(options(path));
    output.write(numbered(first, last));
    await output.close();
    t.deepEqual(output.counts, { written: last - first + 1, lost: 0 });
  }
  t.deepEqual(countsIn(path), [1, 2, 3, 4]);
});

test('a file that is large enough is put aside, and only so many are kept', async (t) => {
  const directory = folder(t);
  const path = join(directory, 'flows.jsonl');
  for (let run = 1; run <= 5; run++) {
    const output = openFileOutput(options(path, { maxBytes: 1 }));
    output.write(numbered(run, run));
    await output.close();
    const again = openFileOutput(options(path, { maxBytes: 1 }));
    await again.close();
  }
  // One process puts the file aside when it writes the next batch.
  const output = openFileOutput(options(path, { maxBytes: 1 }));
  for (let count = 6; count <= 9; count++) {
    output.write(numbered(count, count));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await output.close();
  t.deepEqual(readdirSync(directory).toSorted(), ['flows.jsonl', 'flows.jsonl.1', 'flows.jsonl.2']);
  t.deepEqual(countsIn(path), [9]);
  t.deepEqual(countsIn(`${path}.1`), [8]);
});

test('a directory that is not there costs the records, told once, until it is there', async (t) => {
  const told: string[] = [];
  const output = openFileOutput({
    ...options(join(folder(t), 'missing', 'flows.jsonl')),
    trouble: (message) => told.push(message),
  });
  output.write(numbered(1, 2));
  output.write(numbered(3, 3));
  await output.close();
  t.deepEqual(output.counts, { written: 0, lost: 3 });
  t.is(told.length, 1);
  t.regex(told.join(), /flow log file .*missing.*ENOENT.*records are lost/);
});

const LOGROTATE = [
  { name: 'moves it', act: (path: string) => renameSync(path, `${path}-old`) },
  { name: 'removes it', act: (path: string) => rmSync(path) },
  { name: 'copies and empties it', act: (path: string) => truncateSync(path) },
];

for (const { name, act } of LOGROTATE) {
  test(`somebody else rotates the file and ${name}: what comes then is under its name`, async (t) => {
    const path = join(folder(t), 'flows.jsonl');
    const output = openFileOutput(options(path));
    output.write(numbered(1, 1));
    await waitFor(() => output.counts.written === 1);
    act(path);
    output.write(numbered(2, 3));
    await output.close();
    t.deepEqual(output.counts, { written: 3, lost: 0 });
    t.deepEqual(countsIn(path), [2, 3]);
  });
}

test('a file that cannot be put aside does not grow for ever: its records are lost, and that is told once', async (t) => {
  const path = join(folder(t), 'flows.jsonl');
  mkdirSync(`${path}.1/not-empty`, { recursive: true });
  const told: string[] = [];
  const output = openFileOutput({
    ...options(path, { maxBytes: 1, keep: 1 }),
    trouble: (message) => told.push(message),
  });
  for (let count = 1; count <= 3; count++) {
    output.write(numbered(count, count));
    await waitFor(() => output.counts.written + output.counts.lost === count);
  }
  await output.close();
  t.deepEqual(output.counts, { written: 1, lost: 2 });
  t.deepEqual(countsIn(path), [1]);
  t.is(told.length, 1);
});

async function waitFor(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** NAME=value lines; a value behind its length where it has a line break. */
function parseEntry(bytes: Uint8Array): Record<string, string> {
  const buffer = Buffer.from(bytes);
  const fields: Record<string, string> = {};
  for (let at = 0; at < buffer.length;) {
    const end = buffer.indexOf('\n', at);
    const line = buffer.toString('utf8', at, end);
    const equals = line.indexOf('=');
    if (equals >= 0) {
      fields[line.slice(0, equals)] = line.slice(equals + 1);
      at = end + 1;
    } else {
      const length = Number(buffer.readBigUInt64LE(end + 1));
      fields[line] = buffer.toString('utf8', end + 9, end + 9 + length);
      at = end + 9 + length + 1;
    }
  }
  return fields;
}

test('a journal entry has what one searches for, and the whole record', (t) => {
  const fields = parseEntry(journalEntry(DENIED));
  t.like(fields, {
    PRIORITY: '5',
    SYSLOG_IDENTIFIER: 'picket-flow',
    PICKET_VERDICT: 'deny',
    PICKET_SRC_NAMESPACE: 'shop',
    PICKET_DST_NAME: 'db',
    PICKET_DST_PORT: '5432',
    PICKET_POLICY_NAME: 'db',
    PICKET_POLICY_RULE: '0',
    PICKET_SUPPRESSED: '12',
  });
  t.regex(fields['MESSAGE'] ?? '', /DENY {2}ingress shop\/web -> shop\/db/);
  t.deepEqual(JSON.parse(fields['PICKET_RECORD'] ?? ''), DENIED as unknown);
  t.false('PICKET_IMPLICIT' in fields);
});

test('no value ends a field early or begins another one', (t) => {
  const record = { ...DENIED, node: 'n', ruleId: 'a\nPRIORITY=0\nX=1' };
  const fields = parseEntry(journalEntry(record));
  t.is(fields['PICKET_RULE_ID'], 'a\nPRIORITY=0\nX=1');
  t.is(fields['PRIORITY'], '5');
});

test('a journal that is full or away costs records, told once', async (t) => {
  const told: string[] = [];
  const answers = [0, -11, -11, -2, 0];
  const native = { sendUnixDatagram: () => answers.shift() ?? 0 };
  const output = openJournalOutput(native, (message) => told.push(message));
  output.write(numbered(1, 5));
  await output.close();
  t.deepEqual(output.counts, { written: 2, lost: 3 });
  t.deepEqual(told, [
    'flow log journald: /run/systemd/journal/socket: EAGAIN; records are lost',
    'flow log journald: works again',
  ]);
});
