/**
 * Match idioms: policy fields, interface names, conntrack states in; the expression sequence that tests them out, chosen so
 * that `nft list ruleset` (1.0.6) prints each back as the idiom named in its comment. Refuses to know: rules, chains, sets'
 * contents, wire formats.
 *
 * Every builder loads and tests on its own and leaves nothing in registers for the next one. nft prints network headers
 * readably only where the same rule tests `meta nfproto` before, and ICMP only where it tests `meta l4proto` before.
 * Kernel side of every sequence: linux net/netfilter/nft_{meta,payload,cmp,range,bitwise,lookup,ct,fib}.c (v6.12).
 */
import type { Cidr, Family } from '../model/ip.ts';
import { ADDRESS_BITS } from '../model/ip.ts';
import type { FieldName, FieldTable } from '../model/fields.ts';
import type { DataType, Expr, Verdict } from './program.ts';

/** `reg 1`: NFT_REG32_00, the first of sixteen 4-byte registers. */
export const FIRST_REGISTER = 8;

const UTF8 = new TextEncoder();

/** Registers are 4 bytes; every load starts a new one. */
export const REGISTER_BYTES = 4;

/** NFPROTO_IPV4, NFPROTO_IPV6: what `meta nfproto` gives. Source: include/uapi/linux/netfilter.h. */
const NFPROTO: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };

/** Bits of `ct state`. Source: NF_CT_STATE_BIT and NF_CT_STATE_UNTRACKED_BIT, nf_conntrack_common.h. */
export const CT_STATE = {
  invalid: 0x01,
  established: 0x02,
  related: 0x04,
  new: 0x08,
  untracked: 0x40,
} as const;

/** Bits of `ct status`. Source: enum ip_conntrack_status, nf_conntrack_common.h. */
export const CT_STATUS = { snat: 0x10, dnat: 0x20 } as const;

/** One header or meta value: how it is loaded and how wide it is. */
export interface Load {
  readonly lenBytes: number;
  readonly type: DataType;
  into(dreg: number): Expr;
}

/**
 * Expressions that many rules have in common are one frozen object each, so that an encoder may keep their bytes.
 */
function shared<E extends Expr>(expr: E): E {
  return Object.freeze(expr);
}

function perRegister(make: (dreg: number) => Expr): (dreg: number) => Expr {
  const made: (Expr | undefined)[] = [];
  return (dreg) => (made[dreg] ??= shared(make(dreg)));
}

const payload = (
  base: 'network' | 'transport',
  offset: number,
  lenBytes: number,
  type: DataType,
): Load => ({
  lenBytes,
  type,
  into: perRegister((dreg) => ({ kind: 'payload', base, offset, lenBytes, dreg })),
});

const meta = (key: 'l4proto' | 'iifname' | 'oifname', lenBytes: number, type: DataType): Load => ({
  lenBytes,
  type,
  into: perRegister((dreg) => ({ kind: 'meta', key, dreg })),
});

/** Interface name, 16 bytes, zero padded. */
export const IFNAME_LOADS = {
  iifname: meta('iifname', 16, 'ifname'),
  oifname: meta('oifname', 16, 'ifname'),
} as const;

export type IfnameKey = keyof typeof IFNAME_LOADS;

/** Byte offset of the addresses in the IPv4 and IPv6 header (RFC 791, RFC 8200). */
const ADDRESS_OFFSETS = { saddr: { 4: 12, 6: 8 }, daddr: { 4: 16, 6: 24 } } as const;

type PerFamily<T> = { readonly [F in Family]: T };
const both = <T>(value: T): PerFamily<T> => ({ 4: value, 6: value });
const addressLoads = (field: 'saddr' | 'daddr'): PerFamily<readonly Load[]> => ({
  4: [payload('network', ADDRESS_OFFSETS[field][4], 4, 'ipv4_addr')],
  6: [payload('network', ADDRESS_OFFSETS[field][6], 16, 'ipv6_addr')],
});

/**
 * The parts a field consists of as a set key. `icmp` is two parts, type and code, because nft knows no 2-byte ICMP key.
 * `protocol` is `meta l4proto`: in IPv6 the header after the extension headers.
 */
