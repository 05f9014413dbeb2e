/** The status of an agent, its problems, and how they are said; health from the same state. */
import test from 'ava';
import { readyConditions } from '../../../../agent/control/agent-health.ts';
import { printDuration, printStatus } from '../../../../agent/control/status-print.ts';
import { readStatus } from '../../../../agent/control/status.ts';
import type { Status } from '../../../../agent/control/status.ts';
import { isPolicyInForce } from '../../../../agent/control/wait.ts';
import { fakeAgent } from '../../../support/agent-view.ts';
import type { FakeAgent } from '../../../support/agent-view.ts';
import { namespaceObject, pod, put, v3 } from '../../../support/raw-events.ts';

const WORLD = [
  namespaceObject('shop'),
  pod('shop/web', ['10.0.0.1'], { labels: { app: 'web' } }),
  v3('NetworkPolicy', 'shop/web', { selector: "app == 'web'", ingress: [{ action: 'Allow' }] }),
];

const BROKEN = v3('GlobalNetworkPolicy', 'broken', { selector: 'app == ' });

const ROWS: readonly {
  readonly name: string;
  readonly spoil: (agent: FakeAgent) => void;
  readonly state: Status['state'];
  readonly problem: RegExp | undefined;
  /** Name of the condition that does not hold. */
  readonly unready?: string;
}[] = [
  { name: 'good', spoil: () => undefined, state: 'in-sync', problem: undefined },
  {
    name: 'a source that is not complete',
    spoil: ({ state: { sources } }) => {
      for (const source of sources) source.isSynced = false;
    },
    state: 'waiting',
    problem: /^not complete yet: disk/,
    unready: 'source-disk',
  },
  {
    name: 'an apply that failed',
    spoil: ({ state }) => {
      state.isInSync = false;
      state.lastError = 'ENOMEM';
      state.failures = 3;
    },
    state: 'behind',
    problem: /^the last 3 attempts to apply failed: ENOMEM/,
    unready: 'kernel-in-sync',
  },
  {
    name: 'a policy that was never accepted',
    spoil: (agent) => agent.take([put(BROKEN)]),
    state: 'behind',
    problem: /^1 invalid and never accepted: they govern nothing/,
    unready: 'policies-accepted',
  },
  {
    name: 'a policy whose newest version is invalid',
    spoil: (agent) => {
      agent.take([put(v3('NetworkPolicy', 'shop/web', { selector: 'app == ' }))]);
    },
    state: 'behind',
    problem: /^1 invalid, their last accepted version is in force/,
  },
  {
    name: 'opened in an emergency',
    spoil: ({ state }) => {
      state.panicOpenSinceMs = 1;
      state.held = 'OPEN: opened in an emergency';
    },
    state: 'in-sync',
    problem: /^not applied: OPEN/,
    unready: 'enforcing',
  },
];

for (const { name, spoil, state, problem, unready } of ROWS) {
  test(`status: ${name}`, async (t) => {
    const agent = fakeAgent(() => 5_000);
    await agent.give(WORLD);
    spoil(agent);
    const status = readStatus(agent, { node: 'n', netns: '', nowMs: 6_000, flowLog: undefined });
    t.is(status.state, state);
    t.is(status.problems.length > 0, problem !== undefined, status.problems.join());
    if (problem !== undefined) {
      t.true(
        status.problems.some((each) => problem.test(each)),
        status.problems.join(),
      );
    }
    t.like(status.counts, { endpoints: 1, hostEndpoints: 0, policies: 1 });
    const bad = readyConditions(agent, 6_000).filter(({ wrong }) => wrong !== undefined);
    t.deepEqual(
      bad.map((each) => each.name),
      unready === undefined ? [] : [unready],
    );
    const lines = printStatus(status);
    for (const each of status.problems) t.true(lines.includes(`  ! ${each}`));
  });
}

test('status: lists are bounded, their totals are right', async (t) => {
  const agent = fakeAgent(() => 5_000);
  const broken = Array.from({ length: 100 }, (_, at) =>
    v3('GlobalNetworkPolicy', `broken-${at}`, { selector: 'app == ' }),
  );
  await agent.give([...WORLD, ...broken]);
  const { stale, findings } = readStatus(agent, {
    node: 'n',
    netns: '',
    nowMs: 6_000,
    flowLog: undefined,
  });
  t.is(stale.total, 100);
  t.is(stale.first.length, 20);
  t.is(findings.errors.total, 100);
  t.is(findings.errors.first.length, 20);
});

test('wait: what was taken and is not in the kernel yet is not in force', async (t) => {
  const agent = fakeAgent(() => 5_000);
  t.like(isPolicyInForce(agent, 'shop/web', undefined), { isInForce: false });
  await agent.give(WORLD);
  t.like(isPolicyInForce(agent, 'shop/web', 'shop/web'), {
    isInForce: true,
    policies: ['np/shop/web'],
  });
  agent.take([put(v3('GlobalNetworkPolicy', 'late', { selector: 'all()' }))]);
  t.regex(isPolicyInForce(agent, 'late', 'shop/web').why, /not in sync/);
  await agent.apply();
  t.true(isPolicyInForce(agent, 'gnp/late', 'shop/web').isInForce);
});

test('wait: a staged policy never is', async (t) => {
  const agent = fakeAgent(() => 5_000);
  await agent.give([...WORLD, v3('StagedGlobalNetworkPolicy', 'later', { selector: 'all()' })]);
  t.regex(isPolicyInForce(agent, 'later', undefined).why, /staged/);
});

const DURATIONS = [
  { in: 0, out: '0 ms' },
  { in: 999, out: '999 ms' },
  { in: 61_000, out: '1 min 1 s' },
  { in: 90_061_000, out: '1 d 1 h' },
  { in: -5, out: '0 ms' },
] as const;

for (const { in: ms, out } of DURATIONS) {
  test(`a duration of ${ms} ms`, (t) => {
    t.is(printDuration(ms), out);
  });
}
