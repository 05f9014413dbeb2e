/** `picket run` with confirmHostPolicyChanges: changes of host policy wait for a confirmation, and what was undone stays undone. */
import { readLastGood } from '../../../agent/state/last-good.ts';
import { policy, until, WEB } from '../../support/cli.ts';
import { GuardedHost, hostPolicy } from '../../support/guarded-host.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'nft', 'addon'] as const;

const WAITS = /^host policy changes: undone unless/;

function confirmedWithin(host: GuardedHost, time: string): Record<string, string> {
  return { ...host.env, PICKET_CONFIRM_HOST_POLICY_CHANGES: time };
}

kernelTest(
  'what nobody confirms is undone and not tried again, until the policies change',
  CAPS,
  (t) =>
    GuardedHost.with({ 'web.yaml': WEB, 'p.yaml': policy('first') }, async (host) => {
      const { bench } = host;
      let agent = bench.start(confirmedWithin(host, '1s'));
      await agent.logged(/^in sync/);
      t.is(host.guards().length, 0, 'no host policy, no guard');
      const before = await host.ruleset();

      bench.write('host.yaml', hostPolicy('80'));
      await agent.logged(WAITS);
      await agent.logged(/^UNDONE: nobody confirmed/);
      await host.untilDecided();
      t.is(await host.ruleset(), before);

      await agent.stop('SIGKILL');
      agent = bench.start(confirmedWithin(host, '10m'));
      await agent.logged(/^UNDONE: nobody confirmed/);
      t.is(await host.ruleset(), before, 'nor by the next agent');

      const seen = agent.log().length;
      bench.write('host.yaml', hostPolicy('80, 443'));
      await agent.logged(WAITS, seen);
      await agent.logged(/^applied/, seen);
      t.not(await host.ruleset(), before);
      const kept = readLastGood(host.directory('state'));
      t.is((await host.run('confirm')).exitCode, 0);
      await agent.logged(/^the change is confirmed/);
      const after = await host.ruleset();
      t.is((await agent.stop()).exitCode, 0);
      t.is(await host.ruleset(), after);
      t.notDeepEqual(readLastGood(host.directory('state')), kept);
    }),
);

kernelTest(
  'kill -9 of the agent does not stop the guard; other policies need no confirmation',
  CAPS,
  (t) =>
    GuardedHost.with({ 'web.yaml': WEB, 'host.yaml': hostPolicy('80') }, async (host) => {
      const { bench } = host;
      t.is((await host.apply()).exitCode, 0, 'lived with');
      const agent = bench.start(confirmedWithin(host, '2s'));
      await agent.logged(/^in sync/);
      const started = agent.log().length;
      bench.write('p.yaml', policy('first'));
      await agent.logged(/^applied/, started);
      t.deepEqual(await bench.policies(), ['first', 'services']);
      t.is(host.pending(), undefined);
      const before = await host.ruleset();

      const seen = agent.log().length;
      bench.write('host.yaml', hostPolicy('443'));
      await agent.logged(WAITS, seen);
      await agent.logged(/^applied/, seen);
      await agent.stop('SIGKILL');
      await host.untilDecided();
      t.is(await host.ruleset(), before);
    }),
);

kernelTest('the last good state is kept while the agent runs, and when it stops', CAPS, (t) =>
  GuardedHost.with({ 'web.yaml': WEB, 'p.yaml': policy('first') }, async (host) => {
    const agent = host.bench.start(host.env);
    await agent.logged(/^in sync/);
    await until('kept', () => readLastGood(host.directory('state')).ok);
    host.bench.write('p.yaml', policy('second'));
    await host.bench.untilPolicies('second');
    t.is((await agent.stop()).exitCode, 0);
    const after = await host.ruleset();
    await host.bench.nft('delete', 'table', 'inet', 'picket');
    t.is((await host.run('boot')).exitCode, 0);
    t.is(await host.ruleset(), after);
  }),
);

for (const isRunning of [true, false]) {
  const when = isRunning ? 'while the agent runs' : 'before the agent starts';
  kernelTest(`a dormant table does not stop a change of host policy, ${when}`, CAPS, (t) =>
    GuardedHost.with({ 'web.yaml': WEB, 'host.yaml': hostPolicy('80') }, async (host) => {
      const { bench } = host;
      t.is((await host.apply()).exitCode, 0, 'lived with');
      let agent = bench.start(confirmedWithin(host, '2s'));
      await agent.logged(/^in sync/);
      const before = await host.ruleset();
      if (isRunning) process.kill(agent.pid, 'SIGSTOP');
      else await agent.stop();

      await bench.nft('add table inet picket { flags dormant; }');
      bench.write('host.yaml', hostPolicy('443'));
      if (isRunning) process.kill(agent.pid, 'SIGCONT');
      else agent = bench.start(confirmedWithin(host, '2s'));
      await agent.logged(WAITS);
      await agent.logged(/^UNDONE: nobody confirmed/);
      await host.untilDecided();
      t.is(await host.ruleset(), before, 'our rules, and not dormant');
    }),
  );
}
