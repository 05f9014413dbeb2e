/**
 * Every command around a change, ended ahead of each of its steps: the rules are those before or those after, nothing that nobody confirmed
 * stays, nothing that was confirmed goes, and the next command works.
 */
import type { ExecutionContext } from 'ava';
import { readLastGood } from '../../../agent/state/last-good.ts';
import { until } from '../../support/cli.ts';
import { CrashHost, makeWorld } from '../../support/crash-world.ts';
import type { World } from '../../support/crash-world.ts';
import type { Kill } from '../../support/packaged.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'nft', 'addon'] as const;

/** Hosts at the same time: guards sleep for most of it. */
const AT_ONCE = 6;

interface Crash {
  /** What ended, as it is told where something is wrong. */
  readonly at: string;
  readonly crash: CrashHost;
  readonly world: World;
  readonly t: ExecutionContext;
}

interface Scenario {
  readonly name: string;
  /** Whose process is ended. */
  readonly command: string;
  readonly signal?: NodeJS.Signals;
  /** Steps that have to be among those that were counted, so that nothing is missed. */
  readonly among: readonly RegExp[];
  readonly prepare: (crash: CrashHost, world: World) => Promise<void>;
  readonly args: (crash: CrashHost) => readonly string[];
  /** Whether the rules may be these right after. */
  readonly states: readonly string[];
  /** Ended or not. */
  readonly check: (crash: Crash) => Promise<void>;
}

const netns = ({ host }: CrashHost): readonly string[] => ['--netns', host.bench.netns.path];
const manifests = ({ host }: CrashHost): readonly string[] => host.bench.options();

