/**
 * The desired contents of `inet picket`, the contents believed to be in the kernel, and what differs. Comes in: objects put and deleted.
 * Goes out: names of objects that differ, in constant time per change. Performs no I/O; a failed transaction simply stays different.
 */
import { elementKey } from './key.ts';
import type { NftChain, NftCounter, NftElement, NftOp, NftSet } from './program.ts';

/** Objects of one kind by name. */
export class Tracked<T> {
  readonly desired = new Map<string, T>();
  /** Believed to be in the kernel. */
  readonly actual = new Map<string, T>();
  readonly dirty = new Set<string>();

  put(name: string, value: T): void {
    this.desired.set(name, value);
    this.dirty.add(name);
  }

  delete(name: string): void {
    this.desired.delete(name);
    this.dirty.add(name);
  }

  /** Called when the kernel has accepted everything that was dirty, but for what was not sent. */
  settle(isSent: (value: T) => boolean = () => true): void {
    for (const name of this.dirty) {
      const value = this.desired.get(name);
      if (value !== undefined && !isSent(value)) continue;
      if (value === undefined) this.actual.delete(name);
      else this.actual.set(name, value);
      this.dirty.delete(name);
    }
  }

  /** Called when the kernel has accepted this one as desired. */
  settleOne(name: string): void {
    const value = this.desired.get(name);
    if (value === undefined) this.actual.delete(name);
    else this.actual.set(name, value);
    this.dirty.delete(name);
  }

  /** Takes `actual` from a dump; everything that may differ becomes dirty. */
  adopt(actual: ReadonlyMap<string, T>): void {
    this.actual.clear();
    for (const [name, value] of actual) this.actual.set(name, value);
    this.dirty.clear();
    for (const name of [...this.desired.keys(), ...actual.keys()]) this.dirty.add(name);
  }
}

/** An element whose presence may differ from the kernel's. */
interface TouchedElement {
  readonly element: NftElement;
  readonly wasPresent: boolean;
}

export interface ElementDelta {
  readonly added: readonly NftElement[];
  readonly removed: readonly NftElement[];
}

const NO_ELEMENTS: ReadonlyMap<string, NftElement> = new Map();

/** Elements of one set. What the kernel holds is `desired` but for `touched`, so members are kept once. */
class TrackedElements {
  readonly desired = new Map<string, NftElement>();
  readonly touched = new Map<string, TouchedElement>();

  put(key: string, element: NftElement): void {
    this.#touch(key, element);
    this.desired.set(key, element);
  }

  delete(key: string): void {
    const element = this.desired.get(key);
    if (element === undefined) return;
    this.#touch(key, element);
    this.desired.delete(key);
  }

  delta(): ElementDelta {
    const added: NftElement[] = [];
    const removed: NftElement[] = [];
    for (const [key, { element, wasPresent }] of this.touched) {
      const desired = this.desired.get(key);
      if (desired !== undefined && !wasPresent) added.push(desired);
      if (desired === undefined && wasPresent) removed.push(element);
    }
    return { added, removed };
  }

  adopt(present: ReadonlyMap<string, NftElement>): void {
    this.touched.clear();
    for (const [key, element] of this.desired) {
      if (!present.has(key)) this.touched.set(key, { element, wasPresent: false });
    }
    for (const [key, element] of present) {
      if (!this.desired.has(key)) this.touched.set(key, { element, wasPresent: true });
    }
  }

  #touch(key: string, element: NftElement): void {
    if (this.touched.has(key)) return;
    this.touched.set(key, { element, wasPresent: this.desired.has(key) });
  }
}

/** What a dump of the kernel's table says. Elements by set name and element key. */
export interface KernelTable {
  /** NFT_TABLE_F_*, such as dormant: hooked nowhere. Ours has none. */
  readonly flags?: number;
  readonly chains: ReadonlyMap<string, NftChain>;
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, NftElement>>;
  readonly counters: ReadonlyMap<string, NftCounter>;
}

export class Table {
  /** Whether the table itself is in the kernel. */
  exists = false;
  readonly chains = new Tracked<NftChain>();
  readonly sets = new Tracked<NftSet>();
  readonly counters = new Tracked<NftCounter>();
  readonly #elements = new Map<string, TrackedElements>();
  readonly #dirtyElements = new Set<string>();
  /** Origins of sets that are not sent. */
  readonly #withheld = new Set<string>();

  /** Sets of this origin stay as the kernel has them, until `release`: it refused them. Nothing may refer to them meanwhile. */
  withhold(origin: string): void {
    this.#withheld.add(origin);
  }

