/** The directory of a change that waits becomes unusable: the rules before it come back all the same, and it is noted when that can be done. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { readUndone } from '../../../agent/guard/pending.ts';
import { until } from '../../support/cli.ts';
import { GuardedHost, hostPolicy } from '../../support/guarded-host.ts';
import { kernelTest } from '../../support/needs.ts';

kernelTest(
  'a run directory that turns read-only keeps nobody locked out',
  ['netns', 'nft', 'addon', 'root'],
  (t) =>
    GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
      const folder = join(host.bench.manifests, '../run');
      mkdirSync(folder, { recursive: true });
      await execa('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
      try {
        t.is((await host.apply()).exitCode, 0);
        const before = await host.ruleset();
        host.bench.write('host.yaml', hostPolicy('443'));
        const applied = await host.apply('--confirm', '10s');
        t.is(applied.exitCode, 0, applied.stderr);
        const id = host.pending()?.header.pending.id;
        await execa('mount', ['-o', 'remount,ro', folder]);
        t.not(await host.ruleset(), before);
        await until('the rules before', async () => (await host.ruleset()) === before);
        t.is(host.guards().length, 1, 'it goes on trying');
        t.is(host.pending()?.header.pending.id, id);
        await execa('mount', ['-o', 'remount,rw', folder]);
        await until('the guard has ended', () => host.guards().length === 0);
        t.like(readUndone(host.directory('run')), { id, why: 'deadline' });
        t.is(host.pending(), undefined);
        t.is(await host.ruleset(), before);
      } finally {
        await execa('umount', ['--lazy', folder]);
      }
    }),
);
