/**
 * Chains in use, shared and counted. A chain lives while something refers to it; with it live the counters and constant sets of its rules.
 * Comes in: acquire and release by name. Goes out: puts and deletes on the desired table.
 */
import type { ConstantSet } from './lower-tests.ts';
import type { LoweredChain } from './lower-chain.ts';
import type { NftCounter } from './program.ts';
import type { Table } from './table.ts';

/** Reference counts by name; `first` and `last` run at the edges. */
class Refs<T> {
  readonly #counts = new Map<string, number>();
  readonly #first: (value: T) => void;
  readonly #last: (value: T) => void;

  constructor(first: (value: T) => void, last: (value: T) => void) {
    this.#first = first;
    this.#last = last;
  }

  acquire(name: string, value: T): void {
    const count = this.#counts.get(name) ?? 0;
    this.#counts.set(name, count + 1);
    if (count === 0) this.#first(value);
  }

  release(name: string, value: T): void {
    const count = this.#counts.get(name) ?? 0;
    if (count > 1) this.#counts.set(name, count - 1);
    else if (this.#counts.delete(name)) this.#last(value);
  }
}

export class ChainStore {
  readonly #table: Table;
  readonly #chains = new Map<string, LoweredChain>();
  readonly #counters: Refs<NftCounter>;
  readonly #constants: Refs<ConstantSet>;

  constructor(table: Table) {
    this.#table = table;
    this.#counters = new Refs(
      (counter) => table.counters.put(counter.name, counter),
      (counter) => table.counters.delete(counter.name),
    );
    this.#constants = new Refs(
      ({ set, elements }) => {
        table.putSet(set);
        for (const element of elements) table.putElement(set, element);
      },
      ({ set }) => table.deleteSet(set.name),
    );
  }

  /** Creates or rewrites a chain. */
  put(chain: LoweredChain): void {
    const before = this.#chains.get(chain.chain.name);
    for (const counter of chain.counters) this.#counters.acquire(counter.name, counter);
    for (const constant of chain.constants) this.#constants.acquire(constant.set.name, constant);
    this.#chains.set(chain.chain.name, chain);
    this.#table.chains.put(chain.chain.name, chain.chain);
    if (before !== undefined) this.#releaseParts(before);
  }

  delete(name: string): void {
    const before = this.#chains.get(name);
    if (before === undefined) return;
    this.#chains.delete(name);
    this.#table.chains.delete(name);
    this.#releaseParts(before);
  }

  #releaseParts(chain: LoweredChain): void {
    for (const counter of chain.counters) this.#counters.release(counter.name, counter);
    for (const constant of chain.constants) this.#constants.release(constant.set.name, constant);
  }
}
