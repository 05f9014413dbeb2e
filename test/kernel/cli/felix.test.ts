/** A FelixConfiguration among the objects: its settings hold from the first apply on, and change while the agent runs. */
import { Bench, WEB, policy, until } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

function felix(denyAction: string): string {
  return `apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {nftablesFilterDenyAction: ${denyAction}}
`;
}

async function rejects(bench: Bench): Promise<boolean> {
  const table = await bench.table();
  return [...(table?.chains.values() ?? [])].some(({ rules }) =>
    rules.some(({ exprs }) => exprs.some(({ kind }) => kind === 'reject')),
  );
}

kernelTest('the settings of the cluster are followed', ['netns', 'nft', 'addon'], async (t) => {
  const files = { 'web.yaml': WEB, 'policy.yaml': policy('p'), 'felix.yaml': felix('Reject') };
  await Bench.with(files, async (bench) => {
    const agent = await bench.startApplied();
    t.true(await rejects(bench));
    const applied = agent.log().filter(({ msg }) => msg === 'applied');
    t.is(applied.length, 1, 'the kernel never had rules with other settings');

    bench.write('felix.yaml', felix('Drop'));
    await until('denied packets are dropped', async () => !(await rejects(bench)));
    t.deepEqual(await bench.policies(), ['p']);

    bench.write('felix.yaml', felix('Perhaps'));
    await agent.logged(/nftablesfilterdenyaction \(denyAction\): "Perhaps" is not right/);

    bench.write('felix.yaml', felix('Reject'));
    await until('denied packets are rejected', () => rejects(bench));
    bench.remove('felix.yaml');
    await until('the default holds again', async () => !(await rejects(bench)));
  });
});
