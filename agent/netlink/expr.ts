/**
 * Expressions of `compiler/nft/program.ts` as kernel expressions, and back. Two tables: by our kind for sending, by kernel name
 * for reading. A kernel expression that is not exactly what sending would make reads as `foreign`.
 */
import type { Expr, Verdict } from '../../compiler/nft/program.ts';
import { NetlinkEncodeError, Slice, type ValueOf, type Writer } from './codec.ts';
import { EXPRESSIONS, expr as exprAttrs, type verdict as verdictAttrs } from './schema/nftables.ts';
import * as k from './uapi.generated.ts';

type ExprOf<K extends Expr['kind']> = Extract<Expr, { kind: K }>;
type KernelName = keyof typeof EXPRESSIONS;
type Attrs<N extends KernelName> = ValueOf<(typeof EXPRESSIONS)[N]>;

const META_KEYS = {
  nfproto: k.NFT_META_NFPROTO,
  l4proto: k.NFT_META_L4PROTO,
  iif: k.NFT_META_IIF,
  mark: k.NFT_META_MARK,
  iifname: k.NFT_META_IIFNAME,
  oifname: k.NFT_META_OIFNAME,
} as const;
const PAYLOAD_BASES = {
  network: k.NFT_PAYLOAD_NETWORK_HEADER,
  transport: k.NFT_PAYLOAD_TRANSPORT_HEADER,
} as const;
const CT_KEYS = { state: k.NFT_CT_STATE, status: k.NFT_CT_STATUS } as const;
const FIB_FLAGS = {
  saddr: k.NFTA_FIB_F_SADDR,
  daddr: k.NFTA_FIB_F_DADDR,
  iif: k.NFTA_FIB_F_IIF,
  oif: k.NFTA_FIB_F_OIF,
} as const;
const CMP_OPS = {
  eq: k.NFT_CMP_EQ,
  neq: k.NFT_CMP_NEQ,
  lt: k.NFT_CMP_LT,
  lte: k.NFT_CMP_LTE,
  gt: k.NFT_CMP_GT,
  gte: k.NFT_CMP_GTE,
} as const;
const RANGE_OPS = { eq: k.NFT_RANGE_EQ, neq: k.NFT_RANGE_NEQ } as const;
const VERDICTS = {
  accept: k.NF_ACCEPT,
  drop: k.NF_DROP,
  return: k.NFT_RETURN,
  jump: k.NFT_JUMP,
  goto: k.NFT_GOTO,
} as const;

/** NFT_REG_1..4 name every fourth 4-byte register; the kernel reports those, so they are sent too. */
const toKernelRegister = (register: number): number =>
  register % 4 === 0 ? register / 4 - 1 : register;
const fromKernelRegister = (register: number): number =>
  register >= k.NFT_REG_1 && register <= k.NFT_REG_4 ? (register + 1) * 4 : register;

export function verdictToAttrs(verdict: Verdict): ValueOf<typeof verdictAttrs> {
  const code = VERDICTS[verdict.kind];
  return 'chain' in verdict ? { code, chain: verdict.chain } : { code };
}

/** `undefined` for codes we never use, such as NF_QUEUE. */
export function verdictFromAttrs(attrs: ValueOf<typeof verdictAttrs>): Verdict | undefined {
  const kind = keyOf(VERDICTS, attrs.code);
  if (kind === undefined) return undefined;
  if (kind !== 'jump' && kind !== 'goto') return { kind };
  return attrs.chain === undefined ? undefined : { kind, chain: attrs.chain };
}

type Encoder<K extends Expr['kind']> = readonly [
  name: string,
  write: (writer: Writer, expr: ExprOf<K>) => void,
];

const encoder = <K extends Expr['kind'], N extends KernelName>(
  _kind: K,
  name: N,
  toAttrs: (expr: ExprOf<K>) => Attrs<N>,
): Encoder<K> => [
  name,
  (writer, expr) =>
    (EXPRESSIONS[name].write as (w: Writer, v: Attrs<N>) => void)(writer, toAttrs(expr)),
];

