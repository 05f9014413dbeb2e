import test from 'ava';
import { printChain, printElement, printExpr, printSet } from '../../../../compiler/nft/print.ts';
import type { Expr, NftChain, NftSet } from '../../../../compiler/nft/program.ts';

/** One row per kind: the table is total, so a kind without a row does not compile. */
const EXPRS: { readonly [K in Expr['kind']]: readonly [Extract<Expr, { kind: K }>, string] } = {
  meta: [{ kind: 'meta', key: 'oifname', dreg: 20 }, '[ meta load oifname => reg 4 ]'],
  'meta-set': [{ kind: 'meta-set', key: 'mark', sreg: 8 }, '[ meta set mark with reg 1 ]'],
  payload: [
    { kind: 'payload', base: 'network', offset: 12, lenBytes: 4, dreg: 9 },
    '[ payload load 4b @ network header + 12 => reg 9 ]',
  ],
  ct: [{ kind: 'ct', key: 'status', dreg: 8 }, '[ ct load status => reg 1 ]'],
  fib: [
    { kind: 'fib', flags: ['saddr', 'iif'], result: 'present', dreg: 8 },
    '[ fib saddr . iif oif present => reg 1 ]',
  ],
  bitwise: [
    { kind: 'bitwise', sreg: 8, dreg: 12, mask: Uint8Array.of(255, 128), xor: Uint8Array.of(0, 1) },
    '[ bitwise reg 2 = ( reg 1 & 0x000080ff ) ^ 0x00000100 ]',
  ],
  cmp: [
    { kind: 'cmp', op: 'gte', sreg: 8, data: Uint8Array.of(1, 2, 3, 4, 5) },
    '[ cmp gte reg 1 0x04030201 0x00000005 ]',
  ],
  range: [
    { kind: 'range', op: 'neq', sreg: 8, low: Uint8Array.of(0, 80), high: Uint8Array.of(0, 90) },
    '[ range neq reg 1 0x00005000 0x00005a00 ]',
  ],
  lookup: [
    { kind: 'lookup', sreg: 8, set: 's4', negate: true, verdictMap: false },
    '[ lookup reg 1 set s4 0x1 ]',
  ],
  counter: [{ kind: 'counter', name: 'hits' }, '[ objref type 1 name hits ]'],
  log: [
    { kind: 'log', group: 2, prefix: 'a b: ', snaplenBytes: 80 },
    '[ log prefix a b:  group 2 snaplen 80 qthreshold 0 ]',
  ],
  limit: [
    { kind: 'limit', perSecond: 10, burst: 50 },
    '[ limit rate 10/second burst 50 type packets flags 0x0 ]',
  ],
  notrack: [{ kind: 'notrack' }, '[ notrack ]'],
  reject: [{ kind: 'reject', reject: 'tcp-reset' }, '[ reject type 1 code 0 ]'],
  verdict: [
    { kind: 'verdict', verdict: { kind: 'goto', chain: 'next' } },
    '[ immediate reg 0 goto -> next ]',
  ],
  foreign: [{ kind: 'foreign', name: 'quota' }, '[ quota (foreign) ]'],
};

for (const [kind, [expr, out]] of Object.entries(EXPRS)) {
  test(`expression: ${kind}`, (t) => t.is(printExpr(expr), out));
}

const CHAIN: NftChain = {
  name: 'stage',
  base: { hook: 'forward', priority: 2 },
  rules: [
    { exprs: [{ kind: 'notrack' }], comment: 'first "é"', origin: '' },
    { exprs: [{ kind: 'verdict', verdict: { kind: 'accept' } }], comment: undefined, origin: '' },
  ],
};

test('a chain is its heading and its rules', (t) => {
  t.is(
    printChain(CHAIN),
    [
      'chain inet picket stage type filter hook forward prio 2 policy accept',
      '  [ notrack ]',
      '  userdata = { \\x00\\x0bfirst "\\xc3\\xa9"\\x00 }',
      '',
      '  [ immediate reg 0 accept ]',
      '',
    ].join('\n'),
  );
  t.is(printChain({ name: 'plain', base: undefined, rules: [] }), 'chain inet picket plain');
});

test('sets print their flags, key and elements', (t) => {
  const set: NftSet = {
    name: 'classes',
    key: ['inet_proto', 'inet_service'],
    interval: true,
    verdictMap: true,
    constant: false,
    comment: undefined,
    origin: '',
  };
  const verdict = { kind: 'jump', chain: 'web' } as const;
  t.is(
    printSet(set, [{ key: [6, 80], keyEnd: [6, 90], verdict }]),
    [
      'set classes picket 8c # inet_proto . inet_service',
      '\telement 00000006 00005000 - 00000006 00005a00 : jump -> web 0 [end]',
    ].join('\n'),
  );
});

test('interface names and addresses are words', (t) => {
  const set: NftSet = {
    name: 'spoof',
    key: ['ifname', 'ipv4_addr'],
    interval: false,
    verdictMap: false,
    constant: false,
    comment: undefined,
    origin: '',
  };
  t.is(
    printElement(set, { key: ['cali1', 0x0a000001n], keyEnd: undefined, verdict: undefined }),
    'element 696c6163 00000031 00000000 00000000 0100000a : 0 [end]',
  );
});
