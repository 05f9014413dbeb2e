/**
 * Who is selected by what, kept current change by change. Comes in: labelled items, the parents they inherit labels from, and
 * selectors, one mutation at a time. Goes out: membership deltas. Work follows the change: an item's change evaluates the
 * selectors that mention a changed label and whose requirement the item meets, a parent's change its children. Knows nothing
 * of what items, parents and selectors stand for. Lookup order of labels: specification section 2.5.
 */
import type { Labels } from '../model/cluster.ts';
import type { Selector } from '../model/selector.ts';
import { LabelValues } from './label-values.ts';
import { matches } from './match.ts';
import { labelsOf, requirementsOf } from './requirement.ts';
import type { LabelTest, Requirement } from './requirement.ts';

export interface MembershipDelta {
  readonly selectorId: string;
  readonly itemId: string;
  readonly matched: boolean;
}

interface Item {
  readonly id: string;
  readonly labels: Labels;
  readonly parents: readonly Parent[];
  /** Few, and replaced as a whole by a list without room to grow: a set for each item takes more memory than the rest of it. */
  matched: readonly Registered[];
}

/** Exists as soon as it has labels or children; without labels of its own it is simply empty. */
interface Parent {
  readonly id: string;
  labels: Labels;
  readonly children: Set<string>;
}

interface Registered {
  readonly id: string;
  readonly selector: Selector;
  /** Labels it mentions. */
  readonly labels: ReadonlySet<string>;
  /** Where it is filed; `undefined` = nothing is required. */
  readonly requirement: Requirement | undefined;
  readonly members: Set<string>;
}

const NO_LABELS: Labels = Object.freeze({});
const NOTHING: ReadonlySet<string> = new Set<string>();
const NONE: readonly Registered[] = [];

/**
 * Folding all deltas in order gives `membersOf` of every selector. Results depend on current state only; how selectors are
 * filed, and so `evaluations`, depends also on the order of calls.
 */
export class LabelIndex {
  readonly #items = new Map<string, Item>();
  readonly #parents = new Map<string, Parent>();
  readonly #selectors = new Map<string, Registered>();
  /** Labels that a selector has required so far. Only these are looked up by value: most labels of items no selector ever names. */
  readonly #required = new Set<string>();
  readonly #itemsByLabel = new LabelValues<string>();
  readonly #parentsByLabel = new LabelValues<Parent>();
  readonly #filed = new LabelValues<Registered>();
  readonly #unrestricted = new Set<Registered>();
  /** Unrestricted selectors by the labels they mention (`value` always `undefined`). */
  readonly #unrestrictedByLabel = new LabelValues<Registered>();
  #deltas: MembershipDelta[] = [];
  #evaluations = 0;

  /** How many times a selector has been evaluated for an item so far. */
  get evaluations(): number {
    return this.#evaluations;
  }

