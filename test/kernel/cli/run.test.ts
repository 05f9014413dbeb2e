/** `picket run` as a user runs it: the kernel follows files and interfaces; stopping, however, leaves the rules. */
import { caliInterfaceName } from '../../../agent/endpoints/placement.ts';
import { Bench, policy, until, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';
import { runIp } from '../../support/netns.ts';

const CAPS = ['netns', 'addon'] as const;
const GOOD = { 'web.yaml': WEB, 'policy.yaml': policy('first') };

/** Another pod of the node, in a file of its own. */
const API = `apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c, image: i}]}
status: {phase: Running, podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}]}
`;

kernelTest(
  'run: files are added, replaced, broken and removed, and the kernel follows',
  CAPS,
  (t) =>
    Bench.with(GOOD, async (bench) => {
      const agent = await bench.startApplied();
      t.deepEqual(await bench.policies(), ['first']);

      bench.write('more.yaml', policy('second'));
      await bench.untilPolicies('first', 'second');
      bench.write('more.yaml', policy('third'));
      await bench.untilPolicies('first', 'third');

      const seen = agent.log().length;
      const generation = await bench.generation();
      bench.write('more.yaml', policy('broken').replace('spec:', 'spec: ['));
      await agent.logged(/the last good version of this file stays in force/, seen);
      t.deepEqual(await bench.policies(), ['first', 'third']);
      t.is(await bench.generation(), generation, 'nothing was sent');

      bench.write('more.yaml', policy('mended'));
      await bench.untilPolicies('first', 'mended');
      bench.remove('more.yaml');
      await bench.untilPolicies('first');

      bench.write('api.yaml', API);
      await until('chains of the new pod', async () => {
        const table = await bench.table();
        return table?.chains.has('to-shop/api') === true && table.chains.has('from-shop/api');
      });

      const { exitCode, stdout, stderr } = await agent.stop();
      t.is(exitCode, 0);
      t.is(stderr, '');
      for (const line of stdout.split('\n')) t.notThrows(() => void JSON.parse(line), line);
      t.deepEqual(await bench.policies(), ['first'], 'the rules stay');
    }),
);

/** 60,000 addresses: filled ahead in several transactions, the last of which puts the rules in force. */
function bigSet(): string {
  const nets = Array.from({ length: 60_000 }, (_, i) => `11.${i >> 8}.${i & 255}.7/32`);
  return `apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: big, labels: {set: big}}
spec: {nets: [${nets.join(', ')}]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: uses-big}
spec: {selector: all(), ingress: [{action: Allow, source: {selector: set == 'big'}}]}
`;
}

kernelTest('run: a transaction under way when it is stopped ends before it says so', CAPS, (t) =>
  Bench.with({ ...GOOD, 'big.yaml': bigSet() }, async (bench) => {
    const agent = await bench.startApplied();
    t.is((await agent.stop()).exitCode, 0);
    t.regex(agent.log().at(-1)?.msg ?? '', /^stopped/);
  }),
);

kernelTest('run: an interface that appears later is governed', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const agent = await bench.startApplied();
    const isFoundByAddress = async (): Promise<boolean> =>
      ((await bench.table())?.elements.get('to-address4')?.size ?? 0) > 0;
    t.true(await isFoundByAddress());
    const name = caliInterfaceName('cali', 'shop', 'web');
    await runIp(bench.netns, [`link add ${name} type veth peer name peer0`]);
    await until('dispatch by the new interface alone', async () => !(await isFoundByAddress()));
    t.is((await bench.table())?.elements.get('to-interface')?.size, 1);
    await runIp(bench.netns, [`link delete ${name}`]);
    await until('dispatch by address again', isFoundByAddress);

    await runIp(bench.netns, [
      'link add tap7 type veth peer name peer7',
      'link set tap7 up',
      'route add 10.0.0.1/32 dev tap7',
    ]);
    await until("dispatch by the route's interface", async () => !(await isFoundByAddress()));
    t.is((await agent.stop()).exitCode, 0);
  }),
);

kernelTest('run: starts with an empty directory and waits', CAPS, (t) =>
  Bench.with({}, async (bench) => {
    const agent = bench.start();
    await agent.logged(/^no usable manifest yet/);
    t.is(await bench.table(), undefined);
    bench.write('all.yaml', `${WEB}---\n${policy('late')}`);
    await bench.untilPolicies('late');
    bench.remove('.');
    await agent.logged(/the directory cannot be read/);
    t.deepEqual(await bench.policies(), ['late'], 'a directory that is gone removes nothing');
  }),
);

kernelTest('run: a restart with unchanged input sends nothing', CAPS, (t) =>
  Bench.with(GOOD, async (bench) => {
    const first = await bench.startApplied();
    await first.stop('SIGKILL');
    t.deepEqual(await bench.policies(), ['first'], 'kill -9 leaves the rules');
    const generation = await bench.generation();
    const second = bench.start();
    await second.logged(/^in sync/);
    t.is(await bench.generation(), generation);
    t.deepEqual(
      second.log().filter(({ msg }) => msg === 'applied'),
      [],
    );
    bench.write('policy.yaml', policy('second'));
    await bench.untilPolicies('second');
  }),
);

kernelTest('directories that cannot be made keep nothing from being enforced', CAPS, (t) =>
  Bench.with({ 'web.yaml': WEB, 'policy.yaml': policy('first') }, async (bench) => {
    const agent = bench.start({
      PICKET_RUN_DIRECTORY: '/dev/null/run',
      PICKET_STATE_DIRECTORY: '/dev/null/state',
    });
    await agent.logged(/^in sync/);
    await bench.untilPolicies('first');
    const ended = await agent.stop();
    t.is(ended.exitCode, 0, ended.stderr);
  }),
);