const FIELD_LOADS: FieldTable<PerFamily<readonly Load[]>> = {
  saddr: addressLoads('saddr'),
  daddr: addressLoads('daddr'),
  protocol: both([meta('l4proto', 1, 'inet_proto')]),
  sport: both([payload('transport', 0, 2, 'inet_service')]),
  dport: both([payload('transport', 2, 2, 'inet_service')]),
  icmp: {
    4: [payload('transport', 0, 1, 'icmp_type'), payload('transport', 1, 1, 'icmp_code')],
    6: [payload('transport', 0, 1, 'icmpv6_type'), payload('transport', 1, 1, 'icmpv6_code')],
  },
};

/** Key types of a set whose elements are tuples of these fields. */
export function fieldKeyTypes(fields: readonly FieldName[], family: Family): readonly DataType[] {
  return fieldLoads(fields, family).map((load) => load.type);
}

/** `lenBytes` bytes of a packet header into a register, network order. */
function loadPayload(
  base: 'network' | 'transport',
  offset: number,
  lenBytes: number,
  dreg: number = FIRST_REGISTER,
): Expr {
  return { kind: 'payload', base, offset, lenBytes, dreg };
}

/** Loads parts side by side, each starting a register, as a set key wants them. */
export function loadKey(loads: readonly Load[]): Expr[] {
  let dreg = FIRST_REGISTER;
  return loads.map((load) => {
    const expr = load.into(dreg);
    dreg += Math.ceil(load.lenBytes / REGISTER_BYTES);
    return expr;
  });
}

/** `meta nfproto ipv4`. Has to come before every match on network-header fields. */
export function metaNfproto(family: Family): readonly Expr[] {
  return FAMILY_TESTS[family];
}

/** `meta l4proto tcp`, `meta l4proto != tcp`; folds with a following port match to `tcp dport …`. */
export function l4proto(protocol: number, negate = false): readonly Expr[] {
  const tests = negate ? NOT_PROTOCOL_TESTS : PROTOCOL_TESTS;
  return (tests[protocol] ??= [
    L4PROTO,
    shared(compare(negate ? 'neq' : 'eq', Uint8Array.of(protocol))),
  ]);
}

/**
 * `ip saddr 10.0.0.0/8`, `ip saddr != 10.0.0.0/8`. Whole-byte prefixes load only their bytes, as nft does; others mask.
 * The caller tests `meta nfproto` of the prefix's family before.
 */
export function cidrMatch(field: 'saddr' | 'daddr', cidr: Cidr, negate = false): Expr[] {
  const op = negate ? 'neq' : 'eq';
  const bits = ADDRESS_BITS[cidr.family];
  const offset = ADDRESS_OFFSETS[field][cidr.family];
  const data = bigEndian(cidr.value, bits / 8);
  const bytes = cidr.prefixLen / 8;
  if (Number.isInteger(bytes) && bytes > 0) {
    return [loadPayload('network', offset, bytes), compare(op, data.slice(0, bytes))];
  }
  const hostBits = BigInt(bits - cidr.prefixLen);
  const mask = bigEndian((((1n << BigInt(bits)) - 1n) >> hostBits) << hostBits, bits / 8);
  return [loadPayload('network', offset, bits / 8), masked(mask), compare(op, data)];
}

/**
 * `tcp dport 80`, `tcp dport 80-90`, `tcp dport != 80-90`: the field as an unsigned integer against an inclusive range.
 * For `icmp` see `icmpMatch`.
 */
export function rangeMatch(
  field: Exclude<FieldName, 'icmp'>,
  family: Family,
  first: bigint,
  last: bigint,
  negate = false,
): Expr[] {
  return scalarRange(firstLoad(field, family), first, last, negate);
}

/**
 * `icmp type echo-request`, `icmp type echo-request icmp code 0`. Without `code` only the type is read. A negated pair has no
 * readable one-rule form: look it up in a set of `icmp` (`lookupFields`). The caller tests `l4proto(ICMP_PROTOCOL[family])` before.
 */