  /** Adds or replaces. A parent that is not there (yet) gives no labels. */
  setItem(id: string, labels: Labels, parents: readonly string[]): void {
    const before = this.#items.get(id);
    const after: Item = {
      id,
      labels,
      parents: parents.map((parent) => this.#parentOf(parent)),
      matched: before?.matched ?? NONE,
    };
    if (before !== undefined) this.#unlink(before);
    this.#link(after);
    if (before === undefined) this.#evaluateNew(after);
    else this.#evaluateChanged(after, changedLabels(before, after));
  }

  deleteItem(id: string): void {
    const item = this.#items.get(id);
    if (item === undefined) return;
    for (const registered of item.matched) this.#flip(registered, item, false);
    this.#unlink(item);
    this.#items.delete(id);
  }

  setParent(id: string, labels: Labels): void {
    const parent = this.#parentOf(id);
    const before = parent.labels;
    const candidates = differingKeys(before, labels);
    for (const test of this.#requiredOf(before)) this.#parentsByLabel.remove(test, parent);
    parent.labels = labels;
    for (const test of this.#requiredOf(labels)) this.#parentsByLabel.add(test, parent);
    for (const child of parent.children) {
      const item = this.#items.get(child);
      if (item === undefined) continue;
      const changed = candidates.filter(
        (key) => valueOf(item, key) !== valueOf(item, key, { parent, labels: before }),
      );
      this.#evaluateChanged(item, new Set(changed));
    }
    this.#forgetIfUnused(parent);
  }

  deleteParent(id: string): void {
    if (this.#parents.has(id)) this.setParent(id, NO_LABELS);
  }

  /** Adds or replaces. */
  addSelector(id: string, selector: Selector): void {
    const before = this.#selectors.get(id);
    if (before !== undefined) this.#unfile(before);
    const requirements = requirementsOf(selector);
    for (const test of requirements.flat()) this.#require(test.label);
    const registered: Registered = {
      id,
      selector,
      labels: labelsOf(selector),
      requirement: this.#cheapest(requirements, (test) => this.#filingCost(test)),
      members: new Set(),
    };
    this.#selectors.set(id, registered);
    this.#file(registered);
    if (before !== undefined) this.#inherit(before, registered);
    const scan = this.#cheapest(requirements, (test) => this.#popularity(test));
    for (const item of this.#itemsMeeting(scan)) this.#evaluate(registered, item);
  }

  deleteSelector(id: string): void {
    const registered = this.#selectors.get(id);
    if (registered === undefined) return;
    this.#unfile(registered);
    this.#selectors.delete(id);
    for (const member of registered.members) {
      const item = this.#items.get(member);
      if (item !== undefined) this.#flip(registered, item, false);
    }
  }

  /** Deltas since the last call, oldest first. */
  takeDeltas(): readonly MembershipDelta[] {
    const deltas = this.#deltas;
    this.#deltas = [];
    return deltas;
  }

  /** Item ids, a live view; empty for an unknown selector. */
  membersOf(selectorId: string): ReadonlySet<string> {
    return this.#selectors.get(selectorId)?.members ?? NOTHING;
  }

  /** Selector ids; empty for an unknown item. */
  selectorsOf(itemId: string): readonly string[] {
    return (this.#items.get(itemId)?.matched ?? NONE).map(({ id }) => id);
  }

  #parentOf(id: string): Parent {
    let parent = this.#parents.get(id);
    if (parent === undefined) {
      parent = { id, labels: NO_LABELS, children: new Set() };
      this.#parents.set(id, parent);
    }
    return parent;
  }

  #forgetIfUnused(parent: Parent): void {
    if (parent.children.size > 0 || Object.keys(parent.labels).length > 0) return;
    this.#parents.delete(parent.id);
  }

  #require(label: string): void {
    if (this.#required.has(label)) return;
    this.#required.add(label);
    for (const { id, labels } of this.#items.values()) {
      const value = ownValue(labels, label);
      if (value !== undefined) this.#itemsByLabel.add({ label, value }, id);
    }
    for (const parent of this.#parents.values()) {
      const value = ownValue(parent.labels, label);
      if (value !== undefined) this.#parentsByLabel.add({ label, value }, parent);
    }
  }

  #requiredOf(labels: Labels): LabelTest[] {
    return testsOf(labels).filter(({ label }) => this.#required.has(label));
  }

  #link(item: Item): void {
    this.#items.set(item.id, item);
    for (const test of this.#requiredOf(item.labels)) this.#itemsByLabel.add(test, item.id);
    for (const parent of item.parents) {
      parent.children.add(item.id);
      this.#parents.set(parent.id, parent);
    }
  }

  #unlink(item: Item): void {
    for (const test of this.#requiredOf(item.labels)) this.#itemsByLabel.remove(test, item.id);
    for (const parent of item.parents) {
      parent.children.delete(item.id);
      this.#forgetIfUnused(parent);
    }
  }

  #file(registered: Registered): void {
    if (registered.requirement !== undefined) {
      for (const test of registered.requirement) this.#filed.add(test, registered);
      return;
    }
    this.#unrestricted.add(registered);
    for (const label of registered.labels) {
      this.#unrestrictedByLabel.add({ label, value: undefined }, registered);
    }
  }

  #unfile(registered: Registered): void {
    for (const test of registered.requirement ?? []) this.#filed.remove(test, registered);
    this.#unrestricted.delete(registered);
    for (const label of registered.labels) {
      this.#unrestrictedByLabel.remove({ label, value: undefined }, registered);
    }
  }

  /** A replaced selector keeps the members that it still matches, without deltas; the others leave. */
  #inherit(before: Registered, after: Registered): void {
    for (const member of before.members) {
      const item = this.#items.get(member);
      if (item === undefined) continue;
      item.matched = without(item.matched, before).concat(after);
      after.members.add(member);
      this.#evaluate(after, item);
    }
  }

  /** Of all conditions that must hold, the one with the lowest sum over its tests. */
  #cheapest(
    requirements: readonly Requirement[],
    costOf: (test: LabelTest) => number,
  ): Requirement | undefined {
    let best: Requirement | undefined;
    let bestCost = Infinity;
    for (const requirement of requirements) {
      const cost = requirement.reduce((sum, test) => sum + costOf(test), 0);
      if (cost >= bestCost) continue;
      best = requirement;
      bestCost = cost;
    }
    return best;
  }

