import test from 'ava';
import { loadKey, fieldLoads, lookupFields, rangeMatch } from '../../../../compiler/nft/exprs.ts';
import type { Expr } from '../../../../compiler/nft/program.ts';
import { withoutRepeatedLoads } from '../../../../compiler/nft/repeated-loads.ts';

const inSet = (set: string): Expr[] => lookupFields(['daddr', 'protocol', 'dport'], 4, set, true);
const fromSet = (set: string): Expr[] => lookupFields(['saddr'], 4, set);
/** Writes the register that a lookup of `saddr` reads. */
const port = rangeMatch('dport', 4, 80n, 80n);
const [address] = loadKey(fieldLoads(['saddr'], 6));

const last = (exprs: readonly Expr[]): Expr[] => exprs.slice(-1);

const ROWS: readonly { name: string; in: readonly Expr[]; out: readonly Expr[] }[] = [
  { name: 'nothing', in: [], out: [] },
  {
    name: 'lookups of the same fields share their loads',
    in: [...inSet('a'), ...inSet('b'), ...inSet('c')],
    out: [...inSet('a'), ...last(inSet('b')), ...last(inSet('c'))],
  },
  {
    name: 'another load of the same register ends it',
    in: [...fromSet('a'), ...port, ...fromSet('b')],
    out: [...fromSet('a'), ...port, ...fromSet('b')],
  },
  {
    name: 'the second part of a key in its register is not the first part alone',
    in: [...inSet('a'), ...fromSet('b'), ...inSet('c')],
    out: [
      ...inSet('a'),
      ...fromSet('b'),
      ...inSet('c').filter((expr) => expr.kind === 'lookup' || expr === inSet('c')[0]),
    ],
  },
  {
    name: 'a mask over part of a load ends it',
    in: [address, maskOf(9), address].flatMap((expr) => expr ?? []),
    out: [address, maskOf(9), address].flatMap((expr) => expr ?? []),
  },
  {
    name: 'a mask behind a load does not',
    in: [address, maskOf(12), address].flatMap((expr) => expr ?? []),
    out: [address, maskOf(12)].flatMap((expr) => expr ?? []),
  },
];

function maskOf(register: number): Expr {
  const mask = Uint8Array.of(255, 0, 0, 0);
  return { kind: 'bitwise', sreg: register, dreg: register, mask, xor: new Uint8Array(4) };
}

for (const row of ROWS) {
  test(row.name, (t) => {
    t.deepEqual(withoutRepeatedLoads(row.in), row.out);
  });
}
