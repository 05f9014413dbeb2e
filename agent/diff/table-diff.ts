/**
 * Two tables object by object: what the kernel has against what it should have. Comes in: tables, or their objects as rows from a running agent.
 * Goes out: objects that are missing, too many or different, in a stable order.
 */
import { chainKey, counterKey, elementKey, ruleKey, setKey } from '../../compiler/nft/key.ts';
import type { KeyPart, NftElement, NftSet } from '../../compiler/nft/program.ts';
import type { KernelTable, Table } from '../../compiler/nft/table.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';

export interface TableObject {
  readonly kind: 'table' | 'chain' | 'set' | 'element' | 'counter';
  /** `chain input`; for an element its set and its value, as people read them. */
  readonly name: string;
  /** Equal for equal objects. */
  readonly key: string;
  /** A chain's rules. */
  readonly rules?: readonly string[];
}

export interface ObjectDifference {
  readonly kind: TableObject['kind'];
  readonly name: string;
  /** `missing`: the kernel lacks it. `extra`: nobody asked for it. */
  readonly state: 'missing' | 'extra' | 'different';
  /** Rules of a chain that differs: `-` the kernel lacks, `+` nobody asked for. */
  readonly rules: readonly string[];
}

/** A table whose elements are looked at set by set: a large one is never copied. */
export interface Listable extends Pick<KernelTable, 'flags' | 'chains' | 'sets' | 'counters'> {
  elementsOf(set: string): Iterable<NftElement>;
}

/** What a dump says; `undefined` = there is no table. */
export function kernelListable(kernel: KernelTable | undefined): Listable | undefined {
  return kernel && { ...kernel, elementsOf: (set) => kernel.elements.get(set)?.values() ?? [] };
}

/** What the kernel should have, but for what it refused. */
export function desiredListable(table: Table): Listable {
  const sets = new Map([...table.sets.desired].filter(([, set]) => !table.isWithheld(set)));
  const { chains, counters } = table;
  return {
    chains: chains.desired,
    sets,
    counters: counters.desired,
    elementsOf: (set) => table.elementsOf(set),
  };
}

/** Everything in a table, one by one; nothing without a table. */
export function* tableObjects(table: Listable | undefined): Generator<TableObject> {
  if (table === undefined) return;
  yield { kind: 'table', name: 'inet picket', key: `flags ${table.flags ?? 0}` };
  for (const chain of table.chains.values()) {
    yield {
      kind: 'chain',
      name: chain.name,
      key: chainKey(chain),
      rules: chain.rules.map(ruleKey),
    };
  }
  for (const set of table.sets.values()) {
    yield { kind: 'set', name: set.name, key: setKey(set) };
    for (const element of table.elementsOf(set.name)) {
      yield {
        kind: 'element',
        name: `${set.name} ${printElement(set, element)}`,
        key: elementKey(set, element),
      };
    }
  }
  for (const counter of table.counters.values()) {
    yield { kind: 'counter', name: counter.name, key: counterKey(counter) };
  }
}

export function diffObjects(
  actual: Iterable<TableObject>,
  desired: Iterable<TableObject>,
): readonly ObjectDifference[] {
  const found = new Map<string, TableObject>();
  for (const object of actual) found.set(`${object.kind} ${object.name}`, object);
  const differences: ObjectDifference[] = [];
  for (const object of desired) {
    const id = `${object.kind} ${object.name}`;
    const other = found.get(id);
    found.delete(id);
    const { kind, name } = object;
    if (other === undefined) differences.push({ kind, name, state: 'missing', rules: [] });
    else if (other.key !== object.key) {
      const rules = diffRules(other.rules ?? [], object.rules ?? []);
      differences.push({ kind, name, state: 'different', rules });
    }
  }
  for (const { kind, name } of found.values()) {
    differences.push({ kind, name, state: 'extra', rules: [] });
  }
  return differences.sort((a, b) => compareUtf8(a.kind, b.kind) || compareUtf8(a.name, b.name));
}

function diffRules(actual: readonly string[], desired: readonly string[]): readonly string[] {
  const rest = [...actual];
  const lines: string[] = [];
  for (const rule of desired) {
    const at = rest.indexOf(rule);
    if (at < 0) lines.push(`- ${rule}`);
    else rest.splice(at, 1);
  }
  lines.push(...rest.map((rule) => `+ ${rule}`));
  return lines.length > 0 ? lines : ['the same rules in another order, or another hook'];
}

/** `10.0.0.1`, `10.0.0.0-10.0.0.255`, `cali1 . 10.0.0.1 : goto from-shop/web`. */
function printElement(set: NftSet, { key, keyEnd, verdict }: NftElement): string {
  const parts = (values: readonly KeyPart[]): string =>
    values.map((value, at) => printPart(set, value, at)).join(' . ');
  const text = parts(key);
  const end = keyEnd === undefined ? text : parts(keyEnd);
  const range = end === text ? text : `${text}-${end}`;
  if (verdict === undefined) return range;
  return `${range} : ${verdict.kind}${'chain' in verdict ? ` ${verdict.chain}` : ''}`;
}

function printPart({ key }: NftSet, value: KeyPart, at: number): string {
  if (key[at] === 'ipv4_addr') return printAddress({ family: 4, value: BigInt(value) });
  if (key[at] === 'ipv6_addr') return printAddress({ family: 6, value: BigInt(value) });
  return String(value);
}

/** One line per object, and its rules below. */
export function printDifferences(differences: readonly ObjectDifference[]): readonly string[] {
  if (differences.length === 0) return ['the kernel has exactly what it should have'];
  const lines = differences
    .slice(0, MAX_SHOWN)
    .flatMap(({ kind, name, state, rules }) => [
      `${WORDS[state]} ${kind} ${name}`,
      ...rules.map((rule) => `    ${rule}`),
    ]);
  const more = differences.length - MAX_SHOWN;
  return [
    `${differences.length} ${differences.length === 1 ? 'object differs' : 'objects differ'}`,
    ...lines,
    ...(more > 0 ? [`and ${more} more: -o json shows all`] : []),
  ];
}

const MAX_SHOWN = 100;

const WORDS = { missing: 'missing:  ', extra: 'too much: ', different: 'different:' } as const;
