/** The index against naive recomputation, after every step of random histories. */
import test from 'ava';
import * as fc from 'fast-check';
import type { Labels } from '../../compiler/model/cluster.ts';
import { parseSelector } from '../../compiler/model/parse/selector.ts';
import { printSelector } from '../../compiler/model/selector-text.ts';
import type { Selector } from '../../compiler/model/selector.ts';
import { sortedUnique } from '../../compiler/model/text-order.ts';
import { LabelIndex } from '../../compiler/selector/label-index.ts';
import { matches } from '../../compiler/selector/match.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const numRuns = Number(process.env['FC_RUNS'] ?? 500);

const key = fc.constantFrom('a', 'b', 'c');
const value = fc.constantFrom('', '1', '2', '12');
const labels: fc.Arbitrary<Labels> = fc.dictionary(key, value);

const leaf: fc.Arbitrary<Selector> = fc.oneof(
  fc.constantFrom<Selector>({ kind: 'all' }, { kind: 'global' }),
  key.map((label): Selector => ({ kind: 'has', label })),
  fc
    .tuple(
      fc.constantFrom('equals', 'not-equals', 'contains', 'starts-with', 'ends-with'),
      key,
      value,
    )
    .map(([kind, label, value]): Selector => ({ kind, label, value })),
  fc
    .tuple(fc.constantFrom('in', 'not-in'), key, fc.array(value, { maxLength: 3 }))
    .map(([kind, label, values]): Selector => ({ kind, label, values: sortedUnique(values) })),
);

const selector: fc.Arbitrary<Selector> = fc.letrec<{ node: Selector }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    tie('node').map((operand): Selector => ({ kind: 'not', operand })),
    fc
      .tuple(fc.constantFrom('and', 'or'), fc.array(tie('node'), { minLength: 2, maxLength: 3 }))
      .map(([kind, operands]): Selector => ({ kind, operands })),
  ),
})).node;

const item = fc.constantFrom('i0', 'i1', 'i2', 'i3');
const parent = fc.constantFrom('p0', 'p1', 'p2');
const selectorName = fc.constantFrom('s0', 's1', 's2', 's3');

type Step =
  | { do: 'setItem'; id: string; labels: Labels; parents: string[] }
  | { do: 'deleteItem'; id: string }
  | { do: 'setParent'; id: string; labels: Labels }
  | { do: 'deleteParent'; id: string }
  | { do: 'addSelector'; id: string; selector: Selector }
  | { do: 'deleteSelector'; id: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(item, labels, fc.array(parent, { maxLength: 3 }))
    .map(([id, labels, parents]): Step => ({ do: 'setItem', id, labels, parents })),
  item.map((id): Step => ({ do: 'deleteItem', id })),
  fc.tuple(parent, labels).map(([id, labels]): Step => ({ do: 'setParent', id, labels })),
  parent.map((id): Step => ({ do: 'deleteParent', id })),
  fc
    .tuple(selectorName, selector)
    .map(([id, selector]): Step => ({ do: 'addSelector', id, selector })),
  selectorName.map((id): Step => ({ do: 'deleteSelector', id })),
);

/** Text alone cannot keep `!` before `!`: it cancels. */
function doubleNegationsGone(form: string): string {
  return form.replaceAll('!!', '');
}

class Naive {
  readonly items = new Map<string, { labels: Labels; parents: string[] }>();
  readonly parents = new Map<string, Labels>();
  readonly selectors = new Map<string, Selector>();

  members(): string[] {
    const found: string[] = [];
    for (const [id, selector] of this.selectors) {
      for (const [itemId, { labels, parents }] of this.items) {
        const tables = [labels, ...parents.map((name) => this.parents.get(name) ?? {})];
        const lookup = (key: string): string | undefined =>
          tables.find((table) => Object.hasOwn(table, key))?.[key];
        if (matches(selector, lookup)) found.push(`${id}:${itemId}`);
      }
    }
    return found.sort();
  }
}

function run(step: Step, index: LabelIndex, naive: Naive): void {
  switch (step.do) {
    case 'setItem':
      index.setItem(step.id, step.labels, step.parents);
      naive.items.set(step.id, step);
      break;
    case 'deleteItem':
      index.deleteItem(step.id);
      naive.items.delete(step.id);
      break;
    case 'setParent':
      index.setParent(step.id, step.labels);
      naive.parents.set(step.id, step.labels);
      break;
    case 'deleteParent':
      index.deleteParent(step.id);
      naive.parents.delete(step.id);
      break;
    case 'addSelector':
      index.addSelector(step.id, step.selector);
      naive.selectors.set(step.id, step.selector);
      break;
    case 'deleteSelector':
      index.deleteSelector(step.id);
      naive.selectors.delete(step.id);
      break;
  }
}

test('deltas, members and selectors of items follow every history', (t) => {
  const history = fc.array(step, { maxLength: 40, size: 'large' });
  fc.assert(
    fc.property(history, (steps) => {
      const index = new LabelIndex();
      const naive = new Naive();
      const folded = new Set<string>();
      for (const step of steps) {
        run(step, index, naive);
        for (const { selectorId, itemId, matched } of index.takeDeltas()) {
          const pair = `${selectorId}:${itemId}`;
          if (folded.has(pair) === matched) throw new Error(`repeated delta for ${pair}`);
          if (matched) folded.add(pair);
          else folded.delete(pair);
        }
        const expected = naive.members().join(' ');
        const members = [...naive.selectors.keys()].flatMap((id) =>
          [...index.membersOf(id)].map((itemId) => `${id}:${itemId}`),
        );
        const owners = [...naive.items.keys()].flatMap((itemId) =>
          index.selectorsOf(itemId).map((id) => `${id}:${itemId}`),
        );
        for (const [name, actual] of Object.entries({ folded, members, owners })) {
          const text = [...actual].sort().join(' ');
          if (text !== expected) throw new Error(`${name}: ${text}; expected ${expected}`);
        }
      }
    }),
    { numRuns },
  );
  t.pass();
});

test('the normal form of any tree parses to a tree with the same meaning and normal form', (t) => {
  fc.assert(
    fc.property(selector, labels, (selector, labels) => {
      const text = printSelector(selector);
      const result = parseSelector(text);
      if (!('selector' in result)) throw new Error(`${text}: ${result.error}`);
      const lookup = (key: string): string | undefined => labels[key];
      const again = printSelector(result.selector);
      return (
        matches(selector, lookup) === matches(result.selector, lookup) &&
        doubleNegationsGone(again) === doubleNegationsGone(text)
      );
    }),
    { numRuns },
  );
  t.pass();
});