  release(): void {
    this.#withheld.clear();
  }

  isWithheld({ origin }: NftSet): boolean {
    return this.#withheld.has(origin);
  }

  /** A set deleted since the last transaction and put again keeps its kernel elements, which now count as unwanted. */
  putSet(set: NftSet): void {
    this.sets.put(set.name, set);
    if (!this.#elements.has(set.name)) this.#elements.set(set.name, new TrackedElements());
    this.#dirtyElements.add(set.name);
  }

  deleteSet(name: string): void {
    this.sets.delete(name);
    const elements = this.#elements.get(name);
    for (const key of elements?.desired.keys() ?? []) elements?.delete(key);
    this.#dirtyElements.add(name);
  }

  /** The set must have been put. The key of a verdict map's element includes the verdict. */
  putElement(set: NftSet, element: NftElement): void {
    this.#elements.get(set.name)?.put(elementKey(set, element), element);
    this.#dirtyElements.add(set.name);
  }

  deleteElement(set: NftSet, element: NftElement): void {
    this.#elements.get(set.name)?.delete(elementKey(set, element));
    this.#dirtyElements.add(set.name);
  }

  /** Element differences by set, for sets that are desired and not withheld. */
  elementDeltas(): Map<NftSet, ElementDelta> {
    const deltas = new Map<NftSet, ElementDelta>();
    for (const name of this.#dirtyElements) {
      const set = this.sets.desired.get(name);
      const delta = this.#elements.get(name)?.delta();
      if (set === undefined || delta === undefined || this.isWithheld(set)) continue;
      deltas.set(set, delta);
    }
    return deltas;
  }

  /** Desired elements. */
  elementsOf(setName: string): NftElement[] {
    return [...this.elementMap(setName).values()];
  }

  /** Desired elements by their keys, for now: it changes with the table. */
  elementMap(setName: string): ReadonlyMap<string, NftElement> {
    return this.#elements.get(setName)?.desired ?? NO_ELEMENTS;
  }

  /** How many they are. */
  sizeOf(setName: string): number {
    return this.#elements.get(setName)?.desired.size ?? 0;
  }

  settle(): void {
    this.exists = true;
    this.chains.settle();
    this.sets.settle((set) => !this.isWithheld(set));
    this.counters.settle();
    for (const name of this.#dirtyElements) {
      const set = this.sets.desired.get(name);
      if (set !== undefined && this.isWithheld(set)) continue;
      if (set === undefined) this.#elements.delete(name);
      else this.#elements.get(name)?.touched.clear();
      this.#dirtyElements.delete(name);
    }
  }

  /** Called when the kernel has accepted these operations, which are only a part of what differs. */
  settleOps(ops: readonly NftOp[]): void {
    this.exists = true;
    for (const op of ops) {
      if (op.op === 'add-elements' || op.op === 'delete-elements') {
        const touched = this.#elements.get(op.set.name)?.touched;
        for (const element of op.elements) touched?.delete(elementKey(op.set, element));
      } else this.#settleObject(op);
    }
  }

  #settleObject(op: NftOp): void {
    switch (op.op) {
      case 'add-chain':
        return this.chains.settleOne(op.chain.name);
      case 'flush-chain':
      case 'delete-chain':
        return this.chains.settleOne(op.name);
      case 'add-set':
        return this.sets.settleOne(op.set.name);
      case 'delete-set':
        this.#elements.delete(op.name);
        return this.sets.settleOne(op.name);
      case 'add-counter':
        return this.counters.settleOne(op.counter.name);
      case 'delete-counter':
        return this.counters.settleOne(op.name);
      case 'add-table':
      case 'delete-table':
      case 'add-rule':
      case 'add-elements':
      case 'delete-elements':
        return;
    }
  }

  /** Takes what the kernel has from a dump; `undefined` = no such table. */
  adopt(kernel: KernelTable | undefined): void {
    this.exists = kernel !== undefined;
    this.chains.adopt(kernel?.chains ?? new Map<string, NftChain>());
    this.sets.adopt(kernel?.sets ?? new Map<string, NftSet>());
    this.counters.adopt(kernel?.counters ?? new Map<string, NftCounter>());
    for (const name of kernel?.sets.keys() ?? []) {
      if (!this.#elements.has(name)) this.#elements.set(name, new TrackedElements());
    }
    for (const [name, elements] of this.#elements) {
      elements.adopt(kernel?.elements.get(name) ?? new Map<string, NftElement>());
      this.#dirtyElements.add(name);
    }
  }
}
