/**
 * The same tests again with the addon built with the address and undefined-behaviour sanitizers, and the datagram walker alone
 * against random bytes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { kernelTest } from '../../support/needs.ts';
import { projectPath } from '../../support/tools.ts';

const COMPILER = process.env['CC'] ?? 'cc';
const ASAN_OPTIONS = 'detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=1';

const FUZZ_FLAGS = [
  '-std=c11',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-O1',
  '-g',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=undefined',
];

async function runtimeLibrary(): Promise<string> {
  return (await execa(COMPILER, ['-print-file-name=libasan.so'])).stdout;
}

kernelTest(
  'every native test passes under the sanitizers',
  ['addon', 'asan', 'netns'],
  async (t) => {
    t.timeout(900_000);
    await execa(process.execPath, [projectPath('scripts/build-native.ts'), '--sanitize']);
    const files = ['exchange', 'reader', 'unix-datagram'].map(
      (name) => `test/kernel/native/${name}.test.ts`,
    );
    const result = await execa(process.execPath, [projectPath('node_modules/.bin/ava'), ...files], {
      cwd: projectPath('.'),
      all: true,
      reject: false,
      env: {
        PICKET_TEST_ADDON: projectPath('build/picket.asan.node'),
        LD_PRELOAD: await runtimeLibrary(),
        ASAN_OPTIONS,
        UBSAN_OPTIONS: 'print_stacktrace=1',
        AVA_FORCE_CI: 'not-ci',
      },
    });
    t.is(result.exitCode, 0, result.all);
    t.false(/AddressSanitizer|runtime error:/.test(result.all), result.all);
  },
);

kernelTest('the datagram walker stays inside hostile datagrams', ['asan'], async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'picket-fuzz-'));
  try {
    const binary = join(folder, 'nlmsg-fuzz');
    const sources = ['test/tools/nlmsg-fuzz.c', 'agent/native/nlmsg.c'].map(projectPath);
    const include = `-I${projectPath('agent/native')}`;
    await execa(COMPILER, [...FUZZ_FLAGS, include, ...sources, '-o', binary]);
    const { stdout } = await execa(binary);
    t.regex(stdout, /^walked \d+ messages, refused \d+ datagrams$/);
    const [walked, refused] = (stdout.match(/\d+/g) ?? []).map(Number);
    t.true((walked ?? 0) > 100_000, stdout);
    t.true((refused ?? 0) > 100_000, stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
