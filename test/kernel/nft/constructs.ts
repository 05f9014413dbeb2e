/**
 * Every construct that lowering builds, twice: as nft text and as our objects. The kernel tests hold them to each other in both
 * directions. A new expression or idiom gets a row here.
 */
import { toAddress, toCidr, type Cidr, type Family } from '../../../compiler/model/ip.ts';
import { ICMP_PROTOCOL } from '../../../compiler/model/packet.ts';
import * as x from '../../../compiler/nft/exprs.ts';
import { clearMark, markHas, setMark } from '../../../compiler/nft/mark.ts';
import type {
  DataType,
  Expr,
  NftChain,
  NftCounter,
  NftElement,
  NftSet,
  Verdict,
} from '../../../compiler/nft/program.ts';

const origin = 'test';

export interface SetRow {
  readonly set: NftSet;
  readonly elements: readonly NftElement[];
  /** As `nft list` prints it, spaces collapsed; also the text to make it from. */
  readonly nft: string;
}

export interface RuleRow {
  /** As a file has it and as `nft list` prints it. */
  readonly nft: string;
  readonly exprs: readonly Expr[];
}

const address = (text: string): bigint => toAddress(text)?.value ?? 0n;

function cidr(text: string): Cidr {
  const value = toCidr(text);
  if (value === undefined) throw new Error(`no prefix: ${text}`);
  return value;
}

function set(name: string, key: readonly DataType[], rest: Partial<NftSet> = {}): NftSet {
  const plain = { interval: false, verdictMap: false, constant: false, comment: undefined };
  return { name, key, ...plain, origin, ...rest };
}

function member(...key: NftElement['key']): NftElement {
  return { key, keyEnd: undefined, verdict: undefined };
}

const range = (key: NftElement['key'], keyEnd: NftElement['key']): NftElement => {
  return { key, keyEnd, verdict: undefined };
};
const mapped = (element: NftElement, verdict: Verdict): NftElement => ({ ...element, verdict });

const drop: Verdict = { kind: 'drop' };
const toTarget: Verdict = { kind: 'jump', chain: 'target' };
const interval = { interval: true };
const map = { verdictMap: true };

export const COUNTER: NftCounter = { name: 'hits', comment: 'np/shop/web', origin };

export const SETS: readonly SetRow[] = [
  {
    set: set('addr4', ['ipv4_addr'], { comment: 'all() in shop' }),
    elements: [member(address('10.0.0.1'))],
    nft: 'set addr4 { type ipv4_addr comment "all() in shop" elements = { 10.0.0.1 } }',
  },
  {
    set: set('addr6', ['ipv6_addr']),
    elements: [member(address('fd00::1'))],
    nft: 'set addr6 { type ipv6_addr elements = { fd00::1 } }',
  },
  {
    set: set('nets4', ['ipv4_addr'], interval),
    elements: [
      range([address('10.0.0.0')], [address('10.255.255.255')]),
      range([address('11.0.0.0')], [address('11.0.0.5')]),
      range([address('240.0.0.0')], [address('255.255.255.255')]),
    ],
    nft: 'set nets4 { type ipv4_addr flags interval elements = { 10.0.0.0/8, 11.0.0.0-11.0.0.5, 240.0.0.0/4 } }',
  },
  {
    set: set('nets6', ['ipv6_addr'], interval),
    elements: [range([address('fe80::')], [address('fe80::ffff:ffff:ffff:ffff')])],
    nft: 'set nets6 { type ipv6_addr flags interval elements = { fe80::/64 } }',
  },
  {
    set: set('all4', ['ipv4_addr'], interval),
    elements: [range([0n], [address('255.255.255.255')])],
    nft: 'set all4 { type ipv4_addr flags interval elements = { 0.0.0.0/0 } }',
  },
  {
    set: set('ports', ['inet_service'], interval),
    elements: [member(80), range([81], [90]), range([65000], [65535])],
    nft: 'set ports { type inet_service flags interval elements = { 80, 81-90, 65000-65535 } }',
  },
  {
    set: set('protos', ['inet_proto'], { constant: true }),
    elements: [member(6)],
    nft: 'set protos { type inet_proto flags constant elements = { tcp } }',
  },
  {
    set: set('tuples', ['ipv4_addr', 'inet_proto', 'inet_service']),
    elements: [member(address('10.0.0.1'), 6, 80)],
    nft: 'set tuples { type ipv4_addr . inet_proto . inet_service elements = { 10.0.0.1 . tcp . 80 } }',
  },
  {
    set: set('ranges', ['ipv4_addr', 'inet_proto', 'inet_service'], interval),
    elements: [
      range([address('10.0.0.0'), 6, 80], [address('10.255.255.255'), 6, 90]),
      member(address('11.0.0.1'), 17, 53),
    ],
    nft: 'set ranges { type ipv4_addr . inet_proto . inet_service flags interval elements = { 10.0.0.0/8 . tcp . 80-90, 11.0.0.1 . udp . 53 } }',
  },
  {
    set: set('pings', ['icmp_type', 'icmp_code']),
    elements: [member(8, 1)],
    nft: 'set pings { type icmp_type . icmp_code elements = { echo-request . host-unreachable } }',
  },
  {
    set: set('pings6', ['icmpv6_type', 'icmpv6_code']),
    elements: [member(128, 1)],
    nft: 'set pings6 { type icmpv6_type . icmpv6_code elements = { echo-request . admin-prohibited } }',
  },
  {
    set: set('spoof', ['ifname', 'ipv4_addr']),
    elements: [member('cali1', address('10.0.0.1'))],
    nft: 'set spoof { type ifname . ipv4_addr elements = { "cali1" . 10.0.0.1 } }',
  },
  {
    set: set('from', ['ifname'], { ...map, comment: 'workloads' }),
    elements: [mapped(member('cali1'), toTarget)],
    nft: 'map from { type ifname : verdict comment "workloads" elements = { "cali1" : jump target } }',
  },
  {
    set: set('by-addr4', ['ipv4_addr'], map),
    elements: [mapped(member(address('10.0.0.1')), { kind: 'goto', chain: 'target' })],
    nft: 'map by-addr4 { type ipv4_addr : verdict elements = { 10.0.0.1 : goto target } }',
  },
  {
    set: set('by-addr6', ['ipv6_addr'], map),
    elements: [mapped(member(address('fd00::1')), { kind: 'return' })],
    nft: 'map by-addr6 { type ipv6_addr : verdict elements = { fd00::1 : return } }',
  },
  {
    set: set('by-port', ['inet_service'], { ...map, ...interval }),
    elements: [
      mapped(range([80], [90]), { kind: 'accept' }),
      mapped(range([65000], [65535]), drop),
    ],
    nft: 'map by-port { type inet_service : verdict flags interval elements = { 80-90 : accept, 65000-65535 : drop } }',
  },
  {
    set: set('by-l4', ['inet_proto', 'inet_service'], { ...map, ...interval }),
    elements: [mapped(range([6, 80], [6, 90]), toTarget)],
    nft: 'map by-l4 { type inet_proto . inet_service : verdict flags interval elements = { tcp . 80-90 : jump target } }',
  },
];

