/**
 * Canonical text per object: two objects that mean the same to the kernel have the same key. Desired objects and decoded ones
 * come in; handles, counter values and origins play no part. What a dump holds and lowering never makes (see `agent/netlink/
 * decode.ts`) has a key that no desired object has.
 */
import { fitComment } from './comment.ts';
import type {
  Expr,
  KeyPart,
  NftChain,
  NftCounter,
  NftElement,
  NftRule,
  NftSet,
  Verdict,
} from './program.ts';

/** Base hook and rules in order. */
export function chainKey(chain: NftChain): string {
  const base = chain.base === undefined ? '-' : `${chain.base.hook} ${chain.base.priority}`;
  return [`${chain.name} ${base}`, ...chain.rules.map(ruleKey)].join('\n');
}

export function ruleKey(rule: Pick<NftRule, 'exprs' | 'comment'>): string {
  return rule.exprs.map(exprKey).join('; ') + commentKey(rule.comment);
}

/** Without elements. */
export function setKey(set: NftSet): string {
  const flags = [set.interval, set.verdictMap, set.constant].map(Number).join('');
  return `${set.name} ${set.key.join('.')} ${flags}${commentKey(set.comment)}`;
}

/** Includes the verdict of a map's element. A single value in an interval set equals the range of just that value. */
export function elementKey(set: NftSet, element: NftElement): string {
  let text = partsKey(element.key);
  if (set.interval) text += `-${partsKey(element.keyEnd ?? element.key)}`;
  return set.verdictMap && element.verdict !== undefined
    ? `${text}:${verdictKey(element.verdict)}`
    : text;
}

export function counterKey(counter: NftCounter): string {
  return counter.name + commentKey(counter.comment);
}

function verdictKey(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}

/** One part alone is the common case and stays cheap. */
function partsKey(parts: readonly KeyPart[]): string {
  return parts.length === 1 ? String(parts[0]) : parts.map(String).join(' . ');
}

function commentKey(comment: string | undefined): string {
  return comment === undefined ? '' : ` # ${fitComment(comment)}`;
}

type ExprOf<K extends Expr['kind']> = Extract<Expr, { kind: K }>;

const EXPR_KEYS: { readonly [K in Expr['kind']]: (expr: ExprOf<K>) => string } = {
  meta: (e) => `${e.key} > ${e.dreg}`,
  'meta-set': (e) => `${e.key} < ${e.sreg}`,
  payload: (e) => `${e.base} ${e.offset} ${e.lenBytes} > ${e.dreg}`,
  ct: (e) => `${e.key} > ${e.dreg}`,
  fib: (e) => `${e.flags.toSorted().join('.')} ${e.result} > ${e.dreg}`,
  bitwise: (e) => `${e.sreg} & ${hex(e.mask)} ^ ${hex(e.xor)} > ${e.dreg}`,
  cmp: (e) => `${e.sreg} ${e.op} ${hex(e.data)}`,
  range: (e) => `${e.sreg} ${e.op} ${hex(e.low)}-${hex(e.high)}`,
  lookup: (e) => `${e.sreg} ${e.negate ? 'not ' : ''}${e.verdictMap ? 'vmap' : 'in'} ${e.set}`,
  counter: (e) => e.name,
  log: (e) => `${e.group} ${e.snaplenBytes} ${JSON.stringify(e.prefix)}`,
  limit: (e) => `${e.perSecond} ${e.burst}`,
  notrack: () => '',
  reject: (e) => e.reject,
  verdict: (e) => verdictKey(e.verdict),
  foreign: (e) => e.name,
};

function exprKey(expr: Expr): string {
  const key = EXPR_KEYS[expr.kind] as (expr: Expr) => string;
  return `${expr.kind} ${key(expr)}`;
}

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}
