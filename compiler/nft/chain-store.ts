/**
 * Chains in use, shared and counted. A chain lives while something refers to it; with it live the counters and constant sets of its rules.
 * Comes in: acquire and release by name. Goes out: puts and deletes on the desired table.
 */
import { Refs } from './refs.ts';
import type { ConstantSet } from './lower-tests.ts';
import type { LoweredChain } from './lower-chain.ts';
import type { NftCounter } from './program.ts';
import type { Table } from './table.ts';

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
