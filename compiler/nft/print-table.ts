/** The desired table as text for people and goldens: sets with their elements, then chains in libnftnl notation, sorted by name. */
import { printAddress } from '../model/ip.ts';
import { printChain } from './print.ts';
import type { DataType, KeyPart, NftChain, NftElement, NftSet, Verdict } from './program.ts';
import type { Table } from './table.ts';

/** `roots`: only these chains and what they lead to; `undefined` = everything. */
export function printTable(table: Table, roots?: readonly string[]): string {
  const chains = roots === undefined ? [...table.chains.desired.keys()] : reach(table, roots);
  const wanted = chains.sort().flatMap((name) => table.chains.desired.get(name) ?? []);
  const used = new Set(wanted.flatMap(setsOf));
  const sets = [...table.sets.desired.values()]
    .filter(({ name }) => roots === undefined || used.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    ...sets.map((set) => printSetContents(set, table.elementsOf(set.name))),
    ...wanted.map((chain) => printChain(chain).trimEnd()),
  ].join('\n');
}

function reach(table: Table, roots: readonly string[]): string[] {
  const names = new Set(roots);
  for (const name of names) {
    for (const rule of table.chains.desired.get(name)?.rules ?? []) {
      for (const expr of rule.exprs) {
        if (expr.kind === 'verdict' && 'chain' in expr.verdict) names.add(expr.verdict.chain);
      }
    }
  }
  return [...names];
}

function setsOf(chain: NftChain): string[] {
  return chain.rules.flatMap((rule) =>
    rule.exprs.flatMap((expr) => (expr.kind === 'lookup' ? [expr.set] : [])),
  );
}

function printSetContents(set: NftSet, elements: readonly NftElement[]): string {
  const kind = set.verdictMap ? 'map' : 'set';
  const type = set.key.join(' . ') + (set.verdictMap ? ' : verdict' : '');
  const comment = set.comment === undefined ? '' : ` # ${set.comment}`;
  const lines = elements.map((element) => `  ${printElement(set, element)}`).sort();
  return [`${kind} ${set.name} { ${type} }${comment}`, ...lines].join('\n');
}

function printElement(set: NftSet, { key, keyEnd, verdict }: NftElement): string {
  const first = printKey(set, key);
  const last = keyEnd === undefined ? first : printKey(set, keyEnd);
  const range = last === first ? first : `${first}-${last}`;
  return verdict === undefined ? range : `${range} : ${printVerdict(verdict)}`;
}

function printKey(set: NftSet, key: readonly KeyPart[]): string {
  return key.map((part, index) => printPart(set.key[index], part)).join(' . ');
}

function printPart(type: DataType | undefined, part: KeyPart): string {
  if (type === 'ipv4_addr') return printAddress({ family: 4, value: BigInt(part) });
  if (type === 'ipv6_addr') return printAddress({ family: 6, value: BigInt(part) });
  return String(part);
}

function printVerdict(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}
