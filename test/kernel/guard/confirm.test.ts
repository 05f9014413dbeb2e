/** `picket apply --confirm`: what nobody confirms is undone, to exactly the rules before, whoever is killed meanwhile. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { monotonicMs } from '../../../agent/guard/clock.ts';
import { readUndone } from '../../../agent/guard/pending.ts';
import { readLastGood } from '../../../agent/state/last-good.ts';
import { readEnforcedOrigin } from '../../../agent/state/origin.ts';
import { picket, until } from '../../support/cli.ts';
import { receiveDatagrams } from '../../support/datagrams.ts';
import { GuardedHost, hostPolicy } from '../../support/guarded-host.ts';
import { kernelTest } from '../../support/needs.ts';
import { importing, projectPath } from '../../support/tools.ts';

const CAPS = ['netns', 'nft', 'addon'] as const;

const TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000;

/** Long enough that nothing is undone while a test looks. */
const LONG = ['--confirm', '10m'] as const;
const SHORT = ['--confirm', '1s'] as const;
/** Long enough for a slow machine to look once before it is undone. */
const SOON = ['--confirm', '10s'] as const;

kernelTest('confirmed in time, the change stays and is what the next boot loads', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    t.is((await host.apply()).exitCode, 0);
    const before = await host.ruleset();
    host.bench.write('host.yaml', hostPolicy('80, 443'));
    const applied = await host.apply(...LONG);
    t.is(applied.exitCode, 0, applied.stderr);
    t.regex(applied.stdout, /undone in \d+ s.*picket confirm/);
    const after = await host.ruleset();
    t.not(after, before);
    t.is(host.guards().length, 1);
    const kept = readLastGood(host.directory('state'));

    const confirmed = await host.run('confirm');
    t.is(confirmed.exitCode, 0, confirmed.stderr);
    t.is(await host.ruleset(), after);
    t.is(host.pending(), undefined);
    await until('the guard has ended', () => host.guards().length === 0);
    t.is(await host.ruleset(), after);
    const now = readLastGood(host.directory('state'));
    t.true(kept.ok && now.ok);
    t.notDeepEqual(now, kept, 'not kept before it was confirmed');
    t.is(readEnforcedOrigin(host.directory('run'))?.source, 'apply');
    t.is((await host.run('confirm')).exitCode, 1, 'nothing is left to confirm');
  }),
);

for (const { name, first } of [
  { name: 'rules before', first: hostPolicy('80') },
  { name: 'no table before', first: undefined },
]) {
  for (const shiftMs of first === undefined ? [0] : [0, TEN_YEARS_MS, -TEN_YEARS_MS]) {
    const clock =
      shiftMs === 0 ? '' : `, the clock ${shiftMs > 0 ? 'ahead' : 'behind'} by ten years`;
    kernelTest(`not confirmed, it is undone exactly: ${name}${clock}`, CAPS, (t) =>
      GuardedHost.with({ 'host.yaml': first ?? hostPolicy('80') }, async (host) => {
        if (first !== undefined) t.is((await host.apply()).exitCode, 0);
        const before = await host.ruleset();
        const dump = await host.bench.table();
        host.bench.write('host.yaml', hostPolicy('443', '10.0.0.0/8, 192.0.2.1/32'));
        const env = clockEnv(shiftMs);
        const applied = await host.runWith(
          env,
          'apply',
          ...host.bench.options().slice(0, 4),
          ...SHORT,
        );
        t.is(applied.exitCode, 0, applied.stderr);
        await host.untilDecided();
        t.is(await host.ruleset(), before);
        t.deepEqual(sortedDump(await host.bench.table()), sortedDump(dump));
        const late = await host.run('confirm');
        t.is(late.exitCode, 1);
        t.regex(late.stderr, /undone at .*nobody confirmed it in time/);
        t.is(readEnforcedOrigin(host.directory('run'))?.source, 'rollback');
      }),
    );
  }
}