export function icmpMatch(type: number, code: number | undefined): Expr[] {
  if (code === undefined) return icmpTypeRange(type, type);
  return [loadPayload('transport', 0, 2), compare('eq', Uint8Array.of(type, code))];
}

/** `icmp type 3-5`, `icmp type != 8`. */
export function icmpTypeRange(first: number, last: number, negate = false): Expr[] {
  return scalarRange(firstLoad('icmp', 4), BigInt(first), BigInt(last), negate);
}

/** `ip saddr @set`, `th dport != @set`, `ip daddr . meta l4proto . th dport @set`, `icmp type . icmp code @set`. */
export function lookupFields(
  fields: readonly FieldName[],
  family: Family,
  set: string,
  negate = false,
): Expr[] {
  const key = `${family} ${fields.join(' ')}`;
  let loads = FIELD_KEYS.get(key);
  if (loads === undefined) FIELD_KEYS.set(key, (loads = loadKey(fieldLoads(fields, family))));
  return [...loads, { kind: 'lookup', sreg: FIRST_REGISTER, set, negate, verdictMap: false }];
}

/** `iifname . ip saddr @set` and other tuples that no policy field names. */
export function lookupLoads(loads: readonly Load[], set: string, negate = false): Expr[] {
  return [
    ...loadKey(loads),
    { kind: 'lookup', sreg: FIRST_REGISTER, set, negate, verdictMap: false },
  ];
}

/** `ip saddr vmap @map`, `iifname vmap @map`, `meta l4proto . th dport vmap @map`; no hit continues with the next rule. */
export function vmap(loads: readonly Load[], map: string): Expr[] {
  return [
    ...loadKey(loads),
    { kind: 'lookup', sreg: FIRST_REGISTER, set: map, negate: false, verdictMap: true },
  ];
}

/** The loads of fields, for `vmap` and `lookupLoads`. */
export function fieldLoads(fields: readonly FieldName[], family: Family): readonly Load[] {
  return fields.flatMap((field) => FIELD_LOADS[field][family]);
}

/** `iifname "cali*"`: interface names that start with `prefix`. */
export function ifnamePrefix(key: IfnameKey, prefix: string, negate = false): Expr[] {
  return [
    IFNAME_LOADS[key].into(FIRST_REGISTER),
    compare(negate ? 'neq' : 'eq', UTF8.encode(prefix)),
  ];
}

/** `iifname "eth0"`. */
export function ifnameEquals(key: IfnameKey, name: string, negate = false): Expr[] {
  return [
    IFNAME_LOADS[key].into(FIRST_REGISTER),
    compare(negate ? 'neq' : 'eq', padded(UTF8.encode(name), IFNAME_LOADS[key].lenBytes)),
  ];
}

/** `ct state established,related`: any of the mask's bits (CT_STATE) is set. */
export function ctStateAny(mask: number): Expr[] {
  return ctAny('state', mask);
}

/** `ct status dnat`: any of the mask's bits (CT_STATUS) is set. */
export function ctStatusAny(mask: number): Expr[] {
  return ctAny('status', mask);
}

/** `fib saddr . iif oif missing`: no route back to the source through the interface the packet came in by. */
export function reversePathFails(): Expr[] {
  return [
    { kind: 'fib', flags: ['saddr', 'iif'], result: 'present', dreg: FIRST_REGISTER },
    compare('eq', hostOrder(0)),
  ];
}

/** `fib saddr . iif oif exists`: the way back to the source is through the interface the packet came in by. */
export function reversePathHolds(): Expr[] {
  return [
    { kind: 'fib', flags: ['saddr', 'iif'], result: 'present', dreg: FIRST_REGISTER },
    compare('eq', hostOrder(1)),
  ];
}

/**
 * `iif 0`: in postrouting, the host itself sent the packet, and does not forward it. The kernel hands the incoming interface on since v5.7
 * (ip_output in net/ipv4/ip_output.c, ip6_output in net/ipv6/ip6_output.c).
 */
export function sentByHost(): Expr[] {
  return [{ kind: 'meta', key: 'iif', dreg: FIRST_REGISTER }, compare('eq', hostOrder(0))];
}

