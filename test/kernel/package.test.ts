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
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { execa } from 'execa';
import { Bench, NODE, policiesOf, policy, until, WEB } from '../support/cli.ts';
import { runInRoot, startInRoot, withDebian, type InRoot } from '../support/debian-root.ts';
import { kernelTest } from '../support/needs.ts';
import { projectPath } from '../support/tools.ts';

const BUILD = ['addon', 'packaging'] as const;
const CAPS = ['root', 'netns', ...BUILD] as const;

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

kernelTest('package: the same sources give the same bytes', BUILD, async (t) => {
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
  t.regex(stdout, / \.\/usr\/lib\/systemd\/system\/picket\.service$/m);
  t.regex(stdout, / \.\/usr\/lib\/systemd\/system\/picket-boot\.service$/m);
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

/** A clean system that believes to run systemd, with the package beside it. */
class Machine {
  readonly root: string;
  readonly bench: Bench;
  readonly #t: ExecutionContext;

  constructor(t: ExecutionContext, bench: Bench, root: string, deb: string) {
    this.#t = t;
    this.bench = bench;
    this.root = root;
    copyFileSync(deb, this.path('picket.deb'));
    mkdirSync(this.path('run/systemd/system'), { recursive: true });
    writeFileSync(this.path('usr/bin/systemctl'), SYSTEMCTL, { mode: 0o755 });
  }

  path(name: string): string {
    return join(this.root, name);
  }

  /** The one manifest, with this policy. */
  write(name: string): void {
    writeFileSync(this.path('etc/picket/policies/web.yaml'), `${WEB}---\n${policy(name)}`);
  }

  /** What a command said, which must succeed. */
  async good(...command: readonly string[]): Promise<string> {
    const { exitCode, said } = await runInRoot(this.bench.netns, this.root, command);
    this.#t.is(exitCode, 0, `${command.join(' ')}: ${said}`);
    return said;
  }

  install(): Promise<string> {
    return this.good('dpkg', '--force-unsafe-io', '--install', '/picket.deb');
  }

  /** What systemctl was asked for since the last time. */
  units(): string {
    const log = this.path('systemctl.log');
    const said = existsSync(log) ? readFileSync(log, 'utf8') : '';
    rmSync(log, { force: true });
    return said;
  }
}

kernelTest(
  'package: installed, upgraded under enforcement, removed, purged',
  [...CAPS, 'debian'],
  (t) =>
    Bench.with({}, (bench) =>
      withDebian(async (root) => {
        const machine = new Machine(t, bench, root, await thePackage());
        await installs(t, machine);
        await upgrades(t, machine);
        await upgradesUnderAgent(t, machine);
        await removes(t, machine);
      }),
    ),
);

/** Installing enforces nothing and enables nothing; the first commands work. */
async function installs(t: ExecutionContext, machine: Machine): Promise<void> {
  const { bench } = machine;
  t.regex(await machine.install(), /enforces nothing yet.*\n.*picket check/);
  t.is(machine.units(), '--system daemon-reload\n');
  t.is(await bench.table(), undefined);
  await machine.good('picket', 'check');
  machine.write('web');
  t.regex(await machine.good('picket', 'apply', '--node', NODE), /^applied: 1 endpoint/);
  t.deepEqual(policiesOf(await bench.table()), ['web']);
  await machine.good('picket', 'cleanup');
  t.is(await bench.table(), undefined);
}

/** Nothing in the kernel is touched, nothing that the administrator wrote is lost, and the service is restarted where it runs. */
async function upgrades(t: ExecutionContext, machine: Machine): Promise<void> {
  const { bench } = machine;
  await machine.good('picket', 'apply', '--node', NODE);
  const before = [await bench.generation(), await bench.table()];
  const config = machine.path('etc/picket/picket.yaml');
  const mine = `${readFileSync(config, 'utf8')}node: mine\n`;
  writeFileSync(config, mine);
  t.notRegex(await machine.install(), /enforces nothing yet/);
  t.deepEqual([await bench.generation(), await bench.table()], before);
  t.is(readFileSync(config, 'utf8'), mine);
  t.regex(machine.units(), /^--system daemon-reload\n(.*\n)*.*try-restart picket\.service\n$/);
  const { said } = await runInRoot(bench.netns, machine.root, ['dpkg', '--verify', 'picket']);
  t.regex(said, /^\S+ c \/etc\/picket\/picket\.yaml$/);
}

/** Until it is restarted the old agent works on, its files replaced below it. */
async function upgradesUnderAgent(t: ExecutionContext, machine: Machine): Promise<void> {
  const { bench } = machine;
  const agent = startInRoot(bench.netns, machine.root, ['picket', 'run', '--node', NODE]);
  try {
    machine.write('before');
    await bench.untilPolicies('before');
    await machine.install();
    machine.write('after');
    await bench.untilPolicies('after');
  } finally {
    agent.kill();
  }
  t.is((await agent).exitCode, 0);
  t.deepEqual(policiesOf(await bench.table()), ['after'], 'stopping leaves the rules');
}

/** No process has the system as its root. */
function isIdle({ root }: Machine): boolean {
  return readdirSync('/proc').every((pid) => {
    try {
      return !/^\d+$/.test(pid) || readlinkSync(`/proc/${pid}/root`) !== root;
    } catch {
      return true;
    }
  });
}

/** Removal ends enforcement and says so; the configuration stays until the purge, which leaves nothing. */
async function removes(t: ExecutionContext, machine: Machine): Promise<void> {
  machine.units();
  machine.write('unconfirmed');
  await machine.good('picket', 'apply', '--node', NODE, '--confirm', '1h');
  t.false(isIdle(machine), 'somebody waits for the confirmation');
  const said = await machine.good('dpkg', '--remove', 'picket');
  t.regex(said, /removed table inet picket\npicket: from now on nothing/);
  await until('nobody is left to bring rules back', () => isIdle(machine));
  t.is(await machine.bench.table(), undefined);
  const asked = machine.units();
  t.regex(asked, /stop picket\.service picket-boot\.service\n--quiet disable picket\.service/);
  t.true(existsSync(machine.path('etc/picket/policies/web.yaml')));
  t.false(existsSync(machine.path('usr/lib/picket')));

  mkdirSync(machine.path('var/lib/picket'), { recursive: true });
  writeFileSync(machine.path('var/lib/picket/state'), 'x');
  await machine.good('dpkg', '--purge', 'picket');
  rmSync(machine.path('picket.deb'));
  const find = ['find', '/', '-path', '/proc', '-prune', '-o', '-name', '*picket*', '-print'];
  t.is(await machine.good(...find), '');
}
