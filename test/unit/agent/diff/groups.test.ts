/** A change for a thousand pods is told in a few lines. */
import test from 'ava';
import { compareAll } from '../../../../agent/diff/compare-all.ts';
import { groupChanges } from '../../../../agent/diff/groups.ts';
import { printComparison } from '../../../../agent/diff/print.ts';
import { sceneOf } from '../../../../agent/explain/scene.ts';
import type { Resource } from '../../../../compiler/model/cluster.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../../../compiler/oracle/world.ts';
import { keyOf } from '../../../support/keys.ts';
import {
  entity,
  equals,
  namespace,
  policy,
  port,
  rule,
  TCP,
  workload,
} from '../../../support/world.ts';

const APPS = 10;

/** `app0` to `app9`, pods 10.0.x.y, each with a label of its own that no rule names. */
const PODS = Array.from({ length: 1_000 }, (_, at) =>
  workload(`shop/pod-${String(at).padStart(3, '0')}`, [`10.0.${at >> 8}.${at & 255}`], {
    labels: { app: `app${at % APPS}`, hash: `h${at}` },
  }),
);

/** app0 is reached from app1 on these ports. */
function world(...ports: readonly number[]): readonly (readonly [string, Resource])[] {
  const resources: Resource[] = [
    namespace('shop'),
    ...PODS,
    policy('app0', {
      namespace: 'shop',
      selector: equals('app', 'app0'),
      types: ['ingress'],
      ingress: [
        rule('allow', {
          protocol: TCP,
          source: entity({ selector: equals('app', 'app1') }),
          destination: entity({ ports: ports.map((each) => port(each)) }),
        }),
      ],
    }),
  ];
  return resources.map((resource) => [keyOf(resource), resource]);
}

function compare(
  before: ReturnType<typeof world>,
  after: ReturnType<typeof world>,
): readonly string[] {
  const [was, is] = [before, after].map((resources) => {
    const store = {
      resources: () => resources.map(([key, each]): [string, Resource] => [key, each]),
      locate: () => undefined,
    };
    return sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: undefined });
  });
  if (was === undefined || is === undefined) throw new Error('two worlds make two scenes');
  const comparison = compareAll({ before, after }, { before: was, after: is });
  return printComparison(comparison, groupChanges(comparison.changes));
}

test('one port less, for a hundred pods from a hundred pods', (t) => {
  const lines = compare(world(80, 443), world(443));
  t.is(lines[0], '1 kind of change, the one with most pairs first');
  t.is(lines[2], 'allowed -> DENIED: tcp/80');
  t.regex(lines[3] ?? '', /^ {2}from {4}shop\/pod-001, .*, … \(100 pods\)$/);
  t.regex(lines[4] ?? '', /^ {2}to {6}shop\/pod-000, .*, … \(100 pods\)$/);
  t.regex(lines[7] ?? '', /picket explain shop\/pod-001 shop\/pod-000 tcp\/80$/);
  t.true(lines.length < 15);
});

test('nothing', (t) => {
  t.is(compare(world(80), world(80))[0], 'no pair of endpoints changes its verdict');
});

test('a policy that goes opens to everybody', (t) => {
  const open = world(80).filter(([, { kind }]) => kind !== 'Policy');
  const lines = compare(world(80), open);
  t.true(lines.length < 40, lines.join('\n'));
  t.true(lines.some((line) => line.startsWith('DENIED -> allowed')));
});
