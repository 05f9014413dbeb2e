import { statSync } from 'node:fs';
import test from 'ava';
import { execa } from 'execa';
import { projectPath } from '../../support/tools.ts';

const SCRIPT = projectPath('scripts/build-native.ts');

test('without a C compiler it says which packages bring one', async (t) => {
  const result = await execa(process.execPath, [SCRIPT, '--sanitize'], {
    env: { CC: 'picket-no-such-compiler' },
    reject: false,
  });
  t.is(result.exitCode, 1);
  t.regex(result.stderr, /^picket-no-such-compiler: no C compiler/);
  t.regex(result.stderr, /apt-get install gcc/);
  t.regex(result.stderr, /environment variable CC/);
});

test('a compiler that fails leaves the addon as it was', async (t) => {
  const addon = projectPath('build/picket.node');
  const before = statSync(addon, { throwIfNoEntry: false })?.ino;
  const result = await execa(process.execPath, [SCRIPT], { env: { CC: 'false' }, reject: false });
  t.is(result.exitCode, 1);
  t.regex(result.stderr, /false did not compile agent\/native/);
  t.is(statSync(addon, { throwIfNoEntry: false })?.ino, before);
});