const accept = x.verdict({ kind: 'accept' });
const dropped = x.verdict(drop);
const ip = (...exprs: readonly Expr[]): readonly Expr[] => [...x.metaNfproto(4), ...exprs, accept];
const ip6 = (...exprs: readonly Expr[]): readonly Expr[] => [...x.metaNfproto(6), ...exprs, accept];
const tcp = (...exprs: readonly Expr[]): readonly Expr[] => [...x.l4proto(6), ...exprs, accept];
const icmp = (family: Family, ...exprs: readonly Expr[]): readonly Expr[] => [
  ...x.metaNfproto(family),
  ...x.l4proto(ICMP_PROTOCOL[family]),
  ...exprs,
  accept,
];

export const RULES: readonly RuleRow[] = [
  { nft: 'accept', exprs: [accept] },
  { nft: 'drop', exprs: [dropped] },
  { nft: 'return', exprs: [x.verdict({ kind: 'return' })] },
  { nft: 'jump target', exprs: [x.jump('target')] },
  { nft: 'goto target', exprs: [x.goTo('target')] },
  { nft: 'meta nfproto ipv4 accept', exprs: ip() },
  { nft: 'meta nfproto ipv6 accept', exprs: ip6() },
  { nft: 'ip saddr 10.0.0.0/8 accept', exprs: ip(...x.cidrMatch('saddr', cidr('10.0.0.0/8'))) },
  {
    nft: 'ip saddr != 10.0.0.0/8 accept',
    exprs: ip(...x.cidrMatch('saddr', cidr('10.0.0.0/8'), true)),
  },
  { nft: 'ip daddr 10.0.0.0/9 accept', exprs: ip(...x.cidrMatch('daddr', cidr('10.0.0.0/9'))) },
  {
    nft: 'ip daddr != 10.0.0.0/9 accept',
    exprs: ip(...x.cidrMatch('daddr', cidr('10.0.0.0/9'), true)),
  },
  { nft: 'ip daddr 10.0.0.1 accept', exprs: ip(...x.cidrMatch('daddr', cidr('10.0.0.1/32'))) },
  { nft: 'ip6 saddr fe80::/64 accept', exprs: ip6(...x.cidrMatch('saddr', cidr('fe80::/64'))) },
  { nft: 'ip6 saddr fe80::/10 accept', exprs: ip6(...x.cidrMatch('saddr', cidr('fe80::/10'))) },
  { nft: 'ip6 daddr fd00::1 accept', exprs: ip6(...x.cidrMatch('daddr', cidr('fd00::1/128'))) },
  {
    nft: 'ip saddr 10.0.0.1-10.0.0.7 accept',
    exprs: ip(...x.rangeMatch('saddr', 4, address('10.0.0.1'), address('10.0.0.7'))),
  },
  {
    nft: 'ip saddr != 10.0.0.1-10.0.0.7 accept',
    exprs: ip(...x.rangeMatch('saddr', 4, address('10.0.0.1'), address('10.0.0.7'), true)),
  },
  { nft: 'ip saddr @addr4 accept', exprs: ip(...x.lookupFields(['saddr'], 4, 'addr4')) },
  { nft: 'ip saddr != @addr4 accept', exprs: ip(...x.lookupFields(['saddr'], 4, 'addr4', true)) },
  { nft: 'ip daddr @nets4 accept', exprs: ip(...x.lookupFields(['daddr'], 4, 'nets4')) },
  { nft: 'ip6 saddr @addr6 accept', exprs: ip6(...x.lookupFields(['saddr'], 6, 'addr6')) },
  { nft: 'ip6 daddr != @nets6 accept', exprs: ip6(...x.lookupFields(['daddr'], 6, 'nets6', true)) },
  { nft: 'meta l4proto tcp accept', exprs: tcp() },
  { nft: 'meta l4proto != tcp accept', exprs: [...x.l4proto(6, true), accept] },
  {
    nft: 'meta l4proto @protos accept',
    exprs: [...x.lookupFields(['protocol'], 4, 'protos'), accept],
  },
  {
    nft: 'meta l4proto != 6-17 accept',
    exprs: [...x.rangeMatch('protocol', 4, 6n, 17n, true), accept],
  },
  { nft: 'tcp dport 80 accept', exprs: tcp(...x.rangeMatch('dport', 4, 80n, 80n)) },
  { nft: 'tcp dport != 80 accept', exprs: tcp(...x.rangeMatch('dport', 4, 80n, 80n, true)) },
  { nft: 'tcp dport 80-90 accept', exprs: tcp(...x.rangeMatch('dport', 4, 80n, 90n)) },
  { nft: 'tcp sport != 80-90 accept', exprs: tcp(...x.rangeMatch('sport', 4, 80n, 90n, true)) },
  { nft: 'tcp dport @ports accept', exprs: tcp(...x.lookupFields(['dport'], 4, 'ports')) },
  {
    nft: 'sctp dport @ports accept',
    exprs: [...x.l4proto(132), ...x.lookupFields(['dport'], 4, 'ports'), accept],
  },
  {
    nft: 'th dport != @ports accept',
    exprs: [...x.lookupFields(['dport'], 4, 'ports', true), accept],
  },
  {
    nft: 'ip saddr @addr4 tcp dport 80 accept',
    exprs: ip(
      ...x.lookupFields(['saddr'], 4, 'addr4'),
      ...x.l4proto(6),
      ...x.rangeMatch('dport', 4, 80n, 80n),
    ),
  },
  { nft: 'icmp type echo-request accept', exprs: icmp(4, ...x.icmpMatch(8, undefined)) },
  { nft: 'icmp type != 3-5 accept', exprs: icmp(4, ...x.icmpTypeRange(3, 5, true)) },
  {
    nft: 'icmp type echo-request icmp code host-unreachable accept',
    exprs: icmp(4, ...x.icmpMatch(8, 1)),
  },
  { nft: 'icmpv6 type echo-request accept', exprs: icmp(6, ...x.icmpMatch(128, undefined)) },
  {
    nft: 'icmp type . icmp code @pings accept',
    exprs: icmp(4, ...x.lookupFields(['icmp'], 4, 'pings')),
  },
  {
    nft: 'icmp type . icmp code != @pings accept',
    exprs: icmp(4, ...x.lookupFields(['icmp'], 4, 'pings', true)),
  },
  {
    nft: 'icmpv6 type . icmpv6 code @pings6 accept',
    exprs: icmp(6, ...x.lookupFields(['icmp'], 6, 'pings6')),
  },
  { nft: 'iifname "cali*" drop', exprs: [...x.ifnamePrefix('iifname', 'cali'), dropped] },
  { nft: 'oifname != "tap*" drop', exprs: [...x.ifnamePrefix('oifname', 'tap', true), dropped] },
  { nft: 'iifname "eth0" drop', exprs: [...x.ifnameEquals('iifname', 'eth0'), dropped] },
  { nft: 'iifname vmap @from', exprs: x.vmap([x.IFNAME_LOADS.iifname], 'from') },
  {
    nft: 'ip saddr vmap @by-addr4',
    exprs: [...x.metaNfproto(4), ...x.vmap(x.fieldLoads(['saddr'], 4), 'by-addr4')],
  },
  {
    nft: 'ip6 daddr vmap @by-addr6',
    exprs: [...x.metaNfproto(6), ...x.vmap(x.fieldLoads(['daddr'], 6), 'by-addr6')],
  },
  { nft: 'th dport vmap @by-port', exprs: x.vmap(x.fieldLoads(['dport'], 4), 'by-port') },
  {
    nft: 'meta l4proto . th dport vmap @by-l4',
    exprs: x.vmap(x.fieldLoads(['protocol', 'dport'], 4), 'by-l4'),
  },
  {
    nft: 'iifname . ip saddr != @spoof drop',
    exprs: [
      ...x.metaNfproto(4),
      ...x.lookupLoads([x.IFNAME_LOADS.iifname, ...x.fieldLoads(['saddr'], 4)], 'spoof', true),
      dropped,
    ],
  },
  {
    nft: 'ip daddr . meta l4proto . th dport @tuples accept',
    exprs: ip(...x.lookupFields(['daddr', 'protocol', 'dport'], 4, 'tuples')),
  },
  {
    nft: 'ip daddr . meta l4proto . th dport != @ranges accept',
    exprs: ip(...x.lookupFields(['daddr', 'protocol', 'dport'], 4, 'ranges', true)),
  },
  { nft: 'ct state established,related accept', exprs: [...x.ctStateAny(6), accept] },
  { nft: 'ct state invalid drop', exprs: [...x.ctStateAny(x.CT_STATE.invalid), dropped] },
  { nft: 'meta mark & 0x10000000 == 0x10000000 accept', exprs: [...markHas(0x1000_0000), accept] },
  { nft: 'meta mark set meta mark | 0x80000000', exprs: setMark(0x8000_0000) },
  { nft: 'meta mark set meta mark & 0xefffffff', exprs: clearMark(0x1000_0000) },
  { nft: 'fib saddr . iif oif exists accept', exprs: [...x.reversePathHolds(), accept] },
  { nft: 'iif 0 accept', exprs: [...x.sentByHost(), accept] },
  { nft: 'ct status dnat accept', exprs: [...x.ctStatusAny(x.CT_STATUS.dnat), accept] },
  { nft: 'fib saddr . iif oif missing drop', exprs: [...x.reversePathFails(), dropped] },
  { nft: 'fib daddr type local accept', exprs: [...x.fibLocal('daddr'), accept] },
  { nft: 'counter name "hits" drop', exprs: [{ kind: 'counter', name: 'hits' }, dropped] },
  {
    nft: 'log prefix "np/shop/web 0: " group 2 snaplen 80 drop',
    exprs: [{ kind: 'log', group: 2, prefix: 'np/shop/web 0: ', snaplenBytes: 80 }, dropped],
  },
  {
    nft: 'limit rate 10/second burst 50 packets',
    exprs: [{ kind: 'limit', perSecond: 10, burst: 50 }],
  },
  { nft: 'notrack', exprs: [{ kind: 'notrack' }] },
  {
    nft: 'reject with icmpx admin-prohibited',
    exprs: [{ kind: 'reject', reject: 'admin-prohibited' }],
  },
  {
    nft: 'meta l4proto tcp reject with tcp reset',
    exprs: [...x.l4proto(6), { kind: 'reject', reject: 'tcp-reset' }],
  },
];

/** `reject` needs a hook from input on, `notrack` and `fib … iif` one before: forward has both. */
const HOOK = { hook: 'forward', priority: 1 } as const;

export const CHAINS: readonly NftChain[] = [
  {
    name: 'target',
    base: undefined,
    rules: [{ exprs: [accept], comment: undefined, origin }],
  },
  {
    name: 'stage',
    base: HOOK,
    rules: RULES.map(({ exprs }, index) => ({ exprs, comment: `rule ${index}`, origin })),
  },
];

/** The whole as a file for `nft -f`. */
export function nftFile(): string {
  return [
    'table inet picket {',
    `counter ${COUNTER.name} { comment "${COUNTER.comment}"\n}`,
    'chain target { accept\n}',
    ...SETS.map(({ nft }) => fileForm(nft)),
    'chain stage { type filter hook forward priority 1; policy accept;',
    ...RULES.map(({ nft }, index) => `${nft} comment "rule ${index}"`),
    '}',
    '}',
  ].join('\n');
}

/** `nft list` breaks lines where a file may have semicolons. */
function fileForm(listed: string): string {
  return listed.replace(/ (flags|comment|elements) /g, '; $1 ').replace(/\{; /, '{ ');
}
