/**
 * Loads that a rule needs once. Comes in: the expressions of one rule, in order. Goes out: the same without loads of what their registers
 * hold already, as after another lookup of the same fields. The kernel takes at most 128 expressions per rule, and 4095 bytes of
 * them in its own form (NFT_RULE_MAXEXPRS and nf_tables_newrule in net/netfilter/nf_tables_api.c, v6.12). Refuses to know: what a load
 * means; two loads are alike when they are one object.
 */
import type { Expr } from './program.ts';

const REGISTER_BYTES = 4;
const IFNAME_BYTES = 16;

/** Loads for a lookup are one object per field and register (exprs.ts). */
export function withoutRepeatedLoads(exprs: readonly Expr[]): readonly Expr[] {
  /** First register of a load to the load, while all its registers are as it left them. */
  const held = new Map<number, Expr>();
  return exprs.filter((expr) => {
    const written = registersOf(expr);
    if (written === undefined) return true;
    if (held.get(written.first) === expr) return false;
    for (const [first, load] of held) {
      const size = registersOf(load)?.count ?? 0;
      if (first < written.first + written.count && written.first < first + size) held.delete(first);
    }
    if (expr.kind !== 'bitwise') held.set(written.first, expr);
    return true;
  });
}

/** 4-byte registers that an expression writes; `undefined` = none. */
function registersOf(expr: Expr): { readonly first: number; readonly count: number } | undefined {
  switch (expr.kind) {
    case 'payload':
      return { first: expr.dreg, count: Math.ceil(expr.lenBytes / REGISTER_BYTES) };
    case 'meta': {
      const isName = expr.key === 'iifname' || expr.key === 'oifname';
      return { first: expr.dreg, count: isName ? IFNAME_BYTES / REGISTER_BYTES : 1 };
    }
    case 'ct':
    case 'fib':
      return { first: expr.dreg, count: 1 };
    case 'bitwise':
      return { first: expr.dreg, count: Math.ceil(expr.mask.length / REGISTER_BYTES) };
    case 'meta-set':
    case 'cmp':
    case 'range':
    case 'lookup':
    case 'counter':
    case 'log':
    case 'limit':
    case 'notrack':
    case 'reject':
    case 'verdict':
    case 'foreign':
      return undefined;
  }
}
