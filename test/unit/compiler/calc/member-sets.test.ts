import test from 'ava';
import { memberKey, MemberSets } from '../../../../compiler/calc/member-sets.ts';
import type { Contribution } from '../../../../compiler/calc/member-sets.ts';
import type { SetSpec } from '../../../../compiler/calc/resolved.ts';
import { cidr } from '../../../support/world.ts';

const SPEC: SetSpec = { kind: 'addresses', id: 's:all', selector: { kind: 'all' } };

test('a set that is dropped and created between two flushes goes on where readers left it', (t) => {
  const sets = new MemberSets();
  sets.create(SPEC);
  sets.contribute(SPEC.id, nets('10.0.0.1/32', '10.0.0.2/32'), 1);
  t.deepEqual(deltasOf(sets), ['s:all +10.0.0.1/32 +10.0.0.2/32']);

  sets.contribute(SPEC.id, nets('10.0.0.4/32'), 1);
  sets.drop(SPEC.id);
  sets.create(SPEC);
  sets.drop(SPEC.id);
  sets.create(SPEC);
  sets.contribute(SPEC.id, nets('10.0.0.2/32', '10.0.0.3/32'), 1);
  t.deepEqual(deltasOf(sets), ['s:all +10.0.0.3/32 -10.0.0.1/32']);
});

test('a set that is dropped for good is reported once, one that readers never saw is not', (t) => {
  const sets = new MemberSets();
  sets.create(SPEC);
  sets.drop(SPEC.id);
  t.deepEqual(deltasOf(sets), []);
  sets.create(SPEC);
  deltasOf(sets);
  sets.drop(SPEC.id);
  t.deepEqual(deltasOf(sets), ['s:all gone']);
  t.deepEqual(deltasOf(sets), []);
});

function nets(...texts: readonly string[]): Contribution {
  return { nets: texts.map(cidr), addresses: [], ports: [] };
}

function deltasOf(sets: MemberSets): string[] {
  return [...sets.takeDeltas()].map(([id, delta]) => {
    if (delta === undefined) return `${id} gone`;
    const signed = [
      ...delta.added.map((member) => `+${memberKey(member)}`).toSorted(),
      ...delta.removed.map((member) => `-${memberKey(member)}`).toSorted(),
    ];
    return [id, ...signed].join(' ');
  });
}
