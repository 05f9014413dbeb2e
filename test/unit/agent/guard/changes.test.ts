import test from 'ava';
import { changesOf, printChanges } from '../../../../agent/guard/changes.ts';
import type { NftChain, NftElement, NftSet } from '../../../../compiler/nft/program.ts';
import type { KernelTable } from '../../../../compiler/nft/table.ts';

function chain(name: string, ...comments: readonly string[]): [string, NftChain] {
  const rules = comments.map((comment) => ({
    exprs: [{ kind: 'verdict', verdict: { kind: 'drop' } }] as const,
    comment,
    origin: 'test',
  }));
  return [name, { name, base: undefined, rules }];
}

const SET: NftSet = {
  name: 's',
  key: ['ipv4_addr', 'inet_service'],
  interval: true,
  verdictMap: false,
  constant: false,
  comment: undefined,
  origin: 'test',
};

function element(first: bigint, last: bigint, port: number): [string, NftElement] {
  const parts = { key: [first, port], keyEnd: [last, port], verdict: undefined };
  return [`${first}-${last} ${port}`, parts];
}

function table(parts: Partial<KernelTable>): KernelTable {
  const empty = { chains: new Map(), sets: new Map(), elements: new Map(), counters: new Map() };
  return { ...empty, ...parts };
}

const FULL = table({
  chains: new Map([chain('c', 'one', 'two')]),
  sets: new Map([['s', SET]]),
  elements: new Map([['s', new Map([element(0x0a000000n, 0x0a0000ffn, 80)])]]),
});

for (const {
  name,
  in: [actual, desired],
  out,
} of [
  { name: 'nothing', in: [FULL, FULL], out: [] },
  {
    name: 'everything',
    in: [undefined, FULL],
    out: [
      '+ table inet picket',
      '+ chain c: rules +2 -0',
      '    + one: [ immediate reg 0 drop ]',
      '    + two: [ immediate reg 0 drop ]',
      '+ set s: elements +1 -0',
      '    + 10.0.0.0-10.0.0.255 . 80',
    ],
  },
  {
    name: 'one rule and one element',
    in: [
      FULL,
      table({
        chains: new Map([chain('c', 'one', 'three')]),
        sets: FULL.sets,
        elements: new Map([['s', new Map([element(0x0a000001n, 0x0a000001n, 80)])]]),
      }),
    ],
    out: [
      '~ chain c: rules +1 -1',
      '    - two: [ immediate reg 0 drop ]',
      '    + three: [ immediate reg 0 drop ]',
      '~ set s: elements +1 -1',
      '    - 10.0.0.0-10.0.0.255 . 80',
      '    + 10.0.0.1 . 80',
    ],
  },
  {
    name: 'the order of rules alone',
    in: [FULL, table({ ...FULL, chains: new Map([chain('c', 'two', 'one')]) })],
    out: ['~ chain c'],
  },
  {
    name: 'more than people read',
    in: [
      table({}),
      table({ chains: new Map([chain('c', ...Array.from({ length: 14 }, (_, i) => `r${i}`))]) }),
    ],
    out: [
      '+ chain c: rules +14 -0',
      ...Array.from({ length: 12 }, (_, i) => `    + r${i}: [ immediate reg 0 drop ]`),
      '    … and 2 more',
    ],
  },
] satisfies readonly {
  name: string;
  in: readonly [KernelTable | undefined, KernelTable];
  out: readonly string[];
}[]) {
  test(`what would change: ${name}`, (t) => {
    t.deepEqual(printChanges(changesOf(actual, desired)), out);
  });
}
