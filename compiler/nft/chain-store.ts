/**
 * Chains in use, shared and counted. A chain lives while something refers to it; with it live the counters and constant sets of its rules.
 * Comes in: acquire and release by name. Goes out: puts and deletes on the desired table.
 */
import { Refs } from './refs.ts';
import type { ConstantSet } from './lower-tests.ts';
import type { LoweredChain } from './lower-chain.ts';
import { withLogging } from './logging.ts';
import type { LogConfig, LoggedRule } from './logging.ts';
import type { NftCounter } from './program.ts';
import type { RuleMeaning } from './rule-id.ts';
import type { Table } from './table.ts';

export class ChainStore {
  readonly #table: Table;
  readonly #chains = new Map<string, LoweredChain>();
  readonly #counters: Refs<NftCounter>;
  readonly #constants: Refs<ConstantSet>;
  readonly #logging: LogConfig;
  /** Rule ids of each chain. */
  readonly #ids = new Map<string, readonly LoggedRule[]>();
  readonly #rules: Refs<LoggedRule>;
  #ruleChanges = new Map<string, RuleMeaning | undefined>();

  constructor(table: Table, logging: LogConfig) {
    this.#table = table;
    this.#logging = logging;
    this.#rules = new Refs(
      ({ id, meaning }) => this.#ruleChanges.set(id, meaning),
      ({ id }) => this.#ruleChanges.set(id, undefined),
    );
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

  /** Ids of rules whose packets may be logged from now on, and of those that are gone (`undefined`), since the last call. */
  takeRuleChanges(): ReadonlyMap<string, RuleMeaning | undefined> {
    const changes = this.#ruleChanges;
    this.#ruleChanges = new Map();
    return changes;
  }

  /** Creates or rewrites a chain. */
  put(chain: LoweredChain): void {
    const { name } = chain.chain;
    const before = this.#chains.get(name);
    const { rules, logged } = withLogging(chain.chain.rules, this.#logging);
    for (const counter of chain.counters) this.#counters.acquire(counter.name, counter);
    for (const constant of chain.constants) this.#constants.acquire(constant.set.name, constant);
    for (const rule of logged) this.#rules.acquire(rule.id, rule);
    for (const rule of this.#ids.get(name) ?? []) this.#rules.release(rule.id, rule);
    this.#ids.set(name, logged);
    this.#chains.set(name, chain);
    this.#table.chains.put(name, { ...chain.chain, rules });
    if (before !== undefined) this.#releaseParts(before);
  }

  delete(name: string): void {
    const before = this.#chains.get(name);
    if (before === undefined) return;
    this.#chains.delete(name);
    for (const rule of this.#ids.get(name) ?? []) this.#rules.release(rule.id, rule);
    this.#ids.delete(name);
    this.#table.chains.delete(name);
    this.#releaseParts(before);
  }

  #releaseParts(chain: LoweredChain): void {
    for (const counter of chain.counters) this.#counters.release(counter.name, counter);
    for (const constant of chain.constants) this.#constants.release(constant.set.name, constant);
  }
}
