/**
 * nf_tables objects as text in libnftnl's notation, as `nft --debug=netlink` (1.0.6) prints them on a little-endian machine; headings
 * of chains and sets are ours. For goldens, diffs and people. Refuses to know: what a rule means.
 */
import { fitComment } from './comment.ts';
import { DATA_TYPES, partBytes } from './datatypes.ts';
import { REGISTER_BYTES, bigEndian } from './exprs.ts';
import { TABLE_NAME } from './program.ts';
import type {
  DataType,
  Expr,
  KeyPart,
  NftChain,
  NftElement,
  NftRule,
  NftSet,
  Verdict,
} from './program.ts';

const UTF8 = new TextEncoder();

/** Heading, then the rules, each followed by an empty line. */
export function printChain(chain: NftChain): string {
  const base =
    chain.base === undefined
      ? ''
      : ` type filter hook ${chain.base.hook} prio ${chain.base.priority} policy accept`;
  const rules = chain.rules.map((rule) => `${printRule(rule)}\n`);
  return [`chain inet ${TABLE_NAME} ${chain.name}${base}`, ...rules].join('\n');
}

/** One expression per line, indented by two; the comment as nft stores it. */
export function printRule(rule: Pick<NftRule, 'exprs' | 'comment'>): string {
  const lines = rule.exprs.map((expr) => `  ${printExpr(expr)}`);
  if (rule.comment !== undefined) lines.push(`  userdata = { ${printComment(rule.comment)} }`);
  return lines.join('\n');
}

/** Name, table and flags (NFT_SET_*) as nft prints them, then one line per element. */
export function printSet(set: NftSet, elements: readonly NftElement[]): string {
  const flags =
    (set.constant ? 0x02 : 0) |
    (set.interval ? 0x04 : 0) |
    (set.verdictMap ? 0x08 : 0) |
    (set.interval && set.key.length > 1 ? 0x80 : 0);
  const key = set.key.join(' . ');
  const lines = elements.map((element) => `\t${printElement(set, element)}`);
  return [`set ${set.name} ${TABLE_NAME} ${flags.toString(16)} # ${key}`, ...lines].join('\n');
}

/** `element 0100000a : 0 [end]`, ranges as first - last whatever the kernel makes of them. */
export function printElement(set: NftSet, element: NftElement): string {
  const words = (parts: readonly KeyPart[]): string =>
    parts.map((part, index) => partWords(set.key, index, part)).join(' ');
  const end = set.interval ? ` - ${words(element.keyEnd ?? element.key)}` : '';
  const verdict = element.verdict === undefined ? '' : `${printVerdict(element.verdict)} `;
  return `element ${words(element.key)}${end} : ${verdict}0 [end]`;
}

type ExprOf<K extends Expr['kind']> = Extract<Expr, { kind: K }>;

const PRINTERS: { readonly [K in Expr['kind']]: (expr: ExprOf<K>) => string } = {
  meta: (e) => `meta load ${e.key} => ${register(e.dreg)}`,
  'meta-set': (e) => `meta set ${e.key} with ${register(e.sreg)}`,
  payload: (e) =>
    `payload load ${e.lenBytes}b @ ${e.base} header + ${e.offset} => ${register(e.dreg)}`,
  ct: (e) => `ct load ${e.key} => ${register(e.dreg)}`,
  fib: (e) =>
    `fib ${e.flags.join(' . ')} ${e.result === 'present' ? 'oif present' : e.result} => ${register(e.dreg)}`,
  bitwise: (e) =>
    `bitwise ${register(e.dreg)} = ( ${register(e.sreg)} & ${hexWords(e.mask)} ) ^ ${hexWords(e.xor)}`,
  cmp: (e) => `cmp ${e.op} ${register(e.sreg)} ${hexWords(e.data)}`,
  range: (e) => `range ${e.op} ${register(e.sreg)} ${hexWords(e.low)} ${hexWords(e.high)}`,
  lookup: (e) =>
    `lookup ${register(e.sreg)} set ${e.set}${e.verdictMap ? ' dreg 0' : ''}${e.negate ? ' 0x1' : ''}`,
  counter: (e) => `objref type 1 name ${e.name}`,
  log: (e) => `log prefix ${e.prefix} group ${e.group} snaplen ${e.snaplenBytes} qthreshold 0`,
  limit: (e) => `limit rate ${e.perSecond}/second burst ${e.burst} type packets flags 0x0`,
  notrack: () => 'notrack',
  reject: (e) => (e.reject === 'tcp-reset' ? 'reject type 1 code 0' : 'reject type 2 code 3'),
  verdict: (e) => `immediate reg 0 ${printVerdict(e.verdict)}`,
  foreign: (e) => `${e.name} (foreign)`,
};

/** `[ cmp eq reg 1 0x00000006 ]` */
export function printExpr(expr: Expr): string {
  const print = PRINTERS[expr.kind] as (expr: Expr) => string;
  return `[ ${print(expr)} ]`;
}

function printVerdict(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} -> ${verdict.chain}` : verdict.kind;
}

/** Registers that start a 16-byte one have its number, 1..4. */
function register(number: number): string {
  return `reg ${number % 4 === 0 ? number / 4 - 1 : number}`;
}

function hexWords(bytes: Uint8Array): string {
  return words(bytes)
    .map((word) => `0x${word}`)
    .join(' ');
}

/** Bytes as the 4-byte words of a little-endian machine, the last one filled with zeros. */
function words(bytes: Uint8Array): string[] {
  const out: string[] = [];
  for (let at = 0; at < bytes.length; at += REGISTER_BYTES) {
    let word = '';
    for (let i = REGISTER_BYTES - 1; i >= 0; i--) {
      word += (bytes[at + i] ?? 0).toString(16).padStart(2, '0');
    }
    out.push(word);
  }
  return out;
}

function partWords(key: readonly DataType[], index: number, part: KeyPart): string {
  const type = key[index];
  if (type === undefined) return String(part);
  const bytes = new Uint8Array(partBytes(type, key.length));
  const { lenBytes } = DATA_TYPES[type];
  bytes.set(
    typeof part === 'string'
      ? UTF8.encode(part).subarray(0, lenBytes)
      : bigEndian(BigInt(part), lenBytes),
  );
  return words(bytes).join(' ');
}

/** Userdata entry: type 0, length with NUL, text, NUL; unprintable bytes as \xNN. */
function printComment(comment: string): string {
  const text = UTF8.encode(fitComment(comment));
  return [0, text.length + 1, ...text, 0]
    .map((byte) =>
      byte >= 0x20 && byte < 0x7f
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`,
    )
    .join('');
}
