/** `picket panic-open`: opens whatever is broken, stays open, and is undone. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { readPending } from '../../../agent/guard/pending.ts';
import { DIRECTORIES, picket, until } from '../../support/cli.ts';
import { GuardedHost, hostPolicy } from '../../support/guarded-host.ts';
import { kernelTest } from '../../support/needs.ts';
import { importing, projectPath } from '../../support/tools.ts';

const CAPS = ['netns', 'nft', 'addon'] as const;

for (const { name, args, env } of [
  { name: 'as it is', args: [], env: {} },
  { name: 'with a configuration that is not right', args: ['--config', '{dir}/bad.yaml'], env: {} },
  { name: 'with one that is not there', args: ['--config', '/nowhere/picket.yaml'], env: {} },
  {
    name: 'without the addon, by nft',
    args: [],
    env: { NODE_OPTIONS: importing(projectPath('test/support/no-addon.ts')) },
  },
]) {
  kernelTest(`opens, and what follows keeps it open: ${name}`, CAPS, (t) =>
    GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
      writeFileSync(join(host.bench.manifests, '../bad.yaml'), 'vxlanPort: [\nnonsense: 1\n');
      const words = args.map((word) => word.replace('{dir}', join(host.bench.manifests, '..')));
      t.is((await host.apply()).exitCode, 0);
      await host.bench.nft('add', 'table', 'ip', 'others');
      const opened = await host.runWith(env, 'panic-open', ...words);
      t.is(opened.exitCode, 0, opened.stderr);
      t.regex(opened.stderr, /PICKET IS OPEN/);
      t.is(await host.bench.table(), undefined);
      t.regex(await host.bench.nft('list', 'tables'), /others/);
      const refused = await host.apply();
      t.is(refused.exitCode, 1);
      t.regex(refused.stderr, /panic-open --undo/);
      t.is((await host.run('boot')).exitCode, 4);
      t.is(await host.bench.table(), undefined);
      t.is((await host.runWith(env, 'panic-open', ...words)).exitCode, 0, 'twice is fine');
    }),
  );
}

kernelTest('undone where nothing was opened: told as it is', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    t.is((await host.apply()).exitCode, 0);
    const needless = await host.run('panic-open', '--undo');
    t.regex(needless.stdout, /^it was not opened by panic-open: rules are in force$/);
    t.is((await host.run('cleanup')).exitCode, 0);
    const undone = await host.run('panic-open', '--undo');
    t.is(undone.exitCode, 1);
    t.regex(
      undone.stderr,
      /it was not opened by panic-open, and nothing is enforced: .*picket apply/,
    );
  }),
);

kernelTest('undone, the last good state is enforced at once', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    t.is((await host.apply()).exitCode, 0);
    const before = await host.ruleset();
    t.is((await host.run('panic-open')).exitCode, 0);
    host.bench.write('host.yaml', 'not: [valid');
    const undone = await host.run('panic-open', '--undo');
    t.is(undone.exitCode, 0, undone.stderr);
    t.is(await host.ruleset(), before);
    host.bench.write('host.yaml', hostPolicy('80'));
    t.is((await host.apply()).exitCode, 0);
  }),
);

kernelTest('a change that waits is forgotten: its guard puts nothing back', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    t.is((await host.apply()).exitCode, 0);
    host.bench.write('host.yaml', hostPolicy('443'));
    t.is((await host.apply('--confirm', '3s')).exitCode, 0);
    t.is((await host.run('panic-open')).exitCode, 0);
    await until('the guard has ended', () => host.guards().length === 0);
    t.is(await host.bench.table(), undefined);
  }),
);

kernelTest('an apply under way when somebody opens closes nothing again', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    const log = join(host.bench.manifests, '../steps');
    const env = {
      ...host.env,
      NODE_OPTIONS: importing(projectPath('test/support/kill-step.ts')),
      PICKET_TEST_KILL_LOG: log,
      PICKET_TEST_KILL_COMMAND: 'apply',
      PICKET_TEST_KILL_SIGNAL: 'SIGSTOP',
    };
    const apply = ['apply', ...host.bench.options()];
    t.is((await picket(apply, [], env)).exitCode, 0);
    const transaction = steps(log).indexOf('exchange') + 1;
    t.true(transaction > 0);
    host.bench.write('host.yaml', hostPolicy('443'));
    rmSync(log);
    const under = execa(projectPath('bin/picket'), apply, {
      reject: false,
      env: { ...DIRECTORIES, ...env, PICKET_TEST_KILL_AT: String(transaction) },
    });
    try {
      await until('stopped ahead of the transaction', () => steps(log).includes('killed SIGSTOP'));
      t.is((await host.run('panic-open')).exitCode, 0);
      under.kill('SIGCONT');
      const { exitCode, stderr } = await under;
      t.is(exitCode, 1);
      t.regex(stderr, /nothing applied: opened in an emergency/);
      t.is(await host.bench.table(), undefined);
    } finally {
      under.kill('SIGKILL');
      await under;
    }
  }),
);

function steps(log: string): string[] {
  return existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [];
}

kernelTest('a running agent, which has the lock, leaves it open until it is undone', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    const agent = host.bench.start(host.env);
    await agent.logged(/^in sync/);
    const before = await host.ruleset();
    t.is((await host.run('panic-open')).exitCode, 0);
    const line = await agent.logged(/^OPEN: /);
    t.is(line['why'], 'emergency');
    host.bench.write('host.yaml', hostPolicy('80, 443'));
    t.is(await host.bench.table(), undefined);
    const from = agent.log().length;
    t.is((await host.run('panic-open', '--undo')).exitCode, 0);
    await agent.logged(/^no longer held/, from);
    await until('enforced again, with what changed meanwhile', async () => {
      return (await host.bench.table()) !== undefined && (await host.ruleset()) !== before;
    });
    t.is((await agent.stop()).exitCode, 0);
  }),
);

kernelTest(
  'a full disk: state is not kept, changes cannot be guarded, an emergency opens',
  [...CAPS, 'root'],
  (t) =>
    GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
      const folders = ['run', 'state'].map((name) => join(host.bench.manifests, '..', name));
      for (const folder of folders) {
        mkdirSync(folder, { recursive: true });
        await execa('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
        fill(folder);
      }
      try {
        const applied = await host.apply();
        t.is(applied.exitCode, 0, 'a full disk stops no enforcement');
        t.regex(applied.stderr, /warning: .*not kept for the next boot.*ENOSPC/);
        const enforced = await host.ruleset();
        host.bench.write('host.yaml', hostPolicy('443'));
        const guarded = await host.apply('--confirm', '1s');
        t.is(guarded.exitCode, 1);
        t.regex(guarded.stderr, /nothing applied: .*ENOSPC/);
        t.is(await host.ruleset(), enforced);
        t.is(readPending(host.directory('run')).ok, false);
        const opened = await host.run('panic-open');
        t.is(opened.exitCode, 0, opened.stderr);
        t.is(await host.bench.table(), undefined);
        t.is((await host.apply()).exitCode, 1, 'the mark was left');
        t.is(
          (await host.run('panic-open', '--undo')).exitCode,
          1,
          'there is no state to go back to',
        );
        t.is((await host.apply()).exitCode, 0);
      } finally {
        for (const folder of folders) await execa('umount', ['--lazy', folder]);
      }
    }),
);

function fill(folder: string): void {
  mkdirSync(join(folder, 'netns'), { recursive: true });
  try {
    writeFileSync(join(folder, 'filler'), Buffer.alloc(1 << 20));
  } catch {
    if (!existsSync(join(folder, 'filler'))) throw new Error(`cannot fill ${folder}`);
  }
}
