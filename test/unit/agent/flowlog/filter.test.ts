import test from 'ava';
import { readFilter } from '../../../../agent/flowlog/filter.ts';
import type { FlowFilter } from '../../../../agent/flowlog/filter.ts';
import type { FlowRecord } from '../../../../agent/flowlog/record.ts';

const RECORD = {
  verdict: 'deny',
  proto: 'tcp',
  src: { ip: '10.0.0.1', port: 40_000, kind: 'pod', namespace: 'shop', name: 'web' },
  dst: { ip: '203.0.113.9', port: 443, kind: 'external' },
  policy: { kind: 'NetworkPolicy', namespace: 'shop', name: 'out', tier: 'default', rule: 0 },
} as FlowRecord;

const IMPLICIT: FlowRecord = {
  ...RECORD,
  policy: undefined,
  implicit: { reason: 'end-of-tier', selectedBy: ['gnp/deny-all'] },
} as unknown as FlowRecord;

const AT_HOST: FlowRecord = { ...RECORD, hostEndpoint: { name: 'eth0', stage: 'forward' } };

const ROWS: readonly { in: FlowFilter; record?: FlowRecord; out: boolean }[] = [
  { in: {}, out: true },
  { in: { pod: 'shop/web' }, out: true },
  { in: { pod: 'web' }, out: true },
  { in: { pod: 'bank/web' }, out: false },
  { in: { pod: 'host' }, out: false },
  { in: { pod: 'host', verdict: 'deny' }, record: AT_HOST, out: true },
  { in: { pod: 'eth0' }, record: AT_HOST, out: true },
  { in: { from: 'shop/web' }, out: true },
  { in: { to: 'shop/web' }, out: false },
  { in: { to: '203.0.113.9' }, out: true },
  { in: { to: '203.0.113.0/24' }, out: true },
  { in: { to: '203.0.114.0/24' }, out: false },
  { in: { namespace: 'shop' }, out: true },
  { in: { namespace: 'bank' }, out: false },
  { in: { verdict: 'deny' }, out: true },
  { in: { verdict: 'allow' }, out: false },
  { in: { policy: 'out' }, out: true },
  { in: { policy: 'shop/out' }, out: true },
  { in: { policy: 'np/shop/out' }, out: true },
  { in: { policy: 'gnp/out' }, out: false },
  { in: { policy: 'deny-all' }, record: IMPLICIT, out: true },
  { in: { policy: 'gnp/deny-all' }, record: IMPLICIT, out: true },
  { in: { policy: 'out' }, record: IMPLICIT, out: false },
  { in: { port: '443' }, out: true },
  { in: { port: '40000' }, out: false },
  { in: { proto: 'TCP' }, out: true },
  { in: { proto: 'udp' }, out: false },
  { in: { proto: '6' }, out: true },
  { in: { from: 'shop/web', port: '80' }, out: false },
];

for (const { in: filter, record = RECORD, out } of ROWS) {
  test(`${JSON.stringify(filter)} ${record === IMPLICIT ? 'implicit ' : ''}is ${out}`, (t) => {
    const read = readFilter(filter);
    t.is('test' in read ? read.test(record) : undefined, out);
  });
}

for (const [wrong, message] of [
  [{ verdict: 'denied' }, /verdict "denied": write allow, deny/],
  [{ port: 'http' }, /port "http": write a number/],
  [{ port: '70000' }, /write a number from 0 to 65535/],
  [{ proto: 'tpc' }, /proto "tpc": write icmp, tcp, .*, or a number/],
  [{ proto: '256' }, /or a number/],
  [
    { from: '10.0.0.0/99' },
    /from "10.0.0.0\/99": write NAMESPACE\/POD, a name, an address or a prefix/,
  ],
  [{ to: 'fd00::g' }, /to "fd00::g": write/],
  [{ pod: '' }, /pod "": write a name/],
] as const) {
  test(`wrong: ${JSON.stringify(wrong)}`, (t) => {
    const read = readFilter(wrong);
    t.regex('wrong' in read ? read.wrong : '', message);
  });
}
