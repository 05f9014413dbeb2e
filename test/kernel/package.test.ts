/** The Debian package as an administrator meets it: built twice alike, installed in a clean system, upgraded while rules are enforced, removed, purged. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { execa } from 'execa';
import { Bench, NODE, policiesOf, policy, WEB } from '../support/cli.ts';
import { runInRoot, withDebian, type InRoot } from '../support/debian-root.ts';
import { kernelTest } from '../support/needs.ts';
import { projectPath } from '../support/tools.ts';

const CAPS = ['root', 'netns', 'addon', 'packaging'] as const;

let folder = '';
let built: Promise<string> | undefined;

test.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'picket-package-test-'));
});
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** One package for all tests. */
function thePackage(): Promise<string> {
  built ??= buildPackage('one', {});
  return built;
}

async function buildPackage(name: string, env: Readonly<Record<string, string>>): Promise<string> {
  const out = join(folder, name);
  const script = [projectPath('scripts/package.ts'), '--out', out];
  // A time of its own: the clone that is tested need not be a git repository.
  await execa(process.execPath, script, { env: { SOURCE_DATE_EPOCH: '1700000000', ...env } });
  const [file = ''] = readdirSync(out);
  return join(out, file);
}

kernelTest('package: the same sources give the same bytes', CAPS, async (t) => {
  const before = process.umask(0o077);
  try {
    const other = buildPackage('two', { TZ: 'Pacific/Auckland', LC_ALL: 'C' });
    t.is(digest(await other), digest(await thePackage()));
  } finally {
    process.umask(before);
  }
  const { stdout } = await execa('dpkg-deb', ['--contents', await thePackage()]);
  t.regex(stdout, /^drwxr-xr-x root\/root .* \.\/etc\/picket\/policies\/$/m);
  t.regex(stdout, /^-rw-r--r-- root\/root .* \.\/usr\/share\/man\/man8\/picket\.8\.gz$/m);
  t.notRegex(stdout, /node_modules|\.ts$/m);
});

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

kernelTest('package: needs the C and C++ runtime libraries and nothing else', CAPS, (t) =>
  Bench.with({}, async ({ netns }) => {
    const { stdout: depends } = await execa('dpkg-deb', ['--field', await thePackage(), 'Depends']);
    t.regex(depends, /^libc6 \(>= 2\.\d+\), libgcc-s1, libstdc\+\+6 \(>= [\d.]+\)$/);
    const root = mkdtempSync(join(folder, 'alone-'));
    await execa('dpkg-deb', ['--extract', await thePackage(), root]);
    const node = '/usr/lib/picket/bin/node';
    for (const file of [node, '/usr/lib/picket/build/picket.node'])
      await copyLibraries(join(root, file), root);
    mkdirSync(join(root, 'etc/picket/policies'), { recursive: true });
    writeFileSync(join(root, 'etc/picket/policies/web.yaml'), WEB);
    const picket = (...args: readonly string[]): Promise<InRoot> =>
      runInRoot(netns, root, [node, '/usr/lib/picket/agent/cli/main.mjs', ...args]);
    t.regex((await picket('--version')).said, /^\d+\.\d+\.\d+$/);
    t.is((await picket('lint')).said, '2 objects: 0 errors, 0 warnings');
    const applied = await picket('apply', '--node', NODE);
    t.is(applied.exitCode, 0, applied.said);
    t.is((await picket('cleanup')).said, 'removed table inet picket');
  }),
);

/** The shared libraries that a file is linked with, and the loader. */
async function copyLibraries(file: string, root: string): Promise<void> {
  const { stdout } = await execa('ldd', [file]);
  for (const [path] of stdout.matchAll(/\/\S+(?= \(0x)/g)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(path, join(root, path));
    chmodSync(join(root, path), 0o755);
  }
}

/** Notes what it is asked for, and does nothing. */
const SYSTEMCTL = '#!/bin/sh\necho "$*" >>/systemctl.log\n';

kernelTest(
  'package: installed, upgraded under enforcement, removed, purged',
  [...CAPS, 'debian'],
  (t) => Bench.with({}, (bench) => withDebian((root) => live(t, bench, root))),
);

async function live(t: ExecutionContext, bench: Bench, root: string): Promise<void> {
  copyFileSync(await thePackage(), join(root, 'picket.deb'));
  mkdirSync(join(root, 'run/systemd/system'), { recursive: true });
  writeFileSync(join(root, 'usr/bin/systemctl'), SYSTEMCTL, { mode: 0o755 });
  const inside = (...command: readonly string[]): Promise<InRoot> =>
    runInRoot(bench.netns, root, command);
  const good = async (...command: readonly string[]): Promise<string> => {
    const { exitCode, said } = await inside(...command);
    t.is(exitCode, 0, `${command.join(' ')}: ${said}`);
    return said;
  };
  const units = (): string => {
    const log = join(root, 'systemctl.log');
    const said = existsSync(log) ? readFileSync(log, 'utf8') : '';
    rmSync(log, { force: true });
    return said;
  };
  const install = (): Promise<string> =>
    good('dpkg', '--force-unsafe-io', '--install', '/picket.deb');

  t.regex(await install(), /enforces nothing yet.*\n.*picket check/);
  t.is(units(), '--system daemon-reload\n');
  t.is(await bench.table(), undefined);
  await good('picket', 'check');

  writeFileSync(join(root, 'etc/picket/policies/web.yaml'), `${WEB}---\n${policy('web')}`);
  t.regex(await good('picket', 'apply', '--node', NODE), /^applied: 1 endpoint/);
  t.deepEqual(policiesOf(await bench.table()), ['web']);
  await good('picket', 'cleanup');
  t.is(await bench.table(), undefined);

  await good('picket', 'apply', '--node', NODE);
  const [generation, table] = [await bench.generation(), await bench.table()];
  const config = join(root, 'etc/picket/picket.yaml');
  const mine = `${readFileSync(config, 'utf8')}node: mine\n`;
  writeFileSync(config, mine);
  t.notRegex(await install(), /enforces nothing yet/);
  t.is(await bench.generation(), generation);
  t.deepEqual(await bench.table(), table);
  t.is(readFileSync(config, 'utf8'), mine);
  t.regex(units(), /^--system daemon-reload\n(.*\n)*.*try-restart picket\.service\n$/);
  t.regex((await inside('dpkg', '--verify', 'picket')).said, /^\S+ c \/etc\/picket\/picket\.yaml$/);

  t.regex(
    await good('dpkg', '--remove', 'picket'),
    /removed table inet picket\npicket: from now on nothing/,
  );
  t.is(await bench.table(), undefined);
  t.regex(units(), /stop picket\.service picket-boot\.service\n--quiet disable picket\.service/);
  t.true(existsSync(config));
  t.false(existsSync(join(root, 'usr/lib/picket')));

  mkdirSync(join(root, 'var/lib/picket'));
  await good('dpkg', '--purge', 'picket');
  rmSync(join(root, 'picket.deb'));
  t.is(
    await good('find', '/', '-path', '/proc', '-prune', '-o', '-name', '*picket*', '-print'),
    '',
  );
}