/** `fib daddr type local`: the address is the host's own. RTN_LOCAL is 2 (rtnetlink.h), a 4-byte host-order value. */
export function fibLocal(field: 'saddr' | 'daddr'): Expr[] {
  return [
    { kind: 'fib', flags: [field], result: 'type', dreg: FIRST_REGISTER },
    compare('eq', hostOrder(2)),
  ];
}

/** Ends the rule. */
export function verdict(value: Verdict): Expr {
  return 'chain' in value ? { kind: 'verdict', verdict: value } : PLAIN_VERDICTS[value.kind];
}

const PLAIN_VERDICTS = {
  accept: shared({ kind: 'verdict', verdict: { kind: 'accept' } }),
  drop: shared({ kind: 'verdict', verdict: { kind: 'drop' } }),
  return: shared({ kind: 'verdict', verdict: { kind: 'return' } }),
} as const satisfies Record<string, Expr>;

export function jump(chain: string): Expr {
  return verdict({ kind: 'jump', chain });
}

export function goTo(chain: string): Expr {
  return verdict({ kind: 'goto', chain });
}

/** The low `lenBytes` bytes of a non-negative integer, most significant first. */
export function bigEndian(value: bigint, lenBytes: number): Uint8Array {
  const bytes = new Uint8Array(lenBytes);
  let rest = value;
  for (let at = lenBytes - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** A 32-bit register value as the CPU holds it. */
export function hostOrder(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function firstLoad(field: FieldName, family: Family): Load {
  const [load] = FIELD_LOADS[field][family];
  if (load === undefined) throw new Error(`field ${field} has no load`);
  return load;
}

function scalarRange(load: Load, first: bigint, last: bigint, negate: boolean): Expr[] {
  const low = bigEndian(first, load.lenBytes);
  const high = bigEndian(last, load.lenBytes);
  const loaded = load.into(FIRST_REGISTER);
  if (first === last) return [loaded, compare(negate ? 'neq' : 'eq', low)];
  if (negate) return [loaded, { kind: 'range', op: 'neq', sreg: FIRST_REGISTER, low, high }];
  return [loaded, compare('gte', low), compare('lte', high)];
}

function ctAny(key: 'state' | 'status', mask: number): Expr[] {
  return [
    { kind: 'ct', key, dreg: FIRST_REGISTER },
    masked(hostOrder(mask)),
    compare('neq', new Uint8Array(REGISTER_BYTES)),
  ];
}

function compare(op: 'eq' | 'neq' | 'gte' | 'lte', data: Uint8Array): Expr {
  return { kind: 'cmp', op, sreg: FIRST_REGISTER, data };
}

function masked(mask: Uint8Array): Expr {
  const xor = new Uint8Array(mask.length);
  return { kind: 'bitwise', sreg: FIRST_REGISTER, dreg: FIRST_REGISTER, mask, xor };
}

/** Zero padded, cut at `lenBytes`. */
function padded(bytes: Uint8Array, lenBytes: number): Uint8Array {
  const out = new Uint8Array(lenBytes);
  out.set(bytes.subarray(0, lenBytes));
  return out;
}

const NFPROTO_LOAD = shared({ kind: 'meta', key: 'nfproto', dreg: FIRST_REGISTER });
const L4PROTO = shared({ kind: 'meta', key: 'l4proto', dreg: FIRST_REGISTER });

const FAMILY_TESTS: Readonly<Record<Family, readonly Expr[]>> = {
  4: [NFPROTO_LOAD, shared(compare('eq', Uint8Array.of(NFPROTO[4])))],
  6: [NFPROTO_LOAD, shared(compare('eq', Uint8Array.of(NFPROTO[6])))],
};

/** By protocol number. */
const PROTOCOL_TESTS: (readonly Expr[])[] = [];
const NOT_PROTOCOL_TESTS: (readonly Expr[])[] = [];

/** Loads of set keys by family and fields; there are few, and every rule with a set needs one. */
const FIELD_KEYS = new Map<string, readonly Expr[]>();
