/** `picket status`, `get`, `wait` and `diff` against a real agent, and what they say without one. */
import { connect } from 'node:net';
import { controlSocketPath } from '../../../agent/control/socket-path.ts';
import type { Status } from '../../../agent/control/status.ts';
import { Bench, DIRECTORIES, NODE, picket, policy, until, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon', 'nft'] as const;
const GOOD = { 'web.yaml': WEB, 'policy.yaml': policy('kept') };

const INVALID = `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: broken}
spec: {selector: "app == "}
`;

async function statusOf(netns: string): Promise<Status> {
  const { stdout } = await picket(['status', '--netns', netns, '-o', 'json']);
  return JSON.parse(stdout) as Status;
}

kernelTest('status: without an agent', CAPS, (t) =>
  Bench.with(GOOD, async ({ netns }) => {
    const none = await picket(['status', '--netns', netns.path]);
    t.is(none.exitCode, 1);
    t.regex(none.stdout, /^NOT RUNNING: .*nobody listens/);
    t.regex(none.stdout, /NOTHING IS ENFORCED/);
  }),
);

kernelTest('status: in sync, repaired, degraded, stopped', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const { path } = bench.netns;
    const ask = (...args: string[]): ReturnType<typeof picket> =>
      picket(['status', '--netns', path, ...args]);
    const agent = await bench.startApplied();
    const good = await ask();
    t.is(good.exitCode, 0, good.stdout + good.stderr);
    t.regex(good.stdout, /^enforcing: /);
    t.regex(good.stdout, new RegExp(`node: +${NODE}`));
    t.regex(good.stdout, /in force: +1 workload, 1 policy/);

    const seen = agent.log().length;
    await bench.nft('delete', 'table', 'inet', 'picket');
    await agent.logged(/^applied/, seen);
    t.regex((await ask()).stdout, /repairs: +1, .* after a change by nft \(pid \d+\)/);

    bench.write('broken.yaml', INVALID);
    await until('the invalid policy is reported', async () => {
      return (await statusOf(path)).stale.total === 1;
    });
    const degraded = await ask();
    t.is(degraded.exitCode, 4);
    t.regex(degraded.stdout, /! 1 invalid and never accepted: they govern nothing/);
    t.regex(degraded.stdout, /GlobalNetworkPolicy\/\/broken: it governs nothing/);

    await agent.stop();
    const stopped = await ask();
    t.is(stopped.exitCode, 1);
    t.regex(stopped.stdout, /^NOT RUNNING/);
    t.regex(stopped.stdout, /the table "inet picket" is there and enforces: 1 workload/);
    const killed = bench.start();
    await killed.logged(/^in sync/);
    await killed.stop('SIGKILL');
    // It left its socket: nobody listens there.
    t.regex((await ask()).stdout, /^NOT RUNNING/);
    await bench.start().logged(/^in sync/);
    t.regex((await ask()).stdout, /^enforcing/);
  }),
);

kernelTest('status: opened in an emergency is the first thing that is said', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const netns = ['--netns', bench.netns.path];
    await bench.startApplied();
    t.is((await picket(['panic-open', ...netns])).exitCode, 0);
    const open = await picket(['status', ...netns]);
    t.is(open.exitCode, 1);
    t.regex(open.stdout, /^\*\*\* OPEN: .*NOTHING IS ENFORCED/);
    t.is((await picket(['panic-open', '--undo', ...netns])).exitCode, 0);
    await until('it enforces again', async () => {
      return (await picket(['status', ...netns])).exitCode === 0;
    });
  }),
);

kernelTest('get: endpoints, policies and sets as they are in force', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    await bench.startApplied();
    const get = (...args: string[]): ReturnType<typeof picket> =>
      picket(['get', ...args, '--netns', bench.netns.path]);
    const endpoint = await get('endpoints', 'shop/web');
    t.is(endpoint.exitCode, 0, endpoint.stderr);
    t.regex(endpoint.stdout, /^shop\/web: .*; 10\.0\.0\.1$/m);
    t.regex(endpoint.stdout, /tier default \(undecided: denied\)\n {6}gnp\/kept/);
    const policies = await get('policies', '-o', 'json');
    const { rows } = JSON.parse(policies.stdout) as { rows: Record<string, unknown>[] };
    t.like(rows[0], {
      id: 'gnp/kept',
      tier: 'default',
      endpoints: { total: 1, rows: ['shop/web'] },
      ingress: [{ index: 0, action: 'allow', packets: '0', bytes: '0' }],
    });
    t.is((await get('sets')).exitCode, 0);
    const unknown = await get('policies', 'nobody');
    t.is(unknown.exitCode, 1);
    t.regex(unknown.stderr, /there is no nobody on this node/);
    t.is((await get('pods')).exitCode, 2);
  }),
);

