import test from 'ava';
import { Shared } from '../../../../agent/store/shared.ts';
import type { WorkloadEndpoint } from '../../../../compiler/model/cluster.ts';
import { parseResource } from '../../../../compiler/model/parse/resource.ts';
import { pod } from '../../../support/raw-events.ts';

function endpoint(id: string, labels: Readonly<Record<string, string>>): WorkloadEndpoint {
  const { value } = parseResource(pod(id, ['10.0.0.1'], { labels }), {});
  if (value?.kind !== 'WorkloadEndpoint') throw new TypeError('not an endpoint');
  return value;
}

test('equal parts are the same, different ones are not, and the resource is what it was', (t) => {
  const shared = new Shared();
  const [a, b, c] = [
    endpoint('ns/a', { app: 'x' }),
    endpoint('ns/b', { app: 'x' }),
    endpoint('ns/c', { app: 'y' }),
  ].map((each) => {
    const kept = shared.share(each, undefined) as WorkloadEndpoint;
    t.deepEqual(kept, each);
    return kept;
  });
  t.is(a?.labels, b?.labels);
  t.is(a?.profiles, c?.profiles);
  t.not(a?.labels, c?.labels);
});

test('what replaces a resource has its parts, long after it was seen', (t) => {
  const shared = new Shared();
  const first = shared.share(endpoint('ns/a', { app: 'x' }), undefined) as WorkloadEndpoint;
  for (let i = 0; i < 12_000; i += 1) shared.share(endpoint('ns/b', { app: `y${i}` }), undefined);
  const next = shared.share(endpoint('ns/a', { app: 'x' }), first) as WorkloadEndpoint;
  t.is(next.labels, first.labels);
  t.is(next.profiles, first.profiles);
});