const SCENARIOS: readonly Scenario[] = [
  ...(['SIGKILL', 'SIGTERM'] as const).map((signal): Scenario => ({
    name: 'apply --confirm',
    command: 'apply',
    signal,
    among: [/^link .* pending$/, /^spawn/, /^rename .* pending$/, /^exchange/, /^write undone in/],
    prepare: (crash, world) => crash.quiet(world),
    args: (crash) => ['apply', ...manifests(crash), '--confirm', '1s'],
    states: ['before', 'after'],
    async check({ t, at, crash, world }) {
      const { host } = crash;
      // Not changed by then: its deadline is one of a guard that has time to start.
      const isChanged = (await crash.state(world)) === 'after';
      if (!isChanged && host.pending() !== undefined) await crash.say('confirm', '--undo');
      await until(`${at}: undone`, async () => (await crash.state(world)) === 'before');
      await host.untilDecided();
      if (signal === 'SIGTERM') await worksOn({ t, at, crash, world });
    },
  })),
  {
    name: 'confirm',
    command: 'confirm',
    among: [/^rename pending confirmed$/, /^rename state\S* state$/, /^write confirmed/],
    prepare: (crash, world) => crash.waiting(world),
    args: (crash) => ['confirm', ...netns(crash)],
    states: ['after'],
    async check({ t, at, crash, world }) {
      const isDone = !(await crash.files()).some((name) => /^(pending|confirmed)$/.test(name));
      const again = await crash.say('confirm');
      t.is(again.exitCode, isDone ? 1 : 0, `${at}: ${again.stderr}`);
      t.is(await crash.state(world), 'after', at);
      await crash.restart();
      t.is((await crash.say('boot')).exitCode, 0, at);
      t.is(await crash.state(world), 'after', `${at}: what was confirmed is what boots`);
    },
  },
  {
    name: 'confirm --undo',
    command: 'confirm',
    among: [/^rename pending undoing$/, /^exchange/, /^rename undone\S* undone.json$/],
    prepare: (crash, world) => crash.waiting(world),
    args: (crash) => ['confirm', '--undo', ...netns(crash)],
    states: ['before', 'after'],
    async check({ t, at, crash, world }) {
      await crash.say('confirm', '--undo');
      t.is(await crash.state(world), 'before', at);
      const late = await crash.say('confirm');
      t.is(late.exitCode, 1, at);
      t.regex(late.stderr, /the last change was undone at/, at);
      t.is(await crash.state(world), 'before', at);
    },
  },
  {
    name: 'the rollback of the guard',
    command: 'guard',
    among: [/^write ready/, /^rename pending undoing$/, /^exchange/, /^rm undoing$/],
    prepare: (crash, world) => crash.waiting(world, 0),
    args: guardArgs,
    states: ['before', 'after'],
    async check({ t, at, crash, world }) {
      if ((await crash.state(world)) === 'after') {
        const { stdout } = await crash.say('status');
        t.regex(stdout, /\*\*\* NOT CONFIRMED/, at);
      }
      const late = await crash.say('confirm');
      t.is(late.exitCode, 1, at);
      t.regex(late.stderr, /nobody confirmed it in time/, at);
      t.is(await crash.state(world), 'before', at);
    },
  },
  {
    name: 'boot',
    command: 'boot',
    among: [/^exchange/, /^rename origin/],
    prepare: async (crash, world) => {
      await crash.quiet(world);
      await crash.restart();
    },
    args: (crash) => ['boot', ...netns(crash)],
    states: ['none', 'before'],
    async check({ t, at, crash, world }) {
      t.is((await crash.say('boot')).exitCode, 0, at);
      t.is(await crash.state(world), 'before', at);
    },
  },
  {
    name: 'panic-open',
    command: 'panic-open',
    among: [/^openSync panic-open/, /^exchange/, /^rm pending$/],
    prepare: (crash, world) => crash.waiting(world),
    args: (crash) => ['panic-open', ...netns(crash)],
    states: ['none', 'after'],
    async check({ t, at, crash, world }) {
      const wasMarked = /OPEN: /.test((await crash.say('status')).stdout);
      if ((await crash.state(world)) === 'none') t.true(wasMarked, `${at}: open is told`);
      t.is(
        (await crash.say(...(wasMarked ? ['panic-open', '--undo'] : ['panic-open']))).exitCode,
        0,
        at,
      );
      t.is(await crash.state(world), wasMarked ? 'before' : 'none', `${at}: nobody confirmed`);
    },
  },
  {
    name: 'panic-open, and the guard sees it through',
    command: 'panic-open',
    among: [/^exchange/],
    prepare: (crash, world) => crash.waiting(world, 0),
    args: (crash) => ['panic-open', ...netns(crash)],
    states: ['none', 'after'],
    async check({ t, at, crash, world }) {
      const wasMarked = /OPEN: /.test((await crash.say('status')).stdout);
      await crash.picket(...guardArgs(crash));
      t.is(await crash.state(world), wasMarked ? 'none' : 'before', `${at}: nobody is locked out`);
    },
  },
  {
    name: 'cleanup',
    command: 'cleanup',
    among: [/^exchange/, /^rm pending$/, /^rm state$/],
    prepare: (crash, world) => crash.waiting(world),
    args: (crash) => ['cleanup', ...netns(crash)],
    states: ['none', 'after'],
    async check({ t, at, crash, world }) {
      t.is((await crash.say('cleanup')).exitCode, 0, at);
      await crash.picket(...guardArgs(crash));
      t.is((await crash.say('boot')).exitCode, 0, at);
      t.is(await crash.state(world), 'none', `${at}: nothing comes back`);
      t.deepEqual(await crash.files(), [], at);
    },
  },
  {
    name: 'cleanup that was not said again, and the guard',
    command: 'cleanup',
    among: [/^exchange/],
    prepare: (crash, world) => crash.waiting(world, 0),
    args: (crash) => ['cleanup', ...netns(crash)],
    states: ['none', 'after'],
    async check({ t, at, crash, world }) {
      const waits = (await crash.files()).includes('pending');
      await crash.picket(...guardArgs(crash));
      t.is(await crash.state(world), waits ? 'before' : 'none', `${at}: nobody confirmed`);
    },
  },
  {
    name: 'panic-open --undo',
    command: 'panic-open',
    among: [/^rmSync panic-open/, /^exchange/],
    prepare: async (crash, world) => {
      await crash.quiet(world);
      await crash.say('panic-open');
    },
    args: (crash) => ['panic-open', '--undo', ...netns(crash)],
    states: ['none', 'before'],
    async check({ t, at, crash, world }) {
      const isOpen = (await crash.state(world)) === 'none';
      if (isOpen) t.regex((await crash.say('status')).stdout, /OPEN: /, `${at}: open is told`);
      t.is((await crash.say('panic-open', '--undo')).exitCode, 0, at);
      t.is(await crash.state(world), 'before', at);
    },
  },
];

function guardArgs({ host }: CrashHost): readonly string[] {
  const { PICKET_RUN_DIRECTORY: run = '', PICKET_STATE_DIRECTORY: state = '' } = host.env;
  const where = ['--run-directory', run, '--state-directory', state];
  return ['guard', '--id', 'change', ...where, '--netns', host.bench.netns.path];
}

