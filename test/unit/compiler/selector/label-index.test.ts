import test from 'ava';
import { LabelIndex } from '../../../../compiler/selector/label-index.ts';
import { sel } from '../../../support/selectors.ts';

/** `+sel:item` or `-sel:item`. */
function drain(index: LabelIndex): string[] {
  return index
    .takeDeltas()
    .map(({ selectorId, itemId, matched }) => `${matched ? '+' : '-'}${selectorId}:${itemId}`)
    .sort();
}

/** Evaluations that `change` costs. */
function cost(index: LabelIndex, change: () => void): number {
  const before = index.evaluations;
  change();
  return index.evaluations - before;
}

test('an item joins and leaves as its labels change', (t) => {
  const index = new LabelIndex();
  index.addSelector('web', sel('app == "web"'));
  index.addSelector('other', sel('app != "web"'));
  index.addSelector('any', sel('all()'));
  index.setItem('pod', { app: 'web' }, []);
  t.deepEqual(drain(index), ['+any:pod', '+web:pod']);
  index.setItem('pod', { app: 'web', extra: 'x' }, []);
  t.deepEqual(drain(index), []);
  index.setItem('pod', { extra: 'x' }, []);
  t.deepEqual(drain(index), ['+other:pod', '-web:pod']);
  t.deepEqual([...index.selectorsOf('pod')].sort(), ['any', 'other']);
  index.deleteItem('pod');
  t.deepEqual(drain(index), ['-any:pod', '-other:pod']);
  t.deepEqual([...index.membersOf('any')], []);
  index.deleteItem('pod');
  t.deepEqual(drain(index), []);
});

test('own labels hide inherited ones, and earlier parents hide later ones', (t) => {
  const index = new LabelIndex();
  for (const value of ['own', 'first', 'second']) index.addSelector(value, sel(`k == "${value}"`));
  index.setParent('b', { k: 'second' });
  index.setItem('pod', { k: 'own' }, ['a', 'b']);
  t.deepEqual(drain(index), ['+own:pod']);
  index.setItem('pod', {}, ['a', 'b']);
  t.deepEqual(drain(index), ['+second:pod', '-own:pod']);
  index.setParent('a', { k: 'first' });
  t.deepEqual(drain(index), ['+first:pod', '-second:pod']);
  index.setItem('pod', {}, ['b', 'a']);
  t.deepEqual(drain(index), ['+second:pod', '-first:pod']);
  index.deleteParent('b');
  t.deepEqual(drain(index), ['+first:pod', '-second:pod']);
  index.setItem('pod', {}, []);
  t.deepEqual(drain(index), ['-first:pod']);
});

test('a replaced selector reports only the difference', (t) => {
  const index = new LabelIndex();
  index.setItem('a', { x: '1' }, []);
  index.setItem('b', { x: '2' }, []);
  index.setItem('c', { x: '3' }, []);
  index.addSelector('s', sel('x in {"1", "2"}'));
  t.deepEqual(drain(index), ['+s:a', '+s:b']);
  index.addSelector('s', sel('x in {"2", "3"}'));
  t.deepEqual(drain(index), ['+s:c', '-s:a']);
  index.setItem('b', {}, []);
  t.deepEqual(drain(index), ['-s:b']);
  index.deleteSelector('s');
  t.deepEqual(drain(index), ['-s:c']);
  t.deepEqual([...index.membersOf('s')], []);
  t.deepEqual(index.selectorsOf('c'), []);
});

test('labels named like object members are ordinary labels', (t) => {
  const index = new LabelIndex();
  index.addSelector('s', sel('has(constructor) || has(toString)'));
  index.addSelector('p', sel('__proto__ == "x"'));
  index.setItem('plain', {}, []);
  index.setItem('odd', JSON.parse('{"__proto__": "x", "constructor": "y"}') as never, []);
  t.deepEqual(drain(index), ['+p:odd', '+s:odd']);
});

const SELECTORS = 10_000;
const ITEMS = 1_000;

test('one change among 10,000 selectors evaluates a handful', (t) => {
  const index = new LabelIndex();
  for (let n = 0; n < SELECTORS; n += 1) {
    index.addSelector(`s${n}`, sel(`ns == "n${n % 10}" && role == "r${n}" && env != "dev"`));
  }
  t.is(index.evaluations, 0);
  const add = (n: number): void =>
    index.setItem(`i${n}`, { role: `r${n}`, ns: `n${n % 10}` }, ['kns']);
  for (let n = 0; n < ITEMS; n += 1) add(n);
  drain(index);
  const move = (): void => index.setItem('i7', { role: 'r17', ns: 'n7' }, ['kns']);
  t.true(cost(index, move) <= 4);
  t.deepEqual(drain(index), ['+s17:i7', '-s7:i7']);
  t.is(cost(index, move), 0);
  const relabel = (): void => index.setItem('i7', { role: 'r17', ns: 'n7', x: 'y' }, ['kns']);
  t.is(cost(index, relabel), 0);
  const adopt = (): void => index.setParent('kns', { env: 'dev' });
  t.true(cost(index, adopt) <= 3 * ITEMS);
  const add1 = (): void => index.addSelector('new', sel('role == "r42" && has(ns)'));
  t.true(cost(index, add1) <= 1);
});

test("a parent's change costs its children only", (t) => {
  const index = new LabelIndex();
  index.addSelector('prod', sel('pcns.env == "prod"'));
  index.addSelector('web', sel('app == "web" && pcns.env != "prod"'));
  for (let n = 0; n < ITEMS; n += 1) index.setItem(`i${n}`, { app: 'web' }, [`kns.n${n % 100}`]);
  drain(index);
  t.true(cost(index, () => index.setParent('kns.n3', { 'pcns.env': 'prod' })) <= 20);
  t.is(drain(index).length, 20);
  t.is(
    cost(index, () => index.setParent('kns.n3', { 'pcns.env': 'prod', 'pcns.x': 'y' })),
    0,
  );
  t.true(cost(index, () => index.setParent('kns.n3', { 'pcns.env': 'dev' })) <= 20);
  t.is(drain(index).length, 20);
});
