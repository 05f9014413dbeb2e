/**
 * One bit of the packet mark: tests and changes that leave every other bit as it is, because others use those. Comes in: the bit. Goes out:
 * expressions. Refuses to know: what the bit says.
 */
import { FIRST_REGISTER, hostOrder } from './exprs.ts';
import type { Expr } from './program.ts';

const LOAD: Expr = Object.freeze({ kind: 'meta', key: 'mark', dreg: FIRST_REGISTER });
const STORE: Expr = Object.freeze({ kind: 'meta-set', key: 'mark', sreg: FIRST_REGISTER });

/** `meta mark & 0x10000000 == 0x10000000`: the bit is set. */
export function markHas(bit: number): Expr[] {
  return [
    LOAD,
    combine(bit, 0),
    { kind: 'cmp', op: 'eq', sreg: FIRST_REGISTER, data: hostOrder(bit) },
  ];
}

/** `meta mark set meta mark | 0x10000000` */
export function setMark(bit: number): Expr[] {
  return [LOAD, combine(~bit, bit), STORE];
}

/** `meta mark set meta mark & 0xefffffff` */
export function clearMark(bit: number): Expr[] {
  return [LOAD, combine(~bit, 0), STORE];
}

/** `(register & mask) ^ xor` */
function combine(mask: number, xor: number): Expr {
  const registers = { sreg: FIRST_REGISTER, dreg: FIRST_REGISTER };
  return { kind: 'bitwise', ...registers, mask: hostOrder(mask), xor: hostOrder(xor) };
}
