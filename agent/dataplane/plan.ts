/**
 * Differences to an ordered transaction: referents before what refers to them, removals in reverse. Pure: the table in, operations out.
 * Chains are rewritten whole and only when their rules differ.
 */
import { chainKey, setKey } from '../../compiler/nft/key.ts';
import type { NftChain, NftElement, NftOp, NftSet } from '../../compiler/nft/program.ts';
import type { KernelTable, Table } from '../../compiler/nft/table.ts';

/** What of a difference goes into one transaction, where it is not everything. */
export interface Part {
  /** Chains that stay as the kernel has them, and with them the verdict map elements that lead there. */
  readonly held: ReadonlySet<string>;
  /** Sets and counters that are not removed yet. */
  readonly kept: ReadonlySet<string>;
  /** How many of the elements missing from a set are added now, by its name; all where it is not named. */
  readonly additions: ReadonlyMap<string, number>;
}

const EVERYTHING: Part = { held: new Set(), kept: new Set(), additions: new Map() };

export function plan(table: Table, part: Part = EVERYTHING): NftOp[] {
  const chains = changedChains(table, part.held);
  const elements = [...table.elementDeltas()];
  const verdicts = withoutHeld(
    elements.filter(([set]) => set.verdictMap),
    part.held,
  );
  const members = cut(
    elements.filter(([set]) => !set.verdictMap),
    part.additions,
  );
  const ops: NftOp[] = [
    ...removals(verdicts),
    ...addedCounters(table),
    ...addedSets(table),
    ...removals(members),
    ...additions(members),
    ...chains.added.map((chain): NftOp => ({ op: 'add-chain', chain, origin: chain.name })),
    ...[...chains.rewritten, ...chains.removed].map((name): NftOp => flush(name)),
    ...chains.written.flatMap(rulesOf),
    ...additions(verdicts),
    // Sets before chains: elements of a verdict map that is not ours may lead to them.
    ...removedSets(table, part.kept),
    ...chains.removed.map((name): NftOp => ({ op: 'delete-chain', name, origin: name })),
    ...removedCounters(table, part.kept),
  ];
  return table.exists || ops.length === 0 ? ops : [{ op: 'add-table', origin: 'table' }, ...ops];
}

/** Whether the kernel's table can be brought up to date without replacing it, its sets or its base chains in place. */
export function isAdoptable(table: Table, kernel: KernelTable): boolean {
  if ((kernel.flags ?? 0) !== 0) return false;
  for (const [name, set] of kernel.sets) {
    const desired = table.sets.desired.get(name);
    if (desired !== undefined && setKey(desired) !== setKey(set)) return false;
  }
  for (const [name, chain] of kernel.chains) {
    const desired = table.chains.desired.get(name);
    if (desired !== undefined && baseText(desired) !== baseText(chain)) return false;
  }
  return true;
}

function baseText(chain: NftChain): string {
  return chain.base === undefined ? '' : `${chain.base.hook} ${chain.base.priority}`;
}

export interface ChainChanges {
  readonly added: readonly NftChain[];
  readonly rewritten: readonly string[];
  readonly removed: readonly string[];
  /** Added and rewritten: their rules have to be sent. */
  readonly written: readonly NftChain[];
}

/** Chains that differ, but for `held`. */
export function changedChains(
  { chains }: Table,
  held: ReadonlySet<string> = EVERYTHING.held,
): ChainChanges {
  const added: NftChain[] = [];
  const rewritten: NftChain[] = [];
  const removed: string[] = [];
  for (const name of chains.dirty) {
    if (held.has(name)) continue;
    const desired = chains.desired.get(name);
    const actual = chains.actual.get(name);
    if (desired === undefined) {
      if (actual !== undefined) removed.push(name);
    } else if (actual === undefined) added.push(desired);
    else if (chainKey(desired) !== chainKey(actual)) rewritten.push(desired);
  }
  const names = rewritten.map((chain) => chain.name);
  return { added, rewritten: names, removed, written: [...added, ...rewritten] };
}

function flush(name: string): NftOp {
  return { op: 'flush-chain', name, origin: name };
}

function rulesOf(chain: NftChain): NftOp[] {
  return chain.rules.map((rule) => ({
    op: 'add-rule',
    chain: chain.name,
    rule,
    origin: rule.origin,
  }));
}

type Deltas = readonly [
  NftSet,
  { readonly added: readonly NftElement[]; readonly removed: readonly NftElement[] },
][];

/** An entry of a map waits as a whole: where it leads to or led to a held chain, neither comes nor goes yet. */
function withoutHeld(deltas: Deltas, held: ReadonlySet<string>): Deltas {
  if (held.size === 0) return deltas;
  const waits = ({ verdict }: NftElement): boolean =>
    verdict !== undefined && 'chain' in verdict && held.has(verdict.chain);
  return deltas.map(([set, { added, removed }]) => {
    const waiting = new Set([...added, ...removed].filter(waits).map(entryOf));
    const isFree = (element: NftElement): boolean => !waiting.has(entryOf(element));
    return [set, { added: added.filter(isFree), removed: removed.filter(isFree) }];
  });
}

/** The key of a map's entry, whatever its verdict. */
export function entryOf({ key }: NftElement): string {
  return key.join(' ');
}

function cut(deltas: Deltas, additions: Part['additions']): Deltas {
  if (additions.size === 0) return deltas;
  return deltas.map(([set, { added, removed }]) => [
    set,
    { added: added.slice(0, additions.get(set.name)), removed },
  ]);
}

/** Elements that go. An element that comes back under the same key with another verdict was removed before. */
function removals(deltas: Deltas): NftOp[] {
  return deltas.flatMap(([set, { removed }]) =>
    removed.length === 0
      ? []
      : [{ op: 'delete-elements', set, elements: removed, origin: set.origin }],
  );
}

function additions(deltas: Deltas): NftOp[] {
  return deltas.flatMap(([set, { added }]) =>
    added.length === 0 ? [] : [{ op: 'add-elements', set, elements: added, origin: set.origin }],
  );
}

function addedSets(table: Table): NftOp[] {
  const { sets } = table;
  return [...sets.dirty].flatMap((name) => {
    const set = sets.desired.get(name);
    return set === undefined || sets.actual.has(name) || table.isWithheld(set)
      ? []
      : [{ op: 'add-set', set, origin: set.origin }];
  });
}

function removedSets({ sets }: Table, kept: ReadonlySet<string>): NftOp[] {
  return [...sets.dirty]
    .filter((name) => !kept.has(name))
    .filter((name) => !sets.desired.has(name) && sets.actual.has(name))
    .map((name) => ({ op: 'delete-set', name, origin: name }));
}

function addedCounters({ counters }: Table): NftOp[] {
  return [...counters.dirty].flatMap((name) => {
    const counter = counters.desired.get(name);
    return counter === undefined || counters.actual.has(name)
      ? []
      : [{ op: 'add-counter', counter, origin: counter.origin }];
  });
}

function removedCounters({ counters }: Table, kept: ReadonlySet<string>): NftOp[] {
  return [...counters.dirty]
    .filter((name) => !kept.has(name))
    .filter((name) => !counters.desired.has(name) && counters.actual.has(name))
    .map((name) => ({ op: 'delete-counter', name, origin: name }));
}