const ENCODERS: { readonly [K in Exclude<Expr['kind'], 'foreign'>]: Encoder<K> } = {
  meta: encoder('meta', 'meta', (e) => ({
    dreg: toKernelRegister(e.dreg),
    key: META_KEYS[e.key],
  })),
  'meta-set': encoder('meta-set', 'meta', (e) => ({
    key: META_KEYS[e.key],
    sreg: toKernelRegister(e.sreg),
  })),
  payload: encoder('payload', 'payload', (e) => ({
    dreg: toKernelRegister(e.dreg),
    base: PAYLOAD_BASES[e.base],
    offset: e.offset,
    lenBytes: e.lenBytes,
  })),
  ct: encoder('ct', 'ct', (e) => ({ dreg: toKernelRegister(e.dreg), key: CT_KEYS[e.key] })),
  fib: encoder('fib', 'fib', (e) => ({
    dreg: toKernelRegister(e.dreg),
    result: e.result === 'type' ? k.NFT_FIB_RESULT_ADDRTYPE : k.NFT_FIB_RESULT_OIF,
    flags: e.flags.reduce(
      (flags, flag) => flags | FIB_FLAGS[flag],
      e.result === 'present' ? k.NFTA_FIB_F_PRESENT : 0,
    ),
  })),
  bitwise: encoder('bitwise', 'bitwise', (e) => ({
    sreg: toKernelRegister(e.sreg),
    dreg: toKernelRegister(e.dreg),
    lenBytes: e.mask.length,
    mask: { value: e.mask },
    xor: { value: e.xor },
  })),
  cmp: encoder('cmp', 'cmp', (e) => ({
    sreg: toKernelRegister(e.sreg),
    op: CMP_OPS[e.op],
    data: { value: e.data },
  })),
  range: encoder('range', 'range', (e) => ({
    sreg: toKernelRegister(e.sreg),
    op: RANGE_OPS[e.op],
    from: { value: e.low },
    to: { value: e.high },
  })),
  lookup: encoder('lookup', 'lookup', (e) => ({
    set: e.set,
    sreg: toKernelRegister(e.sreg),
    dreg: e.verdictMap ? k.NFT_REG_VERDICT : undefined,
    flags: e.negate ? k.NFT_LOOKUP_F_INV : 0,
  })),
  counter: encoder('counter', 'objref', (e) => ({ type: k.NFT_OBJECT_COUNTER, name: e.name })),
  log: encoder('log', 'log', (e) => ({
    group: e.group,
    prefix: e.prefix,
    snaplenBytes: e.snaplenBytes,
  })),
  limit: encoder('limit', 'limit', (e) => ({
    rate: BigInt(e.perSecond),
    unit: 1n,
    burst: e.burst,
    type: k.NFT_LIMIT_PKTS,
    flags: 0,
  })),
  notrack: encoder('notrack', 'notrack', () => ({})),
  reject: encoder('reject', 'reject', (e) =>
    e.reject === 'tcp-reset'
      ? { type: k.NFT_REJECT_TCP_RST, code: 0 }
      : { type: k.NFT_REJECT_ICMPX_UNREACH, code: k.NFT_REJECT_ICMPX_ADMIN_PROHIBITED },
  ),
  verdict: encoder('verdict', 'immediate', (e) => ({
    dreg: k.NFT_REG_VERDICT,
    data: { verdict: verdictToAttrs(e.verdict) },
  })),
};

/** Bytes of the frozen expressions that many rules share. */
const SHARED_BYTES = new WeakMap<Expr, Uint8Array>();

/** Writes the inside of one NFTA_LIST_ELEM. Throws NetlinkEncodeError for `foreign`. */
export function writeExpr(writer: Writer, expr: Expr): void {
  if (!Object.isFrozen(expr)) return encodeExpr(writer, expr);
  const known = SHARED_BYTES.get(expr);
  if (known !== undefined) return writer.raw(known);
  const at = writer.length;
  encodeExpr(writer, expr);
  SHARED_BYTES.set(expr, writer.bytes.slice(at, writer.length));
}

function encodeExpr(writer: Writer, expr: Expr): void {
  if (expr.kind === 'foreign') throw new NetlinkEncodeError(`foreign expression ${expr.name}`);
  const [name, write] = ENCODERS[expr.kind] as Encoder<Expr['kind']>;
  exprAttrs.write(writer, { name });
  const at = writer.beginAttr(k.NFTA_EXPR_DATA | k.NLA_F_NESTED);
  write(writer, expr);
  writer.endAttr(at);
}

/** Of an attribute set without anything the table does not name; `undefined` = not of our making. */
type Decoder = (slice: Slice) => Expr | undefined;

const decoder =
  <N extends KernelName>(name: N, toExpr: (attrs: Attrs<N>) => Expr | undefined): Decoder =>
  (slice) => {
    const attrs = EXPRESSIONS[name].read(slice);
    return attrs.unknown === undefined ? toExpr(attrs as Attrs<N>) : undefined;
  };

