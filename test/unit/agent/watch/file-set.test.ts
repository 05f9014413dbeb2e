import test from 'ava';
import { FileSet } from '../../../../agent/watch/file-set.ts';
import { printFileIssue } from '../../../support/file-issues.ts';

/** One Tier per name; `=order` optional: `a=1`. */
function tiers(...names: string[]): Uint8Array {
  const documents = names.map((text) => {
    const [name, order] = text.split('=');
    return `apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: ${name}}\nspec: {order: ${order ?? 0}}\n`;
  });
  return Buffer.from(documents.join('---\n'));
}

/** `+a=1` or `-a`. */
function drain(files: FileSet): string[] {
  return files.takeEvents().map((event) => {
    const name = event.key.split('/').at(-1) ?? '';
    if (event.op === 'delete') return `-${name}`;
    const { order } = (event.object as { spec: { order: number } }).spec;
    return `+${name}=${order} ${event.origin.source}:${event.origin.lineOf(['spec'])}`;
  });
}

test('objects come, change and go with their file', (t) => {
  const files = new FileSet();
  files.put('x.yaml', tiers('b', 'a'));
  t.deepEqual(drain(files), ['+a=0 x.yaml:9', '+b=0 x.yaml:4']);
  files.put('x.yaml', tiers('b', 'a=1', 'c'));
  t.deepEqual(drain(files), ['+a=1 x.yaml:9', '+c=0 x.yaml:14']);
  files.put('x.yaml', tiers('a=1', 'c'));
  t.deepEqual(drain(files), ['-b']);
  files.remove('x.yaml');
  t.deepEqual(drain(files), ['-a', '-c']);
  files.remove('x.yaml');
  t.deepEqual(drain(files), []);
  t.deepEqual(files.issues(), []);
});

test('events keep pointing at the right line and file', (t) => {
  const files = new FileSet();
  files.put('x.yaml', tiers('a', 'b'));
  const event = files.takeEvents()[1];
  const origin = event?.op === 'put' ? event.origin : undefined;
  t.is(origin?.lineOf(['spec']), 9);
  files.put('x.yaml', tiers('b'));
  t.is(origin?.lineOf(['spec']), 4);
  files.put('y.yaml', tiers('a', 'b'));
  files.remove('x.yaml');
  t.deepEqual(drain(files), []);
  t.is(origin?.source, 'y.yaml');
  t.is(origin?.lineOf(['spec']), 9);
});

test('a file that turns invalid keeps its last good version', (t) => {
  const files = new FileSet();
  files.put('x.yaml', tiers('a', 'b'));
  drain(files);
  for (const text of ['kind: [', 'kind: Tier\n', '\0']) {
    files.put('x.yaml', Buffer.concat([tiers('a=7'), Buffer.from('---\n'), Buffer.from(text)]));
    t.deepEqual(drain(files), []);
    const [held, reason] = files.issues().map(printFileIssue);
    t.is(held, 'x.yaml: error: the last good version of this file stays in force');
    t.regex(reason ?? '', /^x\.yaml:?.*: error: /);
  }
  files.refuse('x.yaml', 'permission denied');
  t.deepEqual(drain(files), []);
  t.is(files.issues().length, 2);
  files.put('x.yaml', tiers('a=1'));
  t.deepEqual(drain(files), ['+a=1 x.yaml:4', '-b']);
  t.deepEqual(files.issues(), []);
});

test('an invalid file without a good version gives what can be read', (t) => {
  const files = new FileSet();
  files.put('x.yaml', Buffer.concat([tiers('a'), Buffer.from('---\nkind: Tier\n')]));
  files.put('y.yaml', Buffer.concat([tiers('b'), Buffer.from('---\nkind: [\n')]));
  t.deepEqual(drain(files), ['+a=0 x.yaml:4']);
  t.is(files.issues().length, 2);
  files.put('y.yaml', tiers('b'));
  files.put('x.yaml', Buffer.from('kind: ['));
  t.deepEqual(drain(files), ['+b=0 y.yaml:4']);
  t.is(files.issues().length, 1);
  files.put('x.yaml', tiers('c'));
  t.deepEqual(drain(files), ['-a', '+c=0 x.yaml:4']);
  t.deepEqual(files.issues(), []);
});

function loses(file: string, line: number): string {
  const reason = 'it is also in a.yaml:1, which is first in path order';
  return `${file}:${line}:1: error: projectcalico.org/Tier//a is ignored here: ${reason}`;
}

test('the first file in path order wins, whoever came first', (t) => {
  const files = new FileSet();
  files.put('b.yaml', tiers('a=2'));
  t.deepEqual(drain(files), ['+a=2 b.yaml:4']);
  files.put('c.yaml', tiers('x', 'a=3'));
  t.deepEqual(drain(files), ['+x=0 c.yaml:4']);
  files.put('a.yaml', tiers('a=1'));
  t.deepEqual(drain(files), ['+a=1 a.yaml:4']);
  t.deepEqual(files.issues().map(printFileIssue), [loses('b.yaml', 1), loses('c.yaml', 6)]);
  files.put('c.yaml', tiers('x', 'a=4'));
  t.deepEqual(drain(files), []);
  files.remove('a.yaml');
  t.deepEqual(drain(files), ['+a=2 b.yaml:4']);
  files.put('b.yaml', tiers());
  t.deepEqual(drain(files), ['+a=4 c.yaml:9']);
  t.deepEqual(files.issues(), []);
  files.remove('c.yaml');
  t.deepEqual(drain(files), ['-a', '-x']);
});

test('of two objects with one key in one file the first wins', (t) => {
  const files = new FileSet();
  files.put('x.yaml', tiers('a=1', 'a=2'));
  t.deepEqual(drain(files), ['+a=1 x.yaml:4']);
  t.deepEqual(files.issues().map(printFileIssue), [
    'x.yaml:6:1: error: projectcalico.org/Tier//a is ignored here: it is already in line 1',
  ]);
});

test('a renamed file is no change', (t) => {
  const files = new FileSet();
  files.put('x.yaml', tiers('a', 'b'));
  drain(files);
  files.remove('x.yaml');
  files.put('y.yaml', tiers('a', 'b'));
  t.deepEqual(drain(files), []);
});