/** Changes can be made and confirmed as ever, and what was begun and left is cleared away. */
async function worksOn({ t, at, crash, world }: Crash): Promise<void> {
  const { host } = crash;
  const applied = await crash.picket('apply', ...manifests(crash), '--confirm', '10m');
  t.is(applied.exitCode, 0, `${at}: ${applied.stderr}`);
  const confirmed = await crash.say('confirm');
  t.is(confirmed.exitCode, 0, `${at}: ${confirmed.stderr}`);
  t.is(await crash.state(world), 'after', at);
  t.true(readLastGood(host.directory('state')).ok, at);
  t.deepEqual(await crash.files(), ['origin.json'], at);
  await until('the guards have ended', () => host.guards().length === 0);
}

for (const scenario of SCENARIOS) {
  const { name, signal = 'SIGKILL' } = scenario;
  // Whoever does not hear SIGTERM ends by it as by SIGKILL: a sample, and what comes after it.
  const stride = signal === 'SIGTERM' ? 8 : 1;
  kernelTest(`${name}, ended by ${signal} ahead of its steps`, CAPS, async (t) => {
    const world = await made();
    const steps = await crashAt(t, world, scenario, Infinity);
    for (const pattern of scenario.among) {
      t.true(
        steps.some((step) => pattern.test(step)),
        `${String(pattern)}: ${steps.join('; ')}`,
      );
    }
    const left = steps.map((_, index) => index + 1).filter((at) => at % stride === 0);
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let at = left.shift(); at !== undefined; at = left.shift()) {
          await crashAt(t, world, scenario, at);
        }
      }),
    );
    t.log(`${steps.length} steps`);
  });
}

/** What the agent logs when its change was undone: the end of what is looked at. */
const UNDONE = 'UNDONE: nobody confirmed';

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  kernelTest(
    `run with a change that waits, ended by ${signal} ahead of its steps`,
    CAPS,
    async (t) => {
      const found = await made();
      const steps = await runTo(t, found, { command: 'run', at: Infinity });
      for (const pattern of [/^link .* pending$/, /^spawn/, /^rename .* pending$/, /^exchange/]) {
        t.true(
          steps.some((step) => pattern.test(step)),
          `${String(pattern)}: ${steps.join('; ')}`,
        );
      }
      const left = steps.map((_, index) => index + 1);
      const count = left.length;
      let kills = 0;
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          for (let at = left.shift(); at !== undefined; at = left.shift()) {
            // The last ones depend on who is quicker.
            if ((await runTo(t, found, { command: 'run', at, signal })).length >= at) kills++;
          }
        }),
      );
      t.true(kills > 0.7 * count, `killed ${kills} of ${count}`);
      t.log(`${steps.length} steps, ended ${kills} times`);
    },
  );
}

/** Returns the steps until it ended. */
function runTo(t: ExecutionContext, found: World, kill: Kill): Promise<readonly string[]> {
  return CrashHost.with(async (crash) => {
    const { host } = crash;
    await crash.quiet(found);
    const env = { PICKET_CONFIRM_HOST_POLICY_CHANGES: '1s' };
    const args = ['run', ...manifests(crash), '-o', 'json'];
    const ended = await crash.kill(kill, args, { env, until: UNDONE });
    const steps = ended.steps();
    const at = `run, step ${kill.at} (${steps.at(-1)})`;
    t.true(ended.wasKilled() || ended.stdout.includes(UNDONE), `${at}: ${ended.stderr}`);
    const now = await crash.state(found);
    t.true(['before', 'after'].includes(now), `${at}: ${now}`);
    // Not changed by then: its deadline is one of a guard that has time to start.
    if (now === 'before' && host.pending() !== undefined) await crash.say('confirm', '--undo');
    await until('undone', async () => (await crash.state(found)) === 'before');
    await host.untilDecided();
    await until('the guards have ended', () => host.guards().length === 0);
    return steps;
  });
}

let world: Promise<World> | undefined;

function made(): Promise<World> {
  world ??= makeWorld();
  return world;
}

/** Returns the steps until then. */
function crashAt(
  t: ExecutionContext,
  found: World,
  scenario: Scenario,
  at: number,
): Promise<readonly string[]> {
  const { name, command, signal = 'SIGKILL', prepare, args, states, check } = scenario;
  return CrashHost.with(async (crash) => {
    await prepare(crash, found);
    const ended = await crash.kill({ command, at, signal }, args(crash));
    const steps = ended.steps();
    const where = `${name}, step ${at} (${steps.at(-1)})`;
    t.is(ended.wasKilled(), Number.isFinite(at), `${where}: ${ended.stderr}`);
    t.is(ended.hears(), command === 'guard', `${where}: SIGTERM is as SIGKILL`);
    t.is(ended.signal, Number.isFinite(at) ? signal : undefined, where);
    t.true(states.includes(await crash.state(found)), `${where}: ${await crash.state(found)}`);
    await check({ t, at: where, crash, world: found });
    return steps;
  });
}
