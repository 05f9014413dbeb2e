/** A dataplane that spoils what passes through it, for fault injection: operations on their way out, and the exchange itself. */
import type { CommitResult, Dataplane } from '../../agent/dataplane/dataplane.ts';
import { syscallError } from '../../agent/errors.ts';
import type { Expr, NftOp } from '../../compiler/nft/program.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';

/** What an exchange fails with, and whether the kernel has executed the transaction before. */
export interface ExchangeFault {
  readonly errno: number;
  readonly when: 'before' | 'after';
}

export class FaultyDataplane implements Dataplane {
  /** Changes an operation into one that the kernel refuses. */
  corrupt: (op: NftOp) => NftOp = (op) => op;
  /** Faults of the next commits, in order. */
  readonly commitFaults: ExchangeFault[] = [];
  /** errnos of the next dumps, in order. */
  readonly dumpFaults: number[] = [];
  /** Called while a commit is under way. */
  onCommit: () => void = () => undefined;
  /** Called while a dump is under way. */
  onDump: () => void = () => undefined;
  dumps = 0;
  readonly #inner: Dataplane;

  constructor(inner: Dataplane) {
    this.#inner = inner;
  }

  async commit(ops: readonly NftOp[]): Promise<CommitResult> {
    const fault = this.commitFaults.shift();
    if (fault?.when === 'before') throw syscallError('commit', fault.errno);
    const result = await this.#inner.commit(ops.map((op) => this.corrupt(op)));
    this.onCommit();
    if (fault?.when === 'after') throw syscallError('commit', fault.errno);
    return result;
  }

  async dump(): Promise<KernelTable | undefined> {
    this.dumps++;
    const errno = this.dumpFaults.shift();
    if (errno !== undefined) throw syscallError('dump', errno);
    const table = await this.#inner.dump();
    this.onDump();
    return table;
  }
}

/** A rule that tests something, with a load of 255 bytes from the packet in front, which fits into no register. */
export function withOverlongLoad(op: NftOp): NftOp {
  if (op.op !== 'add-rule' || op.rule.exprs.length <= 2) return op;
  const load: Expr = { kind: 'payload', base: 'network', offset: 0, lenBytes: 255, dreg: 8 };
  return { ...op, rule: { ...op.rule, exprs: [load, ...op.rule.exprs] } };
}

/** The set with a key of no bytes. */
export function withoutKey(op: NftOp): NftOp {
  return op.op === 'add-set' ? { ...op, set: { ...op.set, key: [] } } : op;
}

/** Rules that count for `counter`, as the number of their expressions. */
export function rulesOf(table: KernelTable | undefined, counter: string): number[] {
  return [...(table?.chains.values() ?? [])].flatMap(({ rules }) =>
    rules
      .filter(({ exprs }) => exprs.some((e) => e.kind === 'counter' && e.name === counter))
      .map(({ exprs }) => exprs.length),
  );
}

/** Everything in a table by name and size: equal for tables that enforce the same, whatever made them. */
export function outline(table: KernelTable | undefined): readonly string[] {
  if (table === undefined) return ['no table'];
  return [
    ...[...table.chains.values()].map(({ name, rules }) => `chain ${name} ${rules.length}`),
    ...[...table.sets.keys()].map((name) => `set ${name} ${table.elements.get(name)?.size ?? 0}`),
    ...[...table.counters.keys()].map((name) => `counter ${name}`),
  ].toSorted();
}
