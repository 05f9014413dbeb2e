/** The demo's manifests and its table of workloads are about the same pods. */
import test from 'ava';
import { DirectorySource } from '../../../agent/watch/directory.ts';
import { printAddress } from '../../../compiler/model/ip.ts';
import { parseResource } from '../../../compiler/model/parse/resource.ts';
import { NODE_NAME, WORKLOADS } from '../../../demo/scenario.ts';
import { projectPath } from '../../support/tools.ts';

test('every workload has its pod', async (t) => {
  const { events, issues } = await new DirectorySource(projectPath('demo/manifests')).load();
  t.deepEqual(issues, []);
  const pods = events.flatMap((event) => {
    const value = event.op === 'put' ? parseResource(event.object, {}).value : undefined;
    if (value?.kind !== 'WorkloadEndpoint') return [];
    const { id, node, labels, addresses } = value;
    return [{ id, node, app: labels['app'], addresses: addresses.map(printAddress) }];
  });
  const expected = WORKLOADS.map(({ namespace, name, addresses }) => {
    return { id: `${namespace}/${name}`, node: NODE_NAME, app: name, addresses: [...addresses] };
  });
  t.deepEqual(pods.toSorted(byId), expected.toSorted(byId));
});

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}
