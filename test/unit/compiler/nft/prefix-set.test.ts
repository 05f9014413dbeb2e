import test from 'ava';
import * as fc from 'fast-check';
import { ADDRESS_BITS, maskCidr, printCidr } from '../../../../compiler/model/ip.ts';
import type { Cidr } from '../../../../compiler/model/ip.ts';
import { PrefixSet } from '../../../../compiler/nft/prefix-set.ts';
import { cidr } from '../../../support/world.ts';

type Step = readonly ['+' | '-', string];

/** What the kernel holds after the steps, sorted. Throws when a delta contradicts what came before it. */
function visibleAfter(steps: readonly Step[]): string[] {
  const set = new PrefixSet();
  const visible = new Set<string>();
  for (const [sign, text] of steps) {
    const { added, removed } = sign === '+' ? set.add(cidr(text)) : set.remove(cidr(text));
    for (const gone of removed.map(printCidr)) {
      if (!visible.delete(gone)) throw new Error(`${gone} was not there`);
    }
    for (const came of added.map(printCidr)) {
      if (visible.has(came)) throw new Error(`${came} was there`);
      visible.add(came);
    }
  }
  return [...visible].sort();
}

interface Row {
  readonly name: string;
  readonly in: readonly Step[];
  readonly out: readonly string[];
}

const ROWS: readonly Row[] = [
  { name: 'nothing', in: [], out: [] },
  {
    name: 'a wider prefix hides narrower ones',
    in: [
      ['+', '10.1.0.0/16'],
      ['+', '10.2.0.0/16'],
      ['+', '10.0.0.0/8'],
    ],
    out: ['10.0.0.0/8'],
  },
  {
    name: 'what was hidden comes back',
    in: [
      ['+', '10.0.0.0/8'],
      ['+', '10.1.0.0/16'],
      ['+', '10.1.2.0/24'],
      ['-', '10.0.0.0/8'],
    ],
    out: ['10.1.0.0/16'],
  },
  {
    name: 'a hidden prefix goes unseen',
    in: [
      ['+', '0.0.0.0/0'],
      ['+', '10.1.0.0/16'],
      ['-', '10.1.0.0/16'],
    ],
    out: ['0.0.0.0/0'],
  },
  {
    name: 'everything uncovers both halves',
    in: [
      ['+', '::/1'],
      ['+', '8000::/1'],
      ['+', '::/0'],
      ['-', '::/0'],
    ],
    out: ['8000::/1', '::/1'],
  },
  {
    name: 'removing what is not in changes nothing',
    in: [
      ['+', '10.0.0.0/9'],
      ['+', '10.128.0.0/9'],
      ['-', '10.0.0.0/8'],
    ],
    out: ['10.0.0.0/9', '10.128.0.0/9'],
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.deepEqual(visibleAfter(row.in), row.out);
  });
}

const arbitraryPrefix = fc
  .tuple(fc.nat(15), fc.nat(8), fc.constantFrom(4 as const, 6 as const))
  .map(([value, prefixLen, family]) => {
    const shift = BigInt(ADDRESS_BITS[family] - 4);
    return maskCidr({ family, value: BigInt(value) << shift }, prefixLen);
  });

test('shows exactly the prefixes that no other one contains, whatever came and went', (t) => {
  fc.assert(
    fc.property(fc.array(arbitraryPrefix, { maxLength: 60 }), (toggled) => {
      for (const family of [4, 6] as const) {
        const members = new Map<string, Cidr>();
        const steps = toggled
          .filter((prefix) => prefix.family === family)
          .map((prefix): Step => {
            const text = printCidr(prefix);
            if (members.delete(text)) return ['-', text];
            members.set(text, prefix);
            return ['+', text];
          });
        const all = [...members.values()];
        const expected = all.filter(
          (inner) => !all.some((outer) => outer !== inner && covers(outer, inner)),
        );
        t.deepEqual(visibleAfter(steps), expected.map(printCidr).sort());
      }
    }),
    { numRuns: 300 },
  );
});

function covers(outer: Cidr, inner: Cidr): boolean {
  return (
    outer.prefixLen <= inner.prefixLen && maskCidr(inner, outer.prefixLen).value === outer.value
  );
}

test('is empty when everything that came has gone', (t) => {
  const set = new PrefixSet();
  const nets = ['10.0.0.0/8', '10.1.0.0/16', '192.168.0.0/16'].map(cidr);
  for (const net of nets) set.add(net);
  t.false(set.isEmpty);
  for (const net of nets) set.remove(net);
  t.true(set.isEmpty);
});
