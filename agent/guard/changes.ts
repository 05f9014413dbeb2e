/**
 * What a transaction would change, object by object. Comes in: the desired table and what the kernel has. Goes out: changes in the order that
 * people read them in, as data and as lines. Refuses to know: how they are sent.
 */
import { chainKey, counterKey, elementKey, ruleKey, setKey } from '../../compiler/nft/key.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import { printExpr } from '../../compiler/nft/print.ts';
import type {
  DataType,
  KeyPart,
  NftChain,
  NftElement,
  NftRule,
  NftSet,
} from '../../compiler/nft/program.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';

export interface Change {
  readonly kind: 'table' | 'chain' | 'set' | 'counter';
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** Rules of a chain, elements of a set. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Lines of one object that people see; the rest is counted. */
const MAX_LINES = 12;

const SIGN = { added: '+', removed: '-', changed: '~' } as const;

/** `undefined` = no table. */
export function changesOf(
  actual: KernelTable | undefined,
  desired: KernelTable,
): readonly Change[] {
  const before = actual ?? NOTHING;
  const table: Change = {
    kind: 'table',
    name: 'inet picket',
    change: 'added',
    added: [],
    removed: [],
  };
  return [
    ...(actual === undefined && desired.chains.size > 0 ? [table] : []),
    ...pairs(before.chains, desired.chains).flatMap(([name, a, b]) => chainChange(name, a, b)),
    ...pairs(before.sets, desired.sets).flatMap(([name, a, b]) => {
      return setChange(name, { set: a, table: before }, { set: b, table: desired });
    }),
    ...pairs(before.counters, desired.counters).flatMap(([name, a, b]) => {
      const same = a !== undefined && b !== undefined && counterKey(a) === counterKey(b);
      return same ? [] : change('counter', name, a, b, [], []);
    }),
  ];
}

const NOTHING: KernelTable = {
  chains: new Map(),
  sets: new Map(),
  elements: new Map(),
  counters: new Map(),
};

function pairs<T>(
  actual: ReadonlyMap<string, T>,
  desired: ReadonlyMap<string, T>,
): readonly (readonly [string, T | undefined, T | undefined])[] {
  const names = [...new Set([...actual.keys(), ...desired.keys()])].toSorted();
  return names.map((name) => [name, actual.get(name), desired.get(name)] as const);
}

function change<T>(
  kind: Change['kind'],
  name: string,
  actual: T | undefined,
  desired: T | undefined,
  added: readonly string[],
  removed: readonly string[],
): Change[] {
  const how = actual === undefined ? 'added' : desired === undefined ? 'removed' : 'changed';
  return [{ kind, name, change: how, added, removed }];
}

function chainChange(name: string, actual?: NftChain, desired?: NftChain): Change[] {
  if (actual !== undefined && desired !== undefined && chainKey(actual) === chainKey(desired)) {
    return [];
  }
  const [before, after] = [actual?.rules ?? [], desired?.rules ?? []];
  const added = without(after, before).map(printRule);
  const removed = without(before, after).map(printRule);
  return change('chain', name, actual, desired, added, removed);
}

/** Each rule as often as it is there more often. */
function without(rules: readonly NftRule[], others: readonly NftRule[]): readonly NftRule[] {
  const left = new Map<string, number>();
  for (const rule of others) left.set(ruleKey(rule), (left.get(ruleKey(rule)) ?? 0) + 1);
  return rules.filter((rule) => {
    const count = left.get(ruleKey(rule)) ?? 0;
    left.set(ruleKey(rule), count - 1);
    return count <= 0;
  });
}

/** The comment says what it is for; the expressions what it does. */
function printRule({ exprs, comment }: NftRule): string {
  const text = exprs.map(printExpr).join(' ');
  return comment === undefined ? text : `${comment}: ${text}`;
}

interface Filled {
  readonly set: NftSet | undefined;
  readonly table: KernelTable;
}

function setChange(name: string, actual: Filled, desired: Filled): Change[] {
  const [before, after] = [elementsOf(name, actual), elementsOf(name, desired)];
  const added = missingFrom(before, after, desired.set);
  const removed = missingFrom(after, before, actual.set);
  const isSame =
    actual.set !== undefined &&
    desired.set !== undefined &&
    setKey(actual.set) === setKey(desired.set);
  if (isSame && added.length + removed.length === 0) return [];
  return change('set', name, actual.set, desired.set, added, removed);
}

type Elements = ReadonlyMap<string, NftElement>;

/** By a key that both sides have in common. */
function elementsOf(name: string, { set, table }: Filled): Elements {
  if (set === undefined) return new Map();
  const elements: readonly NftElement[] = [...(table.elements.get(name)?.values() ?? [])];
  return new Map(elements.map((element) => [elementKey(set, element), element]));
}

/** Of `elements`, those that `others` lacks, as text. */
function missingFrom(others: Elements, elements: Elements, set: NftSet | undefined): string[] {
  if (set === undefined) return [];
  return [...elements].flatMap(([key, element]) => {
    return others.has(key) ? [] : [textOf(set, element)];
  });
}

/** `10.0.0.0-10.0.0.255 . 80: goto web`. */
function textOf(
  { key }: NftSet,
  { key: first, keyEnd: last = first, verdict }: NftElement,
): string {
  const parts = first.map((part, index) => {
    const [from, to] = [printPart(key[index], part), printPart(key[index], last[index] ?? part)];
    return from === to ? from : `${from}-${to}`;
  });
  const text = parts.join(' . ');
  if (verdict === undefined) return text;
  return `${text}: ${'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind}`;
}

function printPart(type: DataType | undefined, value: KeyPart): string {
  if (type === 'ipv4_addr') return printAddress({ family: 4, value: BigInt(value) });
  if (type === 'ipv6_addr') return printAddress({ family: 6, value: BigInt(value) });
  return String(value);
}

/** Lines without breaks; the objects that come first are said in full up to a dozen lines each. */
export function printChanges(changes: readonly Change[]): readonly string[] {
  return changes.flatMap(({ kind, name, change: how, added, removed }) => {
    const lines = [
      ...removed.map((text) => `    - ${text}`),
      ...added.map((text) => `    + ${text}`),
    ];
    const what = kind === 'set' ? 'elements' : 'rules';
    const counts = lines.length === 0 ? '' : `: ${what} +${added.length} -${removed.length}`;
    const rest = lines.length - MAX_LINES;
    return [
      `${SIGN[how]} ${kind} ${name}${counts}`,
      ...lines.slice(0, MAX_LINES),
      ...(rest > 0 ? [`    … and ${rest} more`] : []),
    ];
  });
}
