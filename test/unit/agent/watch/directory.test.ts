import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { DirectorySource } from '../../../../agent/watch/directory.ts';
import type { Batch } from '../../../../agent/watch/source.ts';
import { printFileIssue } from '../../../support/file-issues.ts';

/** `a=1` = tier a of order 1. */
function tiers(...names: string[]): string {
  return names
    .map((text) => {
      const [name, order] = text.split('=');
      return `apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: ${name}}\nspec: {order: ${order ?? 0}}\n`;
    })
    .join('---\n');
}

/** What the batches so far add up to. */
class View {
  readonly objects = new Map<string, string>();
  /** Relative to the directory. */
  issues: string[] = [];
  batches = 0;
  events = 0;
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  take({ events, issues }: Batch): void {
    this.batches += 1;
    this.events += events.length;
    for (const event of events) {
      const name = event.key.split('/').at(-1) ?? '';
      if (event.op === 'delete') this.objects.delete(name);
      else {
        const { order } = (event.object as { spec: { order: number } }).spec;
        this.objects.set(name, `${name}=${order}`);
      }
    }
    this.issues = issues.map(printFileIssue).map((text) => text.replaceAll(this.directory, 'DIR'));
  }

  get state(): string {
    return [...this.objects.values()].sort().join(' ');
  }
}

/** Batches of a watch, one after the other. */
class Watching {
  readonly view: View;
  readonly #batches: AsyncGenerator<Batch, void, void>;
  readonly #controller = new AbortController();

  constructor(path: string, source = new DirectorySource(path)) {
    this.view = new View(path);
    this.#batches = source.watch(this.#controller.signal);
  }

  /** Takes batches until `isDone`; the timeout of ava is the limit. */
  async until(isDone: (view: View) => boolean): Promise<View> {
    do {
      const { value } = await this.#batches.next();
      if (!value) throw new Error('the watch ended');
      this.view.take(value);
    } while (!isDone(this.view));
    return this.view;
  }

  async state(expected: string): Promise<View> {
    return this.until((view) => view.state === expected);
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#batches.return();
  }
}

function directory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'picket-watch-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function watching(t: ExecutionContext, path: string): Watching {
  const opened = new Watching(path);
  t.teardown(() => opened.close());
  return opened;
}

async function load(path: string): Promise<View> {
  const view = new View(path);
  view.take(await new DirectorySource(path).load());
  return view;
}

