/** What comes over the wire may be anything: it is taken, or refused with an error of the API, and never ends the agent. */
import test from 'ava';
import * as fc from 'fast-check';
import { readPage, readWatchEvent } from '../../../../agent/kube/answers.ts';
import { ApiError } from '../../../../agent/kube/api-error.ts';
import { KnownObjects } from '../../../../agent/kube/known-objects.ts';
import { BUILT_IN, CALICO, CLUSTER_POLICY } from '../../../../agent/kube/resources.ts';
import type { ApiResource } from '../../../../agent/kube/resources.ts';
import { parseResource } from '../../../../compiler/model/parse/resource.ts';

const ALL: readonly ApiResource[] = [...BUILT_IN, ...CLUSTER_POLICY, ...CALICO.flat()];

function refusal(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof ApiError ? undefined : error;
  }
}

const arbitraryObject = fc.record(
  {
    metadata: fc.oneof(
      fc.json().map((text) => JSON.parse(text) as unknown),
      fc.record({ name: fc.string(), namespace: fc.string(), annotations: fc.object() }),
    ),
    spec: fc.oneof(fc.object(), fc.record({ containers: fc.array(fc.object()) })),
    status: fc.object(),
    endpoints: fc.anything({ maxDepth: 2 }),
    ports: fc.anything({ maxDepth: 2 }),
  },
  { requiredKeys: [] },
);

test('any JSON is a list, an event, an object, or an ApiError', (t) => {
  const resources = fc.constantFrom(...ALL);
  fc.assert(
    fc.property(resources, arbitraryObject, fc.json(), (resource, generated, json) => {
      const object: unknown = JSON.parse(JSON.stringify(generated));
      const known = new KnownObjects(resource);
      t.is(
        refusal(() => readPage(json)),
        undefined,
      );
      t.is(
        refusal(() => readWatchEvent(json)),
        undefined,
      );
      t.is(
        refusal(() => known.put(JSON.parse(json))),
        undefined,
      );
      t.is(
        refusal(() => known.delete(object)),
        undefined,
      );
      const problem = refusal(() => {
        const { event } = known.put(object);
        if (event?.op === 'put') parseResource(event.object, {});
      });
      t.is(problem, undefined);
    }),
  );
});

test('what is nested without end is refused by the parser, and the object with it', (t) => {
  const tier = ALL.find(({ kind, group }) => kind === 'Tier' && group === 'projectcalico.org');
  if (tier === undefined) throw new Error('tiers are followed');
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const inSpec: unknown = JSON.parse(`{"metadata":{"name":"x"},"spec":{"order":${deep}}}`);
  const { event } = new KnownObjects(tier).put(inSpec);
  const { value, issues } = parseResource(event?.op === 'put' ? event.object : undefined, {});
  t.is(value, undefined);
  t.regex(issues[0]?.message ?? '', /nested too deeply to be read/);
  const inMetadata: unknown = JSON.parse(`{"metadata":{"name":"x","labels":${deep}},"spec":{}}`);
  t.throws(() => new KnownObjects(tier).put(inMetadata), { instanceOf: ApiError });
});
