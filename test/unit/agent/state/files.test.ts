import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { directoryOf, distrust, readTrusted, writeDurably } from '../../../../agent/state/files.ts';

const FILE = constants.S_IFREG | 0o600;

for (const { name, in: stat, out } of [
  { name: 'one of root', in: { uid: 0, mode: FILE, size: 10 }, out: undefined },
  { name: 'one that all may read', in: { uid: 0, mode: FILE | 0o44, size: 10 }, out: undefined },
  { name: 'of somebody else', in: { uid: 64_321, mode: FILE, size: 1 }, out: 'owner' },
  {
    name: 'for its group to write',
    in: { uid: 0, mode: FILE | 0o20, size: 1 },
    out: 'permissions',
  },
  { name: 'for all to write', in: { uid: 0, mode: FILE | 0o02, size: 1 }, out: 'permissions' },
  { name: 'too large', in: { uid: 0, mode: FILE, size: 101 }, out: 'too-large' },
  { name: 'a folder', in: { uid: 0, mode: constants.S_IFDIR | 0o700, size: 1 }, out: 'no-file' },
]) {
  test(`whom to trust: ${name}`, (t) => {
    const reason: string | undefined = distrust(stat, 100)?.[0];
    t.is(reason, out);
  });
}

const folder = mkdtempSync(join(tmpdir(), 'picket-files-'));
test.after.always(() => rmSync(folder, { recursive: true }));

for (const { name, make, out } of [
  { name: 'missing', make: () => undefined, out: 'missing' },
  { name: 'folder', make: (path: string) => mkdirSync(path), out: 'no-file' },
  { name: 'link', make: (path: string) => symlinkSync('/etc/passwd', path), out: 'no-file' },
  {
    name: 'inside-a-file/x',
    make: () => writeFileSync(join(folder, 'inside-a-file'), ''),
    out: 'missing',
  },
  {
    name: 'writable',
    make: (path: string) => {
      writeFileSync(path, 'x');
      chmodSync(path, 0o666);
    },
    out: 'permissions',
  },
]) {
  test(`reading has a named reason: ${name}`, (t) => {
    const path = join(folder, name);
    make(path);
    const read = readTrusted(path, 100);
    t.is(read.ok ? 'ok' : read.reason, out);
  });
}

test('what is written durably is there whole, and nothing beside it', async (t) => {
  const path = join(folder, 'deep/er/file');
  await writeDurably(path, [Buffer.from('one, '), Buffer.from('two')]);
  await writeDurably(path, [Buffer.from('three')]);
  const read = readTrusted(path, 100);
  t.is(read.ok ? Buffer.from(read.bytes).toString() : read.reason, 'three');
  t.deepEqual(readdirSync(join(folder, 'deep/er')), ['file']);
});

test('a write that fails leaves what was there', async (t) => {
  const path = join(folder, 'busy');
  mkdirSync(join(path, 'sub'), { recursive: true });
  await t.throwsAsync(writeDurably(path, [Buffer.from('x')]));
  t.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('busy')),
    ['busy'],
  );
});

test('what a killed process left unfinished goes with the next write', async (t) => {
  const path = join(folder, 'left', 'state');
  await writeDurably(path, []);
  writeFileSync(`${path}.4194304.1.new`, 'half');
  await writeDurably(path, []);
  t.deepEqual(readdirSync(join(folder, 'left')), ['state']);
});

test('each namespace has files of its own', (t) => {
  t.is(directoryOf('/run/picket', ''), '/run/picket');
  t.is(directoryOf('/run/picket', '/run/netns/a'), '/run/picket/netns/%2Frun%2Fnetns%2Fa');
});
