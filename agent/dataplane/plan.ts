/**
 * Differences to an ordered transaction: referents before what refers to them, removals in reverse. Pure: the table in, operations out.
 * Chains are rewritten whole and only when their rules differ.
 */
import { chainKey, elementKey, setKey } from '../../compiler/nft/key.ts';
import type { NftChain, NftElement, NftOp, NftSet } from '../../compiler/nft/program.ts';
import type { KernelTable, Table } from '../../compiler/nft/table.ts';

export function plan(table: Table): NftOp[] {
  const chains = changedChains(table);
  const elements = [...table.elementDeltas()];
  const verdicts = elements.filter(([set]) => set.verdictMap);
  const members = elements.filter(([set]) => !set.verdictMap);
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
    ...chains.removed.map((name): NftOp => ({ op: 'delete-chain', name, origin: name })),
    ...removedSets(table),
    ...removedCounters(table),
  ];
  return table.exists || ops.length === 0 ? ops : [{ op: 'add-table', origin: 'table' }, ...ops];
}

/** Whether the kernel's table can be brought up to date without replacing sets or base chains in place. */
export function isAdoptable(table: Table, kernel: KernelTable): boolean {
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

interface ChainChanges {
  readonly added: readonly NftChain[];
  readonly rewritten: readonly string[];
  readonly removed: readonly string[];
  /** Added and rewritten: their rules have to be sent. */
  readonly written: readonly NftChain[];
}

function changedChains({ chains }: Table): ChainChanges {
  const added: NftChain[] = [];
  const rewritten: NftChain[] = [];
  const removed: string[] = [];
  for (const name of chains.dirty) {
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

function addedSets({ sets }: Table): NftOp[] {
  return [...sets.dirty].flatMap((name) => {
    const set = sets.desired.get(name);
    return set === undefined || sets.actual.has(name)
      ? []
      : [{ op: 'add-set', set, origin: set.origin }];
  });
}

function removedSets({ sets }: Table): NftOp[] {
  return [...sets.dirty]
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

function removedCounters({ counters }: Table): NftOp[] {
  return [...counters.dirty]
    .filter((name) => !counters.desired.has(name) && counters.actual.has(name))
    .map((name) => ({ op: 'delete-counter', name, origin: name }));
}

/** For tests and fakes: the elements of a set by key. */
export function keyed(set: NftSet, elements: readonly NftElement[]): Map<string, NftElement> {
  return new Map(elements.map((element) => [elementKey(set, element), element]));
}