function clockEnv(shiftMs: number): Record<string, string> {
  return {
    NODE_OPTIONS: importing(projectPath('test/support/shift-clock.ts')),
    PICKET_TEST_CLOCK_SHIFT_MS: String(shiftMs),
  };
}

type Dump = Awaited<ReturnType<GuardedHost['bench']['table']>>;

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function sortedDump(table: Dump): unknown {
  if (table === undefined) return undefined;
  return {
    chains: sorted(table.chains),
    sets: sorted(table.sets),
    counters: sorted(table.counters),
    elements: sorted(table.elements).map(([name, elements]) => [name, sorted(elements)]),
  };
}

kernelTest('undone at once when asked', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    const before = await host.ruleset();
    t.is((await host.apply(...LONG)).exitCode, 0);
    t.not(await host.ruleset(), before);
    t.is((await host.run('confirm', '--undo')).exitCode, 0);
    t.is(await host.ruleset(), before);
    await until('the guard has ended', () => host.guards().length === 0);
  }),
);

kernelTest(
  'a key that is misspelled since keeps nobody from confirming, or from the status',
  CAPS,
  (t) =>
    GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
      t.is((await host.apply(...LONG)).exitCode, 0);
      const config = join(host.bench.manifests, '../picket.yaml');
      writeFileSync(config, 'denyActoin: Reject\n');
      const status = await host.run('status', '--config', config);
      t.is(status.exitCode, 1);
      t.regex(status.stdout, /^\*\*\* NOT CONFIRMED: /);
      t.regex(status.stdout, /rules: {2}those of the last change \(apply by .*\), not confirmed/);
      const confirmed = await host.run('confirm', '--config', config);
      t.is(confirmed.exitCode, 0, confirmed.stderr);
      for (const { stderr } of [status, confirmed]) {
        t.regex(
          stderr,
          /^warning: .*picket\.yaml:1: denyActoin: unknown key; did you mean "denyAction"/,
        );
      }
      t.is(host.pending(), undefined);
    }),
);

kernelTest('whoever may not is told so, in one line', [...CAPS, 'root'], (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    t.is((await host.apply(...LONG)).exitCode, 0);
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const where = ['--netns', host.bench.netns.path];
    await chmod(join(host.bench.manifests, '..'), 0o755);
    const refused = await picket(['confirm', ...where], nobody, host.env);
    t.is(refused.exitCode, 1);
    t.regex(refused.stderr, /^picket: EACCES: permission denied, .*; run as root$/);
    t.not(host.pending(), undefined);
  }),
);

kernelTest("a change that is undone is told in the system's log", [...CAPS, 'root', 'cc'], (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    const folder = join(host.bench.manifests, '..');
    const log = await receiveDatagrams(join(folder, 'dev-log'));
    try {
      const { env, bench } = host;
      const applied = await picket(
        ['apply', ...bench.options(), ...SHORT],
        ['unshare', '--mount', 'sh', '-ec', OWN_DEV_LOG, folder],
        env,
      );
      t.is(applied.exitCode, 0, applied.stderr);
      await until('the log hears of it', () => log.received.length > 0);
      t.regex(
        log.received[0]?.text ?? '',
        /^<27>picket\[\d+\]: UNDONE: nobody confirmed the last change \(apply by uid 0 on .*\) in time; the rules before it are in force again$/,
      );
      t.is(await bench.table(), undefined);
      await until('the guard has ended', () => host.guards().length === 0);
      t.is(log.received.length, 1);
    } finally {
      await log.close();
    }
  }),
);

/** The machine's own log is left alone: /dev with nothing but what Node.js wants and /dev/log, a link as systemd makes it. $0 is the folder. */
const OWN_DEV_LOG = `
mkdir "$0/dev"
mount --rbind /dev "$0/dev"
mount -t tmpfs tmpfs /dev
for name in null urandom random; do
  : > /dev/$name
  mount --bind "$0/dev/$name" /dev/$name
done
ln -s "$0/dev-log" /dev/log
exec "$@"`;

