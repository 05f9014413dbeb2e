/** Flow records as questions. */
import test from 'ava';
import { readRecord } from '../../../../agent/explain/record-question.ts';
import { toAddress } from '../../../../compiler/model/ip.ts';

const POD = { ip: '10.0.0.1', kind: 'pod' };
const OUTSIDE = { ip: '203.0.113.9', kind: 'external' };
const NOTHING = { sport: undefined, dport: undefined, icmpType: undefined, icmpCode: undefined };

const end = (ip: string, name?: string): object => {
  return { kind: 'address', address: toAddress(ip), interface: name };
};

const ROWS = [
  {
    name: 'tcp, with the port that it came from',
    in: { src: { ...OUTSIDE, port: 12_345 }, dst: { ...POD, port: 80 }, proto: 'tcp' },
    out: {
      from: end('203.0.113.9'),
      to: end('10.0.0.1'),
      service: { 4: { ...NOTHING, protocol: 6, sport: 12_345, dport: 80 } },
      text: '203.0.113.9 -> 10.0.0.1 tcp/80 from port 12345',
    },
  },
  {
    name: 'icmp, type and code',
    in: { src: POD, dst: OUTSIDE, proto: 'icmp', icmp: { type: 3, code: 1 } },
    out: {
      from: end('10.0.0.1'),
      to: end('203.0.113.9'),
      service: { 4: { ...NOTHING, protocol: 1, icmpType: 3, icmpCode: 1 } },
      text: '10.0.0.1 -> 203.0.113.9 icmp/3/1',
    },
  },
  {
    name: 'another protocol',
    in: { src: POD, dst: OUTSIDE, proto: '47' },
    out: {
      from: end('10.0.0.1'),
      to: end('203.0.113.9'),
      service: { 4: { ...NOTHING, protocol: 47 } },
      text: '10.0.0.1 -> 203.0.113.9 47',
    },
  },
  {
    name: 'a forged address',
    in: {
      src: { ...OUTSIDE, kind: 'pod', namespace: 'shop', name: 'web', port: 1 },
      dst: { ...POD, port: 80 },
      proto: 'tcp',
      implicit: { reason: 'anti-spoofing', selectedBy: [] },
    },
    out: {
      from: { ...end('203.0.113.9'), sender: 'shop/web' },
      to: end('10.0.0.1'),
      service: { 4: { ...NOTHING, protocol: 6, sport: 1, dport: 80 } },
      text: '203.0.113.9 (sent by shop/web) -> 10.0.0.1 tcp/80 from port 1',
    },
  },
  {
    name: 'of no connection',
    in: {
      src: { ...OUTSIDE, port: 1 },
      dst: { ...POD, port: 80 },
      proto: 'tcp',
      implicit: { reason: 'invalid-state', selectedBy: [] },
    },
    out: {
      from: end('203.0.113.9'),
      to: end('10.0.0.1'),
      service: { 4: { ...NOTHING, protocol: 6, sport: 1, dport: 80 } },
      state: 'invalid',
      text: '203.0.113.9 -> 10.0.0.1 tcp/80 from port 1',
    },
  },
  {
    name: 'to an interface that nobody knows',
    in: {
      src: OUTSIDE,
      dst: { ...OUTSIDE, ip: '10.0.0.9' },
      proto: '47',
      direction: 'ingress',
      implicit: { reason: 'unknown-interface', selectedBy: [] },
    },
    out: {
      from: end('203.0.113.9'),
      to: { ...end('10.0.0.9'), isStray: true },
      service: { 4: { ...NOTHING, protocol: 47 } },
      text: '203.0.113.9 -> 10.0.0.9 47',
    },
  },
  {
    name: 'a fragment without ports',
    in: { src: POD, dst: OUTSIDE, proto: 'udp', partial: true },
    out: {
      from: end('10.0.0.1'),
      to: end('203.0.113.9'),
      service: { 4: { ...NOTHING, protocol: 17 } },
      text: '10.0.0.1 -> 203.0.113.9 udp',
    },
  },
] as const;

for (const { name, in: record, out } of ROWS) {
  test(`record: ${name}`, (t) => {
    t.deepEqual(readRecord(JSON.stringify(record)), {
      value: { state: undefined, via: undefined, ...out },
    });
  });
}

const WAY = { inputInterface: 'eth0', outputInterface: 'eth1' };
const INTERFACES = [
  { name: 'forwarded', in: { hook: 'forward', ...WAY }, out: ['eth0', 'eth1'] },
  { name: 'to the host', in: { hook: 'input', inputInterface: 'eth0' }, out: [undefined, 'eth0'] },
  {
    name: 'of the host',
    in: { hook: 'output', outputInterface: 'eth1' },
    out: ['eth1', undefined],
  },
  {
    name: 'of the host to itself',
    in: { hook: 'input', inputInterface: 'lo' },
    out: [undefined, undefined],
  },
  {
    name: 'of a pod',
    in: { hook: 'forward', src: POD, inputInterface: 'cali1', outputInterface: 'eth1' },
    out: [undefined, 'eth1'],
  },
] as const;

for (const { name, in: way, out } of INTERFACES) {
  test(`interfaces: ${name}`, (t) => {
    const record = { src: OUTSIDE, dst: { ...OUTSIDE, ip: '192.0.2.1' }, proto: '47', ...way };
    const read = readRecord(JSON.stringify(record));
    const [from, to] = out;
    t.like(read, { value: { from: { interface: from }, to: { interface: to } } });
  });
}

const BAD = [
  '{"schema":"picket.flow/v2","src":{"ip":"10.0.0.1"},"dst":{"ip":"10.0.0.2"},"proto":"tcp"}',
  '',
  '{',
  '[]',
  'null',
  '{}',
  '{"src":{"ip":1},"dst":{"ip":"10.0.0.2"},"proto":"tcp"}',
  '{"src":{"ip":"fd00::1"},"dst":{"ip":"10.0.0.2"},"proto":"tcp"}',
  '{"src":{"ip":"10.0.0.1"},"dst":{"ip":"10.0.0.2"},"proto":"ip"}',
];

for (const text of BAD) {
  test(`no record: ${text}`, (t) => {
    t.true('wrong' in readRecord(text));
  });
}