  /** Estimate of evaluations per change: neither a label that all items have nor one that all selectors ask for is useful. */
  #filingCost(test: LabelTest): number {
    const load = 1 + this.#filed.exactly(test).size;
    return load * (1 + this.#popularity(test)) * (test.value === undefined ? 4 : 1);
  }

  /** Upper bound of the number of items that meet the test. */
  #popularity(test: LabelTest): number {
    let count = 0;
    for (const items of this.#itemsByLabel.meeting(test)) count += items.size;
    for (const parents of this.#parentsByLabel.meeting(test)) {
      for (const parent of parents) count += parent.children.size;
    }
    return count;
  }

  #itemsMeeting(requirement: Requirement | undefined): Iterable<Item> {
    if (requirement === undefined) return this.#items.values();
    const found = new Set<Item>();
    const collect = (ids: Iterable<string>): void => {
      for (const id of ids) {
        const item = this.#items.get(id);
        if (item !== undefined) found.add(item);
      }
    };
    for (const test of requirement) {
      for (const ids of this.#itemsByLabel.meeting(test)) collect(ids);
      for (const parents of this.#parentsByLabel.meeting(test)) {
        for (const parent of parents) collect(parent.children);
      }
    }
    return found;
  }

  #evaluateNew(item: Item): void {
    const candidates = new Set(this.#unrestricted);
    for (const registered of this.#filedFor(item)) candidates.add(registered);
    for (const registered of candidates) this.#evaluate(registered, item);
  }

  #evaluateChanged(item: Item, changed: ReadonlySet<string>): void {
    if (changed.size === 0) return;
    const candidates = new Set<Registered>();
    const consider = (registered: Registered): void => {
      if (intersects(registered.labels, changed)) candidates.add(registered);
    };
    for (const registered of item.matched) consider(registered);
    for (const registered of this.#filedFor(item)) consider(registered);
    for (const label of changed) {
      const mentioning = this.#unrestrictedByLabel.exactly({ label, value: undefined });
      for (const registered of mentioning) candidates.add(registered);
    }
    for (const registered of candidates) this.#evaluate(registered, item);
  }

  /** Selectors filed under a label that the item has or inherits; possibly repeated. */
  *#filedFor(item: Item): Iterable<Registered> {
    for (const labels of [item.labels, ...item.parents.map((parent) => parent.labels)]) {
      for (const test of testsOf(labels)) {
        yield* this.#filed.exactly(test);
        yield* this.#filed.exactly({ label: test.label, value: undefined });
      }
    }
  }

  #evaluate(registered: Registered, item: Item): void {
    this.#evaluations += 1;
    const matched = matches(registered.selector, (key) => valueOf(item, key));
    if (matched !== registered.members.has(item.id)) this.#flip(registered, item, matched);
  }

  #flip(registered: Registered, item: Item, matched: boolean): void {
    if (matched) {
      registered.members.add(item.id);
      item.matched = item.matched.concat(registered);
    } else {
      registered.members.delete(item.id);
      item.matched = without(item.matched, registered);
    }
    this.#deltas.push({ selectorId: registered.id, itemId: item.id, matched });
  }
}

function without(matched: readonly Registered[], one: Registered): readonly Registered[] {
  return matched.filter((each) => each !== one);
}

/** Own labels first, then the parents' in order. `past` = look as if this parent still had these labels. */
function valueOf(
  item: Item,
  key: string,
  past?: { readonly parent: Parent; readonly labels: Labels },
): string | undefined {
  if (Object.hasOwn(item.labels, key)) return item.labels[key];
  for (const parent of item.parents) {
    const labels = past?.parent === parent ? past.labels : parent.labels;
    if (Object.hasOwn(labels, key)) return labels[key];
  }
  return undefined;
}

function changedLabels(before: Item, after: Item): ReadonlySet<string> {
  const keys = new Set(differingKeys(before.labels, after.labels));
  const sameParents =
    before.parents.length === after.parents.length &&
    before.parents.every((parent, index) => parent.id === after.parents[index]?.id);
  if (!sameParents) {
    for (const { labels } of [...before.parents, ...after.parents]) {
      for (const key of Object.keys(labels)) keys.add(key);
    }
  }
  return new Set([...keys].filter((key) => valueOf(before, key) !== valueOf(after, key)));
}

function differingKeys(before: Labels, after: Labels): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => ownValue(before, key) !== ownValue(after, key));
}

function ownValue(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

function intersects(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const value of a) if (b.has(value)) return true;
  return false;
}

function testsOf(labels: Labels): LabelTest[] {
  return Object.entries(labels).map(([label, value]) => ({ label, value }));
}
