/** `picket apply` and `picket run` make the kernel forget the connections of pods that are gone. The connections are made by hand. */
import { Bench, WEB, until } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';
import { requireSystemTool } from '../../support/tools.ts';

const NEEDS = ['root', 'netns', 'addon', 'conntrack'] as const;

const [, POD = ''] = WEB.split('---\n');
const OTHER = WEB.replaceAll('web', 'other').replaceAll('10.0.0.1', '10.0.0.2');

async function conntrack(bench: Bench, ...args: readonly string[]): Promise<string> {
  return bench.netns.run(requireSystemTool('conntrack'), args);
}

/** Two connections of `web` (10.0.0.1), one of `other` (10.0.0.2). */
async function connect(bench: Bench): Promise<void> {
  const tail = ['--dport', '80', '--state', 'ESTABLISHED', '-t', '600'];
  for (const [source, destination, port] of [
    ['10.0.0.1', '10.0.0.2', '41001'],
    ['203.0.113.9', '10.0.0.1', '41002'],
    ['203.0.113.9', '10.0.0.2', '41003'],
  ] as const) {
    const ends = ['-s', source, '-d', destination];
    await conntrack(bench, '-I', '-p', 'tcp', ...ends, '--sport', port, ...tail);
  }
}

async function tracked(bench: Bench): Promise<string[]> {
  const list = await conntrack(bench, '-L');
  return [...list.matchAll(/ESTABLISHED .*? sport=(\d+)/g)].map(([, port]) => port ?? '').sort();
}

kernelTest('apply: connections of a pod that is gone are forgotten', NEEDS, (t) =>
  Bench.with({ 'web.yaml': POD, 'other.yaml': OTHER }, async (bench) => {
    t.is((await bench.apply()).exitCode, 0);
    await connect(bench);
    t.is((await bench.apply()).exitCode, 0);
    t.deepEqual(await tracked(bench), ['41001', '41002', '41003']);
    bench.remove('web.yaml');
    const { exitCode, stderr } = await bench.apply();
    t.deepEqual([exitCode, stderr], [0, '']);
    t.deepEqual(await tracked(bench), ['41003']);
  }),
);

kernelTest('run: connections of a pod that goes are forgotten', NEEDS, (t) =>
  Bench.with({ 'web.yaml': POD, 'other.yaml': OTHER }, async (bench) => {
    const agent = await bench.startApplied();
    await connect(bench);
    bench.remove('web.yaml');
    await until('only the other is left', async () => (await tracked(bench)).join() === '41003');
    await agent.stop();
    t.deepEqual(
      agent.log().filter(({ level }) => Number(level) > 40),
      [],
    );
  }),
);
