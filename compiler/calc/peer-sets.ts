/**
 * The sets that rules refer to, kept up to date: which items match which selectors comes from the label index, what items contribute
 * comes with them, members and deltas go to MemberSets. A selector is indexed only while a set in use needs it.
 */
import type { Labels, ServiceEndpoints } from '../model/cluster.ts';
import type { Cidr } from '../model/ip.ts';
import { selectorId } from '../model/selector-text.ts';
import type { LabelIndex } from '../selector/label-index.ts';
import type { Contribution, MemberSets } from './member-sets.ts';
import type { SetDelta, SetSpec } from './resolved.ts';

export class PeerSets {
  readonly #index: LabelIndex;
  readonly #members: MemberSets;
  readonly #items = new Map<string, Contribution>();
  readonly #refs = new Map<string, { refs: number; readonly spec: SetSpec }>();
  /** Selector id to the sets fed by it. */
  readonly #setsOf = new Map<string, Set<string>>();
  /** `<ns>/<service>` to its slices, by slice name. */
  readonly #services = new Map<string, Map<string, ServiceEndpoints>>();
  /** Service to the sets fed by it. */
  readonly #setsOfService = new Map<string, Set<string>>();

  constructor(index: LabelIndex, members: MemberSets) {
    this.#index = index;
    this.#members = members;
  }

  acquire(spec: SetSpec): void {
    const entry = this.#refs.get(spec.id);
    if (entry !== undefined) {
      entry.refs++;
      return;
    }
    this.#refs.set(spec.id, { refs: 1, spec });
    this.#members.create(spec);
    if (spec.kind === 'service') return this.#feedService(spec);
    const selector = selectorId(spec.selector);
    const sets = this.#setsOf.get(selector);
    if (sets !== undefined) {
      sets.add(spec.id);
      for (const item of this.#index.membersOf(selector)) this.#contribute(spec.id, item, 1);
      return;
    }
    this.#setsOf.set(selector, new Set([spec.id]));
    this.#index.addSelector(selector, spec.selector);
    this.#drain();
  }

  release(id: string): void {
    const entry = this.#refs.get(id);
    if (entry === undefined || --entry.refs > 0) return;
    this.#refs.delete(id);
    this.#members.drop(id);
    if (entry.spec.kind === 'service') {
      const fed = this.#setsOfService.get(entry.spec.service);
      fed?.delete(id);
      if (fed?.size === 0) this.#setsOfService.delete(entry.spec.service);
      return;
    }
    const selector = selectorId(entry.spec.selector);
    const sets = this.#setsOf.get(selector);
    sets?.delete(id);
    if (sets?.size !== 0) return;
    this.#setsOf.delete(selector);
    this.#index.deleteSelector(selector);
    this.#drain();
  }

  setItem(
    id: string,
    labels: Labels,
    parents: readonly string[],
    contribution: Contribution,
  ): void {
    this.#replaceContribution(id, contribution);
    this.#index.setItem(id, labels, parents);
    this.#drain();
  }

  deleteItem(id: string): void {
    this.#index.deleteItem(id);
    this.#drain();
    this.#items.delete(id);
  }

  setParent(id: string, labels: Labels): void {
    this.#index.setParent(id, labels);
    this.#drain();
  }

  deleteParent(id: string): void {
    this.#index.deleteParent(id);
    this.#drain();
  }

  changeService(before: ServiceEndpoints | undefined, after: ServiceEndpoints | undefined): void {
    if (before !== undefined) this.#placeSlice(before, -1);
    if (after !== undefined) this.#placeSlice(after, 1);
  }

  takeDeltas(): Map<string, SetDelta | undefined> {
    return this.#members.takeDeltas();
  }

  #placeSlice(slice: ServiceEndpoints, by: 1 | -1): void {
    const service = `${slice.namespace}/${slice.service}`;
    const slices = this.#services.get(service) ?? new Map<string, ServiceEndpoints>();
    if (by === 1) slices.set(slice.name, slice);
    else slices.delete(slice.name);
    if (slices.size === 0) this.#services.delete(service);
    else this.#services.set(service, slices);
    for (const set of this.#setsOfService.get(service) ?? []) {
      this.#members.contributeService(set, slice, by);
    }
  }

  #feedService(spec: SetSpec & { kind: 'service' }): void {
    const sets = this.#setsOfService.get(spec.service) ?? new Set<string>();
    this.#setsOfService.set(spec.service, sets.add(spec.id));
    for (const slice of this.#services.get(spec.service)?.values() ?? []) {
      this.#members.contributeService(spec.id, slice, 1);
    }
  }

  #replaceContribution(id: string, contribution: Contribution): void {
    const before = this.#items.get(id);
    this.#items.set(id, contribution);
    const sets = [...this.#index.selectorsOf(id)].flatMap((selector) => [
      ...(this.#setsOf.get(selector) ?? []),
    ]);
    if (before === undefined || sets.length === 0) return;
    const [gone, come] = trimCommonNets(before, contribution);
    for (const set of sets) {
      this.#members.contribute(set, gone, -1);
      this.#members.contribute(set, come, 1);
    }
  }

  #drain(): void {
    for (const { selectorId: selector, itemId, matched } of this.#index.takeDeltas()) {
      this.#contributeAll(selector, itemId, matched ? 1 : -1);
    }
  }

  #contributeAll(selector: string, item: string, by: 1 | -1): void {
    for (const set of this.#setsOf.get(selector) ?? []) this.#contribute(set, item, by);
  }

  #contribute(set: string, item: string, by: 1 | -1): void {
    const contribution = this.#items.get(item);
    if (contribution !== undefined) this.#members.contribute(set, contribution, by);
  }
}

/** Both without the nets that they begin and end with alike: one prefix more in a list of 100,000 counts as one. */
function trimCommonNets(before: Contribution, after: Contribution): [Contribution, Contribution] {
  const [a, b] = [before.nets, after.nets];
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && isSameNet(a[start], b[start])) start++;
  let end = 0;
  while (end < shorter - start && isSameNet(a.at(-1 - end), b.at(-1 - end))) end++;
  return [
    { ...before, nets: a.slice(start, a.length - end) },
    { ...after, nets: b.slice(start, b.length - end) },
  ];
}

function isSameNet(a: Cidr | undefined, b: Cidr | undefined): boolean {
  return a?.value === b?.value && a?.prefixLen === b?.prefixLen && a?.family === b?.family;
}
