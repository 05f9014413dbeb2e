/** A table in memory that accepts transactions as the kernel does: all or nothing, references checked. For dry runs and fault injection. */
import { elementKey } from '../../compiler/nft/key.ts';
import type {
  Expr,
  NftChain,
  NftCounter,
  NftElement,
  NftOp,
  NftSet,
} from '../../compiler/nft/program.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';
import type { CommitResult, Dataplane, Refusal } from './dataplane.ts';

interface FakeTable extends KernelTable {
  readonly chains: Map<string, NftChain>;
  readonly sets: Map<string, NftSet>;
  readonly elements: Map<string, Map<string, NftElement>>;
  readonly counters: Map<string, NftCounter>;
}

export class FakeDataplane implements Dataplane {
  /** Every transaction accepted so far. */
  readonly transactions: (readonly NftOp[])[] = [];
  dumps = 0;
  /** Says which operations to refuse, as `errnoName`; `undefined` = accept. */
  refuse: (op: NftOp) => string | undefined = () => undefined;
  #table: FakeTable | undefined;

  commit(ops: readonly NftOp[]): Promise<CommitResult> {
    const refusals: Refusal[] = [];
    const draft = this.#table === undefined ? undefined : copy(this.#table);
    const state = { table: draft };
    for (const op of ops) {
      const errnoName = this.refuse(op) ?? execute(state, op);
      if (errnoName !== undefined) refusals.push({ op, errno: 1, errnoName, extAck: '' });
    }
    const dangling = refusals.length === 0 ? findDangling(state.table) : undefined;
    if (dangling !== undefined) {
      refusals.push({ op: undefined, errno: 1, errnoName: 'ENOENT', extAck: dangling });
    }
    if (refusals.length > 0) return Promise.resolve({ ok: false, refusals });
    this.#table = state.table;
    this.transactions.push(ops);
    return Promise.resolve({ ok: true });
  }