kernelTest('while a change waits no other is made', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    t.is((await host.apply(...LONG)).exitCode, 0);
    const during = await host.ruleset();
    host.bench.write('host.yaml', hostPolicy('443'));
    for (const args of [[], LONG]) {
      const refused = await host.apply(...args);
      t.is(refused.exitCode, 1);
      t.regex(refused.stderr, /waits for its confirmation, \d+ s more.*picket confirm/);
    }
    t.is(await host.ruleset(), during);
    t.is(host.guards().length, 1);
  }),
);

kernelTest('what changes nothing need not be confirmed', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    t.is((await host.apply()).exitCode, 0);
    const again = await host.apply(...LONG);
    t.regex(again.stdout, /^unchanged.*\nnothing waits for picket confirm$/);
    t.is(host.pending(), undefined);
    await until('the guard has ended', () => host.guards().length === 0);
  }),
);

for (const args of [['confirm'], ['apply'], ['confirm', '--undo']] as const) {
  kernelTest(
    `kill -9 of the guard confirms nothing: picket ${args.join(' ')} undoes it later`,
    CAPS,
    (t) =>
      GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
        t.is((await host.apply()).exitCode, 0);
        const before = await host.ruleset();
        host.bench.write('host.yaml', hostPolicy('443'));
        t.is((await host.apply(...SHORT)).exitCode, 0);
        host.killGuards();
        const change = host.pending();
        // It may have been quicker than we are.
        if (change !== undefined) {
          t.not(await host.ruleset(), before);
          await delay(Math.max(0, change.header.pending.deadlineMs - monotonicMs()) + 1);
        }
        host.bench.write('host.yaml', hostPolicy('80'));
        const ended = args[0] === 'apply' ? await host.apply() : await host.run(...args);
        t.is(ended.exitCode, args[0] === 'apply' ? 0 : 1, ended.stderr);
        t.is(await host.ruleset(), before);
        await host.untilDecided();
      }),
  );
}

kernelTest('SIGTERM, SIGHUP and SIGINT do not end the guard', CAPS, (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    const before = await host.ruleset();
    t.is((await host.apply(...SOON)).exitCode, 0);
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
      host.signalGuards(signal);
    }
    await host.untilDecided();
    t.is(await host.ruleset(), before);
  }),
);

for (const { name, args, out } of [
  // The clock that suspends do not stop, and the wall clock's namespace twin, play no part.
  { name: 'CLOCK_MONOTONIC', args: ['--monotonic', '36000'], out: 1 },
  { name: 'CLOCK_BOOTTIME', args: ['--boottime', '36000'], out: 0 },
]) {
  kernelTest(
    `the deadline is one of CLOCK_MONOTONIC: ${name} ten hours later`,
    [...CAPS, 'root'],
    async (t) =>
      GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
        t.is((await host.apply(...LONG)).exitCode, 0);
        const command = [projectPath('bin/picket'), 'confirm', '--netns', host.bench.netns.path];
        const words = ['--time', ...args, '--fork', '--', ...command];
        const ended = await execa('unshare', words, { env: host.env, reject: false });
        t.is(ended.exitCode, out, ended.stderr);
      }),
  );
}

kernelTest('a disk that is full by then keeps nobody from undoing', [...CAPS, 'root'], (t) =>
  GuardedHost.with({ 'host.yaml': hostPolicy('80') }, async (host) => {
    const folder = join(host.bench.manifests, '..', 'run');
    mkdirSync(folder, { recursive: true });
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder]);
    try {
      t.is((await host.apply()).exitCode, 0);
      const before = await host.ruleset();
      host.bench.write('host.yaml', hostPolicy('443'));
      const applied = await host.apply(...SOON);
      t.is(applied.exitCode, 0, applied.stderr);
      const id = host.pending()?.header.pending.id;
      await execa('dd', ['if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=4k'], {
        reject: false,
      });
      await host.untilDecided();
      t.is(await host.ruleset(), before);
      t.is(readUndone(host.directory('run'))?.id, id, 'an undone change is not a confirmed one');
    } finally {
      await execa('umount', ['--lazy', folder]);
    }
  }),
);
