/** Kernel tables as text, so that two of them can be compared byte by byte. */
import { chainKey, counterKey, setKey } from '../../compiler/nft/key.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';

/** Every object and element, one per line or chain, sorted; '' = no table. */
export function printKernelTable(table: KernelTable | undefined): string {
  if (table === undefined) return '';
  const elements = [...table.elements].flatMap(([set, members]) =>
    [...members.keys()].map((member) => `element ${set} ${member}`),
  );
  return [
    ...[...table.counters.values()].map((counter) => `counter ${counterKey(counter)}`),
    ...[...table.sets.values()].map((set) => `set ${setKey(set)}`),
    ...elements,
    ...[...table.chains.values()].map((chain) => `chain ${chainKey(chain)}`),
  ]
    .sort()
    .join('\n');
}