  dump(): Promise<KernelTable | undefined> {
    this.dumps++;
    return Promise.resolve(this.#table === undefined ? undefined : copy(this.#table));
  }

  /** Somebody else flushes the ruleset. */
  flush(): void {
    this.#table = undefined;
  }
}

function copy(table: FakeTable): FakeTable {
  return {
    chains: new Map(table.chains),
    sets: new Map(table.sets),
    elements: new Map([...table.elements].map(([name, elements]) => [name, new Map(elements)])),
    counters: new Map(table.counters),
  };
}

/** The errno name of what the kernel would refuse. */
function execute(state: { table: FakeTable | undefined }, op: NftOp): string | undefined {
  if (op.op === 'add-table') {
    state.table ??= {
      chains: new Map(),
      sets: new Map(),
      elements: new Map(),
      counters: new Map(),
    };
    return undefined;
  }
  const { table } = state;
  if (table === undefined) return 'ENOENT';
  switch (op.op) {
    case 'delete-table':
      state.table = undefined;
      return undefined;
    case 'add-counter':
      table.counters.set(op.counter.name, op.counter);
      return undefined;
    case 'delete-counter':
      if (isInUse(table, 'counter', op.name)) return 'EBUSY';
      return table.counters.delete(op.name) ? undefined : 'ENOENT';
    case 'add-set':
      if (table.sets.has(op.set.name)) return 'EEXIST';
      table.sets.set(op.set.name, op.set);
      table.elements.set(op.set.name, new Map());
      return undefined;
    case 'delete-set':
      if (isInUse(table, 'set', op.name)) return 'EBUSY';
      table.elements.delete(op.name);
      return table.sets.delete(op.name) ? undefined : 'ENOENT';
    case 'add-elements':
    case 'delete-elements':
      return changeElements(table, op);
    case 'add-chain':
      table.chains.set(op.chain.name, { ...op.chain, rules: [] });
      return undefined;
    case 'flush-chain':
    case 'add-rule':
      return changeRules(table, op);
    case 'delete-chain':
      if (isInUse(table, 'chain', op.name)) return 'EBUSY';
      return table.chains.delete(op.name) ? undefined : 'ENOENT';
  }
}

function changeElements(
  table: FakeTable,
  op: NftOp & { op: 'add-elements' | 'delete-elements' },
): string | undefined {
  const elements = table.elements.get(op.set.name);
  if (elements === undefined) return 'ENOENT';
  for (const element of op.elements) {
    const key = elementKey(op.set, element);
    if (op.op === 'add-elements') {
      if (contradicts(op.set, element, key, elements)) return 'EEXIST';
      elements.set(key, element);
    } else if (!elements.delete(key)) return 'ENOENT';
  }
  return undefined;
}

/** Interval sets larger than this are not searched for overlaps. */
const MAX_SEARCHED = 1000;

/** A map has another verdict for the key, or the set a range that overlaps without being the same. */
function contradicts(
  set: NftSet,
  element: NftElement,
  key: string,
  elements: ReadonlyMap<string, NftElement>,
): boolean {
  if (elements.has(key)) return false;
  if (!set.verdictMap && (!set.interval || elements.size > MAX_SEARCHED)) return false;
  return [...elements.values()].some((other) =>
    element.key.every((first, part) => {
      const [last, otherFirst = first] = [element.keyEnd?.[part] ?? first, other.key[part]];
      return otherFirst <= last && first <= (other.keyEnd?.[part] ?? otherFirst);
    }),
  );
}

/** Something refers to it at this point of the transaction: nf_tables counts references as it goes. */
function isInUse(table: FakeTable, kind: Reference['kind'], name: string): boolean {
  for (const chain of table.chains.values()) {
    for (const { exprs } of chain.rules) {
      if (exprs.some((expr) => isTo(referenceOf(expr), kind, name))) return true;
    }
  }
  if (kind !== 'chain') return false;
  return [...table.sets.values()].some(
    (set) =>
      set.verdictMap &&
      [...(table.elements.get(set.name)?.values() ?? [])].some(
        ({ verdict }) => verdict !== undefined && 'chain' in verdict && verdict.chain === name,
      ),
  );
}

interface Reference {
  readonly kind: 'set' | 'counter' | 'chain';
  readonly name: string;
}

function isTo(reference: Reference | undefined, kind: string, name: string): boolean {
  return reference?.kind === kind && reference.name === name;
}

function referenceOf(expr: Expr): Reference | undefined {
  if (expr.kind === 'lookup') return { kind: 'set', name: expr.set };
  if (expr.kind === 'counter') return { kind: 'counter', name: expr.name };
  if (expr.kind === 'verdict' && 'chain' in expr.verdict) {
    return { kind: 'chain', name: expr.verdict.chain };
  }
  return undefined;
}

function changeRules(
  table: FakeTable,
  op: NftOp & { op: 'flush-chain' | 'add-rule' },
): string | undefined {
  const name = op.op === 'flush-chain' ? op.name : op.chain;
  const chain = table.chains.get(name);
  if (chain === undefined) return 'ENOENT';
  const rules = op.op === 'flush-chain' ? [] : [...chain.rules, op.rule];
  table.chains.set(name, { ...chain, rules });
  return undefined;
}

/** A reference to something that is not there, after the whole transaction. */
function findDangling(table: FakeTable | undefined): string | undefined {
  for (const chain of table?.chains.values() ?? []) {
    for (const reference of chain.rules.flatMap(({ exprs }) => exprs.map(referenceOf))) {
      if (reference === undefined || table === undefined) continue;
      const objects = { set: table.sets, counter: table.counters, chain: table.chains };
      if (!objects[reference.kind].has(reference.name)) {
        return `${reference.kind} ${reference.name}`;
      }
    }
  }
  for (const elements of table?.elements.values() ?? []) {
    for (const { verdict } of elements.values()) {
      if (
        verdict !== undefined &&
        'chain' in verdict &&
        table?.chains.has(verdict.chain) === false
      ) {
        return `chain ${verdict.chain}`;
      }
    }
  }
  return undefined;
}