test('reads manifests below a directory, and only those', async (t) => {
  const dir = directory(t);
  await mkdir(join(dir, 'sub/deeper'), { recursive: true });
  await mkdir(join(dir, '.git'));
  await mkdir(join(dir, 'dir.yaml'));
  await mkdir(join(dir, 'elsewhere.d'));
  const names = ['a.yaml', 'b.yml', 'sub/c.json', 'sub/deeper/d.yaml', 'dir.yaml/e.yaml'];
  const ignored = [
    'f.txt',
    '.g.yaml',
    'h.yaml~',
    '.i.yaml.swp',
    '.git/j.yaml',
    '#k.yaml#',
    'l.YAML.bak',
  ];
  for (const name of [...names, ...ignored]) {
    const letter = /([a-l])\.\w+[~#.\w]*$/i.exec(name)?.[1] ?? '';
    await writeFile(join(dir, name), tiers(letter));
  }
  await symlink('sub', join(dir, 'linked'));
  await symlink('..', join(dir, 'sub/loop'));
  await symlink('f.txt', join(dir, 'm.yaml'));
  const view = await load(dir);
  t.is(view.state, 'a=0 b=0 c=0 d=0 e=0 f=0');
  t.deepEqual(view.issues, []);
});

test('reads one file', async (t) => {
  const dir = directory(t);
  await writeFile(join(dir, 'a.manifest'), tiers('a'));
  t.is((await load(join(dir, 'a.manifest'))).state, 'a=0');
});

test('a directory that is missing is reported', async (t) => {
  const view = await load(join(directory(t), 'no'));
  t.deepEqual(view.issues, [
    'DIR: error: the directory cannot be read: no such file or directory (ENOENT)',
  ]);
});

test('a name that is no UTF-8 is reported: such a file cannot be opened', async (t) => {
  const dir = directory(t);
  const name = Buffer.concat([
    Buffer.from(join(dir, 'a')),
    Buffer.from([0xff]),
    Buffer.from('.yaml'),
  ]);
  await writeFile(name, tiers('d'));
  const view = await load(dir);
  t.deepEqual(view.issues, [
    'DIR/a\ufffd.yaml: error: the file cannot be read: its name is not valid UTF-8: rename it',
  ]);
});

test('what is no readable file is reported and does not block', async (t) => {
  const dir = directory(t);
  execFileSync('mkfifo', [join(dir, 'a.yaml')]);
  await symlink('b.yaml', join(dir, 'b.yaml'));
  await symlink('nothing', join(dir, 'c.yaml'));
  await writeFile(join(dir, 'd.yaml'), tiers('d'));
  await writeFile(join(dir, 'e.yaml'), 'kind: [\n');
  await writeFile(join(dir, 'f.yaml'), Buffer.alloc(8 * 1024 * 1024 + 1, ' '));
  const view = await load(dir);
  t.is(view.state, 'd=0');
  t.deepEqual(
    view.issues.map((text) => text.replace(/Flow sequence.*/, '...')),
    [
      'DIR/a.yaml: error: the file cannot be read: it is not a regular file',
      'DIR/b.yaml: error: the file cannot be read: too many symbolic links encountered (ELOOP)',
      'DIR/c.yaml: error: the file cannot be read: it is a link to a file that does not exist',
      'DIR/e.yaml:2:1: error: ...',
      'DIR/f.yaml: error: the file is larger than 8 MiB',
    ],
  );
});

test('files are written, replaced, moved and removed', async (t) => {
  const dir = directory(t);
  await writeFile(join(dir, 'a.yaml'), tiers('a'));
  const watch = watching(t, dir);
  await watch.state('a=0');
  await writeFile(join(dir, 'a.yaml'), tiers('a=1', 'b'));
  await watch.state('a=1 b=0');
  await writeFile(join(dir, '.a.yaml.tmp'), tiers('a=2'));
  await rename(join(dir, '.a.yaml.tmp'), join(dir, 'a.yaml'));
  await watch.state('a=2');
  await writeFile(
    join(dir, 'c.json'),
    '{"apiVersion":"v1","kind":"X","metadata":{"name":"c"},"spec":{"order":5}}',
  );
  await watch.state('a=2 c=5');
  const { events } = watch.view;
  await rename(join(dir, 'a.yaml'), join(dir, 'z.yaml'));
  await writeFile(join(dir, 'd.yaml'), tiers('d'));
  await watch.state('a=2 c=5 d=0');
  t.is(watch.view.events, events + 1);
  await unlink(join(dir, 'z.yaml'));
  await watch.state('c=5 d=0');
  t.deepEqual(watch.view.issues, []);
});

test('directories are created, moved and removed', async (t) => {
  const dir = directory(t);
  const watch = watching(t, dir);
  await watch.state('');
  await mkdir(join(dir, 'x/y'), { recursive: true });
  await writeFile(join(dir, 'x/y/a.yaml'), tiers('a'));
  await watch.state('a=0');
  await writeFile(join(dir, 'x/y/b.yaml'), tiers('b'));
  await watch.state('a=0 b=0');
  await rename(join(dir, 'x'), join(dir, 'w'));
  await writeFile(join(dir, 'c.yaml'), tiers('c'));
  await watch.state('a=0 b=0 c=0');
  await writeFile(join(dir, 'w/y/b.yaml'), tiers('b=1'));
  await watch.state('a=0 b=1 c=0');
  await rm(join(dir, 'w'), { recursive: true });
  await watch.state('c=0');
  t.deepEqual(watch.view.issues, []);
});

test('a file that turns invalid keeps its last good version', async (t) => {
  const dir = directory(t);
  await writeFile(join(dir, 'a.yaml'), tiers('a', 'b'));
  const watch = watching(t, dir);
  await watch.state('a=0 b=0');
  await writeFile(join(dir, 'a.yaml'), 'apiVersion: [');
  const { state, issues } = await watch.until((view) => view.issues.length > 0);
  t.is(state, 'a=0 b=0');
  t.is(issues[0], 'DIR/a.yaml: error: the last good version of this file stays in force');
  await writeFile(join(dir, 'a.yaml'), tiers('b=1'));
  t.deepEqual((await watch.state('b=1')).issues, []);
});

test('another watch begins with everything, last good versions included, without what has gone', async (t) => {
  const dir = directory(t);
  const path = join(dir, 'a.yaml');
  await writeFile(path, tiers('a', 'b'));
  await writeFile(join(dir, 'b.yaml'), tiers('c'));
  await writeFile(join(dir, 'c.yaml'), tiers('d'));
  const source = new DirectorySource(dir);
  const first = new Watching(dir, source);
  await first.state('a=0 b=0 c=0 d=0');
  await writeFile(path, 'apiVersion: [');
  await first.until((view) => view.issues.length > 0);
  await first.close();
  await rm(join(dir, 'b.yaml'));
  await writeFile(join(dir, 'c.yaml'), tiers('d=1'));
  const second = new Watching(dir, source);
  t.teardown(() => second.close());
  const { state, issues, batches } = await second.until(() => true);
  t.is(state, 'a=0 b=0 d=1');
  t.is(issues[0], 'DIR/a.yaml: error: the last good version of this file stays in force');
  t.is(batches, 1);
  await writeFile(path, tiers('b=1'));
  t.deepEqual((await second.state('b=1 d=1')).issues, []);
});

test('an emptied file removes its objects, a rewritten one does not', async (t) => {
  const dir = directory(t);
  await writeFile(join(dir, 'a.yaml'), tiers('a'));
  await writeFile(join(dir, 'b.yaml'), tiers('b'));
  const watch = watching(t, dir);
  await watch.state('a=0 b=0');
  await writeFile(join(dir, 'a.yaml'), '');
  await writeFile(join(dir, 'b.yaml'), '');
  await writeFile(join(dir, 'c.yaml'), tiers('c'));
  await watch.state('a=0 b=0 c=0');
  await writeFile(join(dir, 'b.yaml'), tiers('b'));
  await watch.state('b=0 c=0');
  t.pass();
});

test('the file that comes first in path order wins', async (t) => {
  const dir = directory(t);
  await writeFile(join(dir, 'b.yaml'), tiers('a=2'));
  const watch = watching(t, dir);
  await watch.state('a=2');
  await writeFile(join(dir, 'a.yaml'), tiers('a=1'));
  t.deepEqual((await watch.state('a=1')).issues, [
    'DIR/b.yaml:1:1: error: projectcalico.org/Tier//a is ignored here: it is also in DIR/a.yaml:1, which is first in path order',
  ]);
  await unlink(join(dir, 'a.yaml'));
  t.deepEqual((await watch.state('a=2')).issues, []);
});

/** As the kubelet does it: a hidden directory per version, and links through `..data`. */
async function publish(dir: string, version: string, content: string): Promise<void> {
  await mkdir(join(dir, `..${version}`));
  await writeFile(join(dir, `..${version}/a.yaml`), content);
  await symlink(`..${version}`, join(dir, '..data_tmp'));
  await rename(join(dir, '..data_tmp'), join(dir, '..data'));
}

test('a mounted ConfigMap', async (t) => {
  const dir = directory(t);
  await publish(dir, 'v1', tiers('a=1'));
  await symlink('..data/a.yaml', join(dir, 'a.yaml'));
  const watch = watching(t, dir);
  await watch.state('a=1');
  await publish(dir, 'v2', tiers('a=2'));
  await rm(join(dir, '..v1'), { recursive: true });
  await watch.state('a=2');
  await publish(dir, 'v3', tiers('a=3'));
  await watch.state('a=3');
  t.deepEqual(watch.view.issues, []);
});

test('a link to a file elsewhere', async (t) => {
  const [dir, other] = [directory(t), directory(t)];
  await writeFile(join(other, 'x'), tiers('a=1'));
  await symlink(join(other, 'x'), join(dir, 'a.yaml'));
  const watch = watching(t, dir);
  await watch.state('a=1');
  await writeFile(join(other, 'x'), tiers('a=2'));
  await watch.state('a=2');
  await writeFile(join(other, 'y'), tiers('a=3'));
  await rename(join(other, 'y'), join(other, 'x'));
  await watch.state('a=3');
  await unlink(join(other, 'x'));
  const view = await watch.until(({ issues }) => issues.length > 0);
  t.is(view.state, 'a=3');
});

test('a directory given as a link that is swapped', async (t) => {
  const dir = directory(t);
  for (const version of ['1', '2']) {
    await mkdir(join(dir, `v${version}`));
    await writeFile(join(dir, `v${version}/a.yaml`), tiers(`a=${version}`));
  }
  await symlink('v1', join(dir, 'current'));
  const watch = watching(t, join(dir, 'current'));
  await watch.state('a=1');
  await symlink('v2', join(dir, 'next'));
  await rename(join(dir, 'next'), join(dir, 'current'));
  await watch.state('a=2');
  await writeFile(join(dir, 'v2/a.yaml'), tiers('a=3'));
  await watch.state('a=3');
  t.pass();
});

test('when the directory itself goes, everything stays; when it comes back, it counts', async (t) => {
  const dir = directory(t);
  const root = join(dir, 'root');
  await mkdir(join(root, 'sub'), { recursive: true });
  await writeFile(join(root, 'sub/a.yaml'), tiers('a'));
  const watch = watching(t, root);
  await watch.state('a=0');
  await rename(root, join(dir, 'away'));
  const view = await watch.until(({ issues }) => issues.length > 0);
  t.is(view.state, 'a=0');
  t.regex(view.issues[0] ?? '', /^DIR: error: the directory cannot be read: .*ENOENT/);
  await mkdir(root);
  await writeFile(join(root, 'b.yaml'), tiers('b'));
  t.deepEqual((await watch.state('b=0')).issues, []);
});

test('a directory that does not exist yet', async (t) => {
  const root = join(directory(t), 'deep/root');
  const watch = watching(t, root);
  await watch.until(({ issues }) => issues.length === 1);
  await mkdir(root, { recursive: true });
  await writeFile(join(root, 'a.yaml'), tiers('a'));
  await watch.state('a=0');
  t.pass();
});

test('a flood of changes is few batches', async (t) => {
  const dir = directory(t);
  await writeFile(join(dir, 'hot.yaml'), tiers('hot=0'));
  const watch = watching(t, dir);
  await watch.state('hot=0');
  const { batches } = watch.view;
  const writes = 2_000;
  for (let n = 1; n <= writes; n += 1) await writeFile(join(dir, 'hot.yaml'), tiers(`hot=${n}`));
  const view = await watch.state(`hot=${writes}`);
  t.true(view.batches - batches < 100);
});

test('many files at once', async (t) => {
  const dir = directory(t);
  const watch = watching(t, dir);
  await watch.state('');
  const count = 3000;
  const names = Array.from({ length: count }, (_, n) => `n${n}`);
  await Promise.all(names.map((name) => writeFile(join(dir, `${name}.yaml`), tiers(name))));
  const view = await watch.until(({ objects }) => objects.size === count);
  t.is(view.events, count);
});

test('an aborted watch ends', async (t) => {
  const controller = new AbortController();
  const batches = new DirectorySource(directory(t)).watch(controller.signal);
  t.false((await batches.next()).done);
  const next = batches.next();
  controller.abort();
  t.true((await next).done);
});
