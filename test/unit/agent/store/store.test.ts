import test from 'ava';
import { Store } from '../../../../agent/store/store.ts';
import type { StoreChange } from '../../../../agent/store/store.ts';
import { put, remove, v3 } from '../../../support/raw-events.ts';

const policy = (selector: string): object => v3('GlobalNetworkPolicy', 'p', { selector });
const GOOD = put(policy("app == 'web'"));
const BAD = put(policy('app =='));

/** A store that came after one whose policy had a refused newest version. */
function heir(): Store {
  const before = new Store({});
  before.take(GOOD);
  before.take(put(v3('GlobalNetworkPolicy', 'q', { selector: 'all()' })));
  before.take(BAD);
  return new Store({}, before.kept());
}

const op = (change: StoreChange | undefined): string | undefined => change?.op;

test('a store that comes after another inherits what that one kept, and nothing else', (t) => {
  const store = heir();
  t.deepEqual([...store.kept().keys()], [GOOD.key]);
  t.deepEqual(store.resources(), []);
  const { change, findings } = store.take(BAD);
  t.like(change, { op: 'put', key: GOOD.key, resource: { kind: 'Policy' } });
  t.true(findings.length > 0);
  t.deepEqual(store.stale(), [GOOD.key]);
  t.is(store.policyVersion, 1);
  t.is(op(store.take(BAD).change), undefined);
  t.deepEqual([...store.kept().keys()], [GOOD.key]);
});

const ROWS = [
  { name: 'is accepted again', events: [GOOD], ops: ['put'] },
  {
    name: 'is deleted, and comes back refused',
    events: [remove(policy('')), BAD],
    ops: [undefined, undefined],
  },
  {
    name: 'is deleted after it was refused',
    events: [BAD, remove(policy(''))],
    ops: ['put', 'delete'],
  },
];

for (const { name, events, ops } of ROWS) {
  test(`nothing is inherited any more once the object ${name}`, (t) => {
    const store = heir();
    t.deepEqual(
      events.map((event) => op(store.take(event).change)),
      ops,
    );
    t.deepEqual([...store.kept()], []);
  });
}

test('an object that was gone when everything had been told inherits nothing', (t) => {
  const store = heir();
  store.forgetInherited();
  t.is(op(store.take(BAD).change), undefined);
  t.deepEqual(store.resources(), []);
});