const WAITS = [
  { name: 'unknown', in: ['nobody'], says: /no policy nobody is known here/ },
  { name: 'invalid', in: ['broken'], says: /newest version of .*broken is invalid/ },
  { name: 'refused', in: ['bad'], says: /the kernel refused gnp\/bad ingress\[0\]/ },
  { name: 'no such pod', in: ['kept', '--pod', 'shop/x'], says: /no pod shop\/x is known here/ },
  { name: 'pod elsewhere', in: ['kept', '--pod', 'shop/far'], says: /does not run on this node/ },
  { name: 'not selected', in: ['other', '--pod', 'shop/web'], says: /gnp\/other does not select/ },
] as const;

kernelTest('wait: says why a policy is not in force', CAPS, (t) =>
  Bench.with(
    {
      ...GOOD,
      'far.yaml': far(),
      'other.yaml': policy('other').replace("app == 'web'", "app == 'nothing'"),
      'bad.yaml': policy('bad'),
      'broken.yaml': INVALID,
      'spoil.flag': '',
    },
    async (bench) => {
      const agent = bench.start(bench.spoiling('gnp/bad ingress[0]', 'spoil.flag'));
      await agent.logged(/^in sync/);
      const options = ['--netns', bench.netns.path, '--timeout', '300ms'];
      for (const { name, in: words, says } of WAITS) {
        const ended = await picket(['wait', '--policy', ...words, ...options]);
        t.is(ended.exitCode, 1, name);
        t.regex(ended.stderr, says, name);
      }
      const good = await picket(['wait', '-p', 'gnp/kept', '--pod', 'shop/web', ...options]);
      t.is(good.exitCode, 0, good.stderr);
    },
  ),
);

kernelTest('wait: for an agent that starts, and for a policy that comes', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const wait = (name: string): ReturnType<typeof picket> =>
      picket(['wait', '--policy', name, '--pod', 'shop/web', '--netns', bench.netns.path]);
    const first = wait('kept');
    const agent = await bench.startApplied();
    t.is((await first).exitCode, 0);
    const second = wait('late');
    bench.write('late.yaml', policy('late'));
    const ended = await second;
    t.is(ended.exitCode, 0, ended.stderr);
    t.regex(ended.stdout, /^gnp\/late: in force for shop\/web/);
    t.deepEqual(await bench.policies(), ['kept', 'late']);
    await agent.stop();
  }),
);

kernelTest('diff: the kernel against what it should have', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const agent = await bench.startApplied();
    const netns = ['--netns', bench.netns.path];
    const same = await picket(['diff', ...netns]);
    t.is(same.exitCode, 0, same.stdout + same.stderr);
    await agent.stop();
    await bench.nft('add', 'chain', 'inet', 'picket', 'theirs');
    await bench.nft('flush', 'chain', 'inet', 'picket', 'input');
    await bench.nft('add', 'element', 'inet', 'picket', 'interfaces', '{ "eth9" }');
    const ended = await picket(['diff', '--kernel', ...bench.options()]);
    t.is(ended.exitCode, 3, ended.stderr);
    t.regex(ended.stdout, /^3 objects differ/);
    t.regex(ended.stdout, /too much: +chain theirs/);
    t.regex(ended.stdout, /different: +chain input/);
    t.regex(ended.stdout, /too much: +element interfaces eth9/);
  }),
);

kernelTest('diff: manifests against what runs', CAPS, (t) =>
  Bench.with({ ...GOOD, 'far.yaml': far() }, async (bench) => {
    await bench.startApplied();
    const run = (...args: string[]): ReturnType<typeof picket> =>
      picket(['diff', '--netns', bench.netns.path, ...args]);
    const same = await run('--manifests', bench.manifests);
    t.is(same.exitCode, 0, same.stderr);
    await Bench.with({ 'new.yaml': policy('kept', '10.1.0.0/25') }, async ({ manifests }) => {
      const ended = await run('--manifests', manifests, '--add');
      t.is(ended.exitCode, 3, ended.stderr);
      t.regex(ended.stdout, /^1 kind of change/);
      t.regex(ended.stdout, /allowed -> DENIED: tcp\/80\n {2}from +outside, like 10\.1\.0\.\d+/);
      t.regex(ended.stdout, /to +shop\/far, shop\/web\n/);
    });
  }),
);

function far(): string {
  return WEB.replace('name: web,', 'name: far,')
    .replaceAll('10.0.0.1', '10.0.0.9')
    .replace(`nodeName: ${NODE}`, 'nodeName: other');
}

kernelTest('clients that hang do not stall enforcement', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const agent = await bench.startApplied();
    const socket = controlSocketPath(DIRECTORIES.PICKET_RUN_DIRECTORY, bench.netns.path);
    const clients = Array.from({ length: 80 }, () => {
      const client = connect(socket);
      client.on('error', () => undefined);
      client.write('GET /v1/objects HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(20));
      return client.pause();
    });
    bench.write('late.yaml', policy('late'));
    await bench.untilPolicies('kept', 'late');
    for (const client of clients) client.destroy();
    t.is((await agent.stop()).exitCode, 0);
  }),
);
