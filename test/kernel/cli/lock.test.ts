/** Two `picket run` for one namespace would undo each other's rules for ever: the second is refused, unless it only looks like one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { Bench, picket, policy, until, WEB, type Ended } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon'] as const;
const GOOD = { 'web.yaml': WEB, 'policy.yaml': policy('first') };

kernelTest(
  'run: a second one for the same namespace is refused, one for another is not',
  CAPS,
  (t) =>
    Bench.with(GOOD, async (bench) => {
      const agent = await bench.startApplied();
      const refused: Promise<Ended> = bench.start().ended;
      await Bench.with(GOOD, async (other) => {
        await other.startApplied();
      });
      const { exitCode, stdout, stderr } = await refused;
      t.is(exitCode, 1);
      t.regex(
        stderr,
        new RegExp(`another picket run \\(process ${agent.pid}\\) governs this network namespace`),
      );
      t.is(stdout, JSON.stringify({ error: stderr.replace('picket: ', '') }));

      // A successor that starts before the predecessor has ended waits for it.
      const successor = bench.start();
      await until('the successor hears of SIGHUP', () => catchesSighup(successor.pid));
      process.kill(successor.pid, 'SIGHUP');
      t.is((await agent.stop()).exitCode, 0);
      await successor.logged(/^in sync/);
    }),
);

/** Lowest bit: signal 1 (proc_pid_status(5)). */
function catchesSighup(pid: number): boolean {
  const caught = /^SigCgt:\t([\da-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return caught !== undefined && (BigInt(`0x${caught}`) & 1n) === 1n;
}

kernelTest('cleanup: says that an agent is there and puts the rules back', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const cleanup = ['cleanup', '--netns', bench.netns.path, '-o', 'json'];
    const agent = await bench.startApplied();
    const during = await picket(cleanup);
    t.regex(during.stderr, new RegExp(`^warning: picket run \\(process ${agent.pid}\\) governs`));
    t.deepEqual(JSON.parse(during.stdout), { removed: true, agent: agent.pid });
    await bench.untilPolicies('first');
    await agent.stop();
    const after = await picket(cleanup);
    t.is(after.stderr, '');
    t.deepEqual(JSON.parse(after.stdout), { removed: true });
  }),
);

/** Listens on the abstract socket argv[1], as user 65534. */
const SQUATTER = `
  process.setuid(65534);
  require('node:net').createServer().listen('\\0' + process.argv[1], () => console.log('ready'));
`;

kernelTest(
  'run: another user who takes the name of the lock does not stop it',
  [...CAPS, 'root'],
  (t) =>
    Bench.with(GOOD, async (bench) => {
      const name = `picket-run-${statSync(bench.netns.path).ino}`;
      const squatter = spawn(process.execPath, ['-e', SQUATTER, name]);
      try {
        await once(squatter.stdout, 'data');
        const agent = await bench.startApplied();
        t.regex(
          String(agent.log()[0]?.msg),
          /^process \d+ of user 65534 has the lock @picket-run-/,
        );
        t.deepEqual(await bench.policies(), ['first']);
      } finally {
        squatter.kill('SIGKILL');
      }
    }),
);