const DECODERS: { readonly [N in KernelName]: Decoder } = {
  meta: decoder('meta', (a) => {
    const key = keyOf(META_KEYS, a.key);
    if (key === 'mark' && a.sreg !== undefined && a.dreg === undefined) {
      return { kind: 'meta-set', key, sreg: fromKernelRegister(a.sreg) };
    }
    if (key === undefined || a.dreg === undefined || a.sreg !== undefined) return undefined;
    return { kind: 'meta', key, dreg: fromKernelRegister(a.dreg) };
  }),
  payload: decoder('payload', ({ offset, lenBytes, ...a }) => {
    const base = keyOf(PAYLOAD_BASES, a.base);
    if (a.dreg === undefined || base === undefined) return undefined;
    if (offset === undefined || lenBytes === undefined) return undefined;
    return { kind: 'payload', base, offset, lenBytes, dreg: fromKernelRegister(a.dreg) };
  }),
  ct: decoder('ct', (a) => {
    const key = keyOf(CT_KEYS, a.key);
    if (key === undefined || a.dreg === undefined) return undefined;
    return { kind: 'ct', key, dreg: fromKernelRegister(a.dreg) };
  }),
  fib: decoder('fib', decodeFib),
  bitwise: decoder('bitwise', ({ sreg, dreg, mask, xor, op }) => {
    if (sreg === undefined || dreg === undefined) return undefined;
    if (mask?.value === undefined || xor?.value === undefined) return undefined;
    if ((op ?? k.NFT_BITWISE_BOOL) !== k.NFT_BITWISE_BOOL) return undefined;
    return {
      kind: 'bitwise',
      sreg: fromKernelRegister(sreg),
      dreg: fromKernelRegister(dreg),
      mask: mask.value,
      xor: xor.value,
    };
  }),
  cmp: decoder('cmp', (a) => {
    const op = keyOf(CMP_OPS, a.op);
    if (op === undefined || a.sreg === undefined || a.data?.value === undefined) return undefined;
    return { kind: 'cmp', op, sreg: fromKernelRegister(a.sreg), data: a.data.value };
  }),
  range: decoder('range', (a) => {
    const op = keyOf(RANGE_OPS, a.op);
    if (op === undefined || a.sreg === undefined) return undefined;
    if (a.from?.value === undefined || a.to?.value === undefined) return undefined;
    const sreg = fromKernelRegister(a.sreg);
    return { kind: 'range', op, sreg, low: a.from.value, high: a.to.value };
  }),
  lookup: decoder('lookup', ({ set, sreg, dreg, flags = 0 }) => {
    if (set === undefined || sreg === undefined) return undefined;
    if (dreg !== undefined && dreg !== k.NFT_REG_VERDICT) return undefined;
    if ((flags & ~k.NFT_LOOKUP_F_INV) !== 0) return undefined;
    const negate = flags === k.NFT_LOOKUP_F_INV;
    const verdictMap = dreg !== undefined;
    return { kind: 'lookup', sreg: fromKernelRegister(sreg), set, negate, verdictMap };
  }),
  objref: decoder('objref', ({ type, name }) =>
    type === k.NFT_OBJECT_COUNTER && name !== undefined ? { kind: 'counter', name } : undefined,
  ),
  log: decoder('log', ({ group, prefix = '', snaplenBytes = 0, qthreshold = 0 }) =>
    group === undefined || qthreshold !== 0
      ? undefined
      : { kind: 'log', group, prefix, snaplenBytes },
  ),
  limit: decoder('limit', ({ rate, unit, burst, type, flags = 0 }) => {
    if (rate === undefined || burst === undefined) return undefined;
    if (unit !== 1n || type !== k.NFT_LIMIT_PKTS || flags !== 0) return undefined;
    return { kind: 'limit', perSecond: Number(rate), burst };
  }),
  notrack: decoder('notrack', () => ({ kind: 'notrack' })),
  reject: decoder('reject', ({ type, code }) => {
    if (type === k.NFT_REJECT_TCP_RST) return { kind: 'reject', reject: 'tcp-reset' };
    if (type !== k.NFT_REJECT_ICMPX_UNREACH) return undefined;
    if (code !== k.NFT_REJECT_ICMPX_ADMIN_PROHIBITED) return undefined;
    return { kind: 'reject', reject: 'admin-prohibited' };
  }),
  immediate: decoder('immediate', ({ dreg, data: value }) => {
    if (dreg !== k.NFT_REG_VERDICT || value?.verdict === undefined) return undefined;
    const verdict = verdictFromAttrs(value.verdict);
    return verdict === undefined ? undefined : { kind: 'verdict', verdict };
  }),
};

function decodeFib({ dreg, result, flags }: Attrs<'fib'>): Expr | undefined {
  if (dreg === undefined || flags === undefined) return undefined;
  const present = (flags & k.NFTA_FIB_F_PRESENT) !== 0;
  const names = (Object.keys(FIB_FLAGS) as (keyof typeof FIB_FLAGS)[]).filter(
    (flag) => (flags & FIB_FLAGS[flag]) !== 0,
  );
  const known = names.reduce((all, flag) => all | FIB_FLAGS[flag], k.NFTA_FIB_F_PRESENT);
  if ((flags & ~known) !== 0) return undefined;
  const common = { kind: 'fib', flags: names, dreg: fromKernelRegister(dreg) } as const;
  if (result === k.NFT_FIB_RESULT_OIF) return { ...common, result: present ? 'present' : 'oif' };
  if (result === k.NFT_FIB_RESULT_ADDRTYPE && !present) return { ...common, result: 'type' };
  return undefined;
}

/** Reads an NFTA_LIST_ELEM's value. Never fails on an unknown expression, only on broken bytes. */
export function readExpr(attrs: ValueOf<typeof exprAttrs>): Expr {
  const name = attrs.name ?? '';
  const decode = Object.hasOwn(DECODERS, name) ? DECODERS[name as KernelName] : undefined;
  return decode?.(new Slice(attrs.data ?? new Uint8Array())) ?? { kind: 'foreign', name };
}

/** The name a table gives to a number. */
function keyOf<K extends string>(
  table: Readonly<Record<K, number>>,
  value: number | undefined,
): K | undefined {
  for (const key in table) if (table[key] === value) return key;
  return undefined;
}
