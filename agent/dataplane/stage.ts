/**
 * A difference to its next transaction. Normally that is all of it. When new sets bring more elements than one transaction should hold, they
 * are filled ahead, some elements at a time, while no rule refers to them; whatever needs them waits, everything else goes out at once.
 * Comes in: the table. Goes out: operations, and whether more is left. Refuses to know: how operations are sent. See adr/0004-transactions.md.
 */
import type { Expr, NftChain, NftElement, NftOp, NftSet } from '../../compiler/nft/program.ts';
import type { Table } from '../../compiler/nft/table.ts';
import { changedChains, entryOf, plan } from './plan.ts';
import type { Part } from './plan.ts';

/** Elements of new sets in one transaction: about 0.1 s of the kernel's commit lock (design section 5). */
export const MAX_NEW_ELEMENTS = 20_000;

export interface Step {
  readonly ops: readonly NftOp[];
  /** Nothing is left when these operations are in the kernel. */
  readonly isLast: boolean;
}

/** The next transaction; `isLast` with no operations = the kernel is up to date. */
export function planStep(table: Table, maxNewElements = MAX_NEW_ELEMENTS): Step {
  const fill = planFill(table, maxNewElements);
  if (fill === undefined) return { ops: plan(table), isLast: true };
  const held = findHeld(table, fill.incomplete);
  const part: Part = { held, kept: namesIn(table, held), additions: fill.additions };
  return { ops: plan(table, part), isLast: false };
}

interface Fill {
  /** How many of a new set's elements to send now, by name. */
  readonly additions: ReadonlyMap<string, number>;
  /** New sets that will not hold all their elements after this transaction. */
  readonly incomplete: ReadonlySet<string>;
}

/** Small sets first, so that what needs only them does not wait for the large ones. `undefined` = everything fits. */
function planFill(table: Table, maxNewElements: number): Fill | undefined {
  const growing = [...table.elementDeltas()]
    .filter(([set, { added }]) => !set.verdictMap && added.length > 0)
    .map(([set, { added }]) => ({ name: set.name, count: added.length }));
  if (sum(growing) <= maxNewElements) return undefined;
  const inUse = new Set([...table.chains.actual.values()].flatMap(setsOf));
  const unused = growing.filter(({ name }) => !inUse.has(name)).sort((a, b) => a.count - b.count);
  if (sum(unused) <= maxNewElements) return undefined;
  const additions = new Map<string, number>();
  const incomplete = new Set<string>();
  let left = maxNewElements;
  for (const { name, count } of unused) {
    const now = Math.min(left, count);
    left -= now;
    additions.set(name, now);
    if (now < count) incomplete.add(name);
  }
  return { additions, incomplete };
}

function sum(growing: readonly { readonly count: number }[]): number {
  return growing.reduce((total, { count }) => total + count, 0);
}

/**
 * Changed chains that have to wait: those that look up an incomplete set, and, so that no packet ever meets half of a program's change,
 * every changed chain of every program that has one of these. All of them while the table has no rules yet.
 */
function findHeld(table: Table, incomplete: ReadonlySet<string>): ReadonlySet<string> {
  const { desired, actual } = table.chains;
  const { written, removed } = changedChains(table);
  const changed = new Set([...written.map(({ name }) => name), ...removed]);
  if (actual.size === 0) return changed;
  const { leadsTo, ledToBy } = linkChains(table);
  const held = new Set(
    [...changed].filter((name) => {
      const chain = desired.get(name);
      return chain !== undefined && setsOf(chain).some((set) => incomplete.has(set));
    }),
  );
  for (let before = -1; before < held.size;) {
    before = held.size;
    for (const name of closure(closure(held, ledToBy), leadsTo)) {
      if (changed.has(name)) held.add(name);
    }
  }
  return held;
}

type Links = ReadonlyMap<string, ReadonlySet<string>>;

/** Which chain leads to which, now or as desired; two chains that take turns in one entry of a dispatch map count as linked. */
function linkChains(table: Table): { leadsTo: Links; ledToBy: Links } {
  const leadsTo = new Map<string, Set<string>>();
  const ledToBy = new Map<string, Set<string>>();
  const link = (from: string, to: string): void => {
    leadsTo.set(from, (leadsTo.get(from) ?? new Set<string>()).add(to));
    ledToBy.set(to, (ledToBy.get(to) ?? new Set<string>()).add(from));
  };
  for (const chain of [...table.chains.desired.values(), ...table.chains.actual.values()]) {
    for (const target of targetsOf(chain)) link(chain.name, target);
  }
  for (const [set, { added, removed }] of table.elementDeltas()) {
    if (!set.verdictMap) continue;
    const before = new Map(removed.map((element) => [entryOf(element), targetOf(element)]));
    for (const element of added) {
      const [from, to] = [before.get(entryOf(element)), targetOf(element)];
      if (from !== undefined && to !== undefined) {
        link(from, to);
        link(to, from);
      }
    }
  }
  return { leadsTo, ledToBy };
}

/** The names and everything that their links lead to. */
function closure(names: ReadonlySet<string>, links: Links): Set<string> {
  const found = new Set(names);
  for (const name of found) for (const next of links.get(name) ?? []) found.add(next);
  return found;
}

/** Sets and counters that held chains refer to in the kernel. */
function namesIn(table: Table, held: ReadonlySet<string>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const chain of held) {
    for (const expr of exprsOf(table.chains.actual.get(chain))) {
      if (expr.kind === 'lookup') names.add(expr.set);
      if (expr.kind === 'counter') names.add(expr.name);
    }
  }
  return names;
}

function setsOf(chain: NftChain): NftSet['name'][] {
  return exprsOf(chain).flatMap((expr) => (expr.kind === 'lookup' ? [expr.set] : []));
}

function targetsOf(chain: NftChain): string[] {
  return exprsOf(chain).flatMap((expr) =>
    expr.kind === 'verdict' && 'chain' in expr.verdict ? [expr.verdict.chain] : [],
  );
}

function exprsOf(chain: NftChain | undefined): readonly Expr[] {
  return chain?.rules.flatMap(({ exprs }) => exprs) ?? [];
}

function targetOf({ verdict }: NftElement): string | undefined {
  return verdict !== undefined && 'chain' in verdict ? verdict.chain : undefined;
}
