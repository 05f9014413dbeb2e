/** Objects over the socket and back: the same resources, and the same places. */
import test from 'ava';
import * as fc from 'fast-check';
import { objectRows, readObjects } from '../../../../agent/control/objects.ts';
import type { Resource } from '../../../../compiler/model/cluster.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../../../compiler/oracle/world.ts';
import type { HostInterface } from '../../../../compiler/oracle/world.ts';
import { Store } from '../../../../agent/store/store.ts';
import { arbitraryResources } from '../../../support/arbitrary.ts';
import { keyOf } from '../../../support/keys.ts';
import { pod, put, v3 } from '../../../support/raw-events.ts';

const INTERFACES: readonly HostInterface[] = [
  { name: 'eth0', addresses: [{ family: 4, value: 1n }], isWorkload: false },
];
const JUDGING = { node: 'n1', oracle: DEFAULT_ORACLE_CONFIG, interfaces: INTERFACES };

/** Each step of a path is a line further. */
const ORIGIN = { source: 'a.yaml', lineOf: (path: readonly unknown[]) => 10 + path.length };

/** As they arrive. */
function overTheWire(rows: Iterable<unknown>): unknown[] {
  return [...rows].map((row) => JSON.parse(JSON.stringify(row)) as unknown);
}

/** What is `undefined` is not said. */
function said(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? `${each}n` : each,
  );
}

test('any resources', (t) => {
  fc.assert(
    fc.property(arbitraryResources, (resources) => {
      const entries = resources.map((each): [string, Resource] => [keyOf(each), each]);
      const store = { resources: () => entries, locate: () => undefined } as unknown as Store;
      const found = readObjects(overTheWire(objectRows(store, JUDGING)));
      if (said(found?.objects.resources()) !== said(entries)) throw new Error('not the same');
      if (said(found?.interfaces) !== said(INTERFACES)) throw new Error('not the same');
      if (said(found?.oracle) !== said(DEFAULT_ORACLE_CONFIG)) throw new Error('not the same');
    }),
    { numRuns: 50 },
  );
  t.pass();
});

test('where rules stand', (t) => {
  const store = new Store({});
  const policy = v3('NetworkPolicy', 'shop/web', { ingress: [{ action: 'Deny' }] });
  store.take({ ...put(policy), origin: ORIGIN } as Parameters<Store['take']>[0]);
  const found = readObjects(overTheWire(objectRows(store, JUDGING)));
  const [key = ''] = found?.objects.resources()[0] ?? [];
  const place = found?.objects.locate(key, ['spec', 'ingress', 0]);
  t.deepEqual(place, { source: 'a.yaml', line: 13 });
  t.deepEqual(found?.objects.locate(key, ['spec', 'egress', 0]), {
    source: 'a.yaml',
    line: undefined,
  });
  t.is(found?.objects.locate('nobody', []), undefined);
});

test('an answer that breaks off is none', (t) => {
  const store = new Store({});
  store.take(put(pod('shop/web', ['10.0.0.1'])));
  const rows = overTheWire(objectRows(store, JUDGING));
  t.truthy(readObjects(rows));
  for (let length = 0; length < rows.length; length++) {
    t.is(readObjects(rows.slice(0, length)), undefined);
  }
});
