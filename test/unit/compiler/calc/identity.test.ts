import test from 'ava';
import { Calc } from '../../../../compiler/calc/calc.ts';
import type { ResolvedPolicy } from '../../../../compiler/calc/resolved.ts';
import { NODE, namespace, rule, workload } from '../../../support/world.ts';

/** Rules of the profile in force, as actions. */
function actions(policies: ReadonlyMap<string, ResolvedPolicy | undefined>): string[] | undefined {
  return policies.get('pro/kns.shop')?.ingress.map(({ rule: { action } }) => action);
}

test('of two objects that are one profile the lowest key counts, and the other takes over', (t) => {
  const calc = new Calc(NODE);
  const denying = { ...namespace('shop'), ingress: [rule('deny')] };
  calc.put('wep', workload('shop/web', ['10.0.0.1']));
  calc.put('b', namespace('shop'));
  t.deepEqual(actions(calc.flush().policies), ['allow']);
  calc.put('a', denying);
  t.deepEqual(actions(calc.flush().policies), ['deny']);
  calc.put('b', namespace('shop', { env: 'prod' }));
  t.deepEqual([...calc.flush().policies], []);
  calc.delete('a');
  t.deepEqual(actions(calc.flush().policies), ['allow']);
});

test('an object that becomes something else leaves what it was', (t) => {
  const calc = new Calc(NODE);
  calc.put('namespace', namespace('shop'));
  calc.put('wep', workload('shop/web', ['10.0.0.1']));
  t.deepEqual([...calc.flush().endpoints.keys()], ['shop/web']);
  calc.put('wep', workload('shop/db', ['10.0.0.2']));
  const { endpoints } = calc.flush();
  t.is(endpoints.get('shop/web'), undefined);
  t.true(endpoints.has('shop/web'));
  t.is(endpoints.get('shop/db')?.endpoint.name, 'db');
});
