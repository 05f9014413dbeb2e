import test from 'ava';
import { toCidr, type Cidr } from '../../../../compiler/model/ip.ts';
import * as x from '../../../../compiler/nft/exprs.ts';
import { printRule } from '../../../../compiler/nft/print.ts';
import type { Expr } from '../../../../compiler/nft/program.ts';

function cidr(text: string): Cidr {
  const value = toCidr(text);
  if (value === undefined) throw new Error(`no prefix: ${text}`);
  return value;
}

/** The kernel tier holds the same builders to nft itself (test/kernel/nft/constructs.ts). */
const ROWS: readonly { name: string; in: readonly Expr[]; out: readonly string[] }[] = [
  {
    name: 'a prefix of whole bytes loads only these',
    in: x.cidrMatch('saddr', cidr('10.1.0.0/16')),
    out: ['payload load 2b @ network header + 12 => reg 1', 'cmp eq reg 1 0x0000010a'],
  },
  {
    name: 'another prefix is masked',
    in: x.cidrMatch('daddr', cidr('10.1.128.0/17'), true),
    out: [
      'payload load 4b @ network header + 16 => reg 1',
      'bitwise reg 1 = ( reg 1 & 0x0080ffff ) ^ 0x00000000',
      'cmp neq reg 1 0x0080010a',
    ],
  },
  {
    name: 'the prefix of all addresses compares nothing but stays a test',
    in: x.cidrMatch('saddr', cidr('::/0')),
    out: [
      'payload load 16b @ network header + 8 => reg 1',
      'bitwise reg 1 = ( reg 1 & 0x00000000 0x00000000 0x00000000 0x00000000 ) ^ 0x00000000 0x00000000 0x00000000 0x00000000',
      'cmp eq reg 1 0x00000000 0x00000000 0x00000000 0x00000000',
    ],
  },
  {
    name: 'a range of one value is an equality',
    in: x.rangeMatch('dport', 4, 80n, 80n, true),
    out: ['payload load 2b @ transport header + 2 => reg 1', 'cmp neq reg 1 0x00005000'],
  },
  {
    name: 'a range is two comparisons, its negation one range',
    in: [...x.rangeMatch('sport', 6, 80n, 90n), ...x.rangeMatch('sport', 6, 80n, 90n, true)],
    out: [
      'payload load 2b @ transport header + 0 => reg 1',
      'cmp gte reg 1 0x00005000',
      'cmp lte reg 1 0x00005a00',
      'payload load 2b @ transport header + 0 => reg 1',
      'range neq reg 1 0x00005000 0x00005a00',
    ],
  },
  {
    name: 'parts of a key start a register each, addresses span four',
    in: x.lookupFields(['saddr', 'protocol', 'dport'], 6, 'peers', true),
    out: [
      'payload load 16b @ network header + 8 => reg 1',
      'meta load l4proto => reg 2',
      'payload load 2b @ transport header + 2 => reg 13',
      'lookup reg 1 set peers 0x1',
    ],
  },
  {
    name: 'ICMP is two parts of a key',
    in: x.lookupFields(['icmp'], 4, 'pings'),
    out: [
      'payload load 1b @ transport header + 0 => reg 1',
      'payload load 1b @ transport header + 1 => reg 9',
      'lookup reg 1 set pings',
    ],
  },
  {
    name: 'ICMP type and code are one comparison of two bytes',
    in: x.icmpMatch(8, 1),
    out: ['payload load 2b @ transport header + 0 => reg 1', 'cmp eq reg 1 0x00000108'],
  },
  {
    name: 'an interface prefix compares its bytes, a name all sixteen',
    in: [...x.ifnamePrefix('iifname', 'cali'), ...x.ifnameEquals('oifname', 'eth0', true)],
    out: [
      'meta load iifname => reg 1',
      'cmp eq reg 1 0x696c6163',
      'meta load oifname => reg 1',
      'cmp neq reg 1 0x30687465 0x00000000 0x00000000 0x00000000',
    ],
  },
  {
    name: 'a verdict map of two parts',
    in: x.vmap(x.fieldLoads(['protocol', 'dport'], 4), 'classes'),
    out: [
      'meta load l4proto => reg 1',
      'payload load 2b @ transport header + 2 => reg 9',
      'lookup reg 1 set classes dreg 0',
    ],
  },
];

for (const { name, in: exprs, out } of ROWS) {
  test(name, (t) => {
    const text = printRule({ exprs, comment: undefined });
    t.deepEqual(
      text.split('\n'),
      out.map((line) => `  [ ${line} ]`),
    );
  });
}

test('key types follow the loads', (t) => {
  t.deepEqual(x.fieldKeyTypes(['daddr', 'protocol', 'dport'], 6), [
    'ipv6_addr',
    'inet_proto',
    'inet_service',
  ]);
  t.deepEqual(x.fieldKeyTypes(['icmp'], 6), ['icmpv6_type', 'icmpv6_code']);
});
