import test from 'ava';
import { FlowWindow } from '../../../../agent/flowlog/window.ts';
import type { Flow } from '../../../../agent/flowlog/window.ts';
import { scanNflog } from '../../../../agent/netlink/nflog.ts';
import { toAddress } from '../../../../compiler/model/ip.ts';
import { ipv4, ipv6, nflogBytes } from '../../../support/nflog-bytes.ts';
import type { LoggedPacket } from '../../../support/nflog-bytes.ts';

const NOW = 1_700_000_000_000;

function gather(packets: readonly LoggedPacket[], maxFlows = 10): FlowWindow {
  const window = new FlowWindow(maxFlows);
  scanNflog(nflogBytes(packets), (view) => window.add(view, NOW));
  return window;
}

const from = (port: number): Uint8Array => ipv4({ rest: [port >> 8, port & 255, 0, 80] });

test('one flow whatever the source port, with count, first and last time', (t) => {
  const { flows, dropped } = gather([
    { prefix: 'a', payload: from(1_000), timestampMs: NOW - 900, inputIndex: 2, hook: 2 },
    { prefix: 'a', payload: from(2_000), timestampMs: NOW - 500, inputIndex: 2, hook: 2 },
  ]).take();
  t.is(dropped, 0);
  t.deepEqual(flows, [
    {
      ruleId: 'a',
      family: 4,
      source: toAddress('10.0.0.1'),
      destination: toAddress('10.0.0.2'),
      protocol: 6,
      sport: 1_000,
      dport: 80,
      icmpType: undefined,
      icmpCode: undefined,
      isFragment: false,
      isPartial: false,
      hook: 2,
      inputIndex: 2,
      outputIndex: undefined,
      firstMs: NOW - 900,
      lastMs: NOW - 500,
      count: 2,
    },
  ]);
});

const OTHERS: readonly { name: string; other: LoggedPacket }[] = [
  { name: 'rule', other: { prefix: 'b', payload: ipv4() } },
  { name: 'source', other: { prefix: 'a', payload: ipv4({ source: [10, 0, 0, 3] }) } },
  { name: 'destination', other: { prefix: 'a', payload: ipv4({ destination: [10, 0, 0, 3] }) } },
  { name: 'protocol', other: { prefix: 'a', payload: ipv4({ protocol: 17 }) } },
  {
    name: 'destination port',
    other: { prefix: 'a', payload: ipv4({ rest: [0x9c, 0x40, 0, 81] }) },
  },
  {
    name: 'port 65535 and none',
    other: { prefix: 'a', payload: ipv4({ rest: [0, 0, 255, 255] }) },
  },
  { name: 'family', other: { prefix: 'a', payload: ipv6(6, [0x9c, 0x40, 0, 80]) } },
  { name: 'no packet', other: { prefix: 'a', payload: new Uint8Array() } },
];

for (const { name, other } of OTHERS) {
  test(`another flow: ${name}`, (t) => {
    const packets = [{ prefix: 'a', payload: ipv4() }, other, other];
    const counts = gather(packets).take();
    t.deepEqual(
      counts.flows.map(({ count }: Flow) => count),
      [1, 2],
    );
  });
}

test('ICMP types are flows of their own', (t) => {
  const echo = { prefix: 'a', payload: ipv4({ protocol: 1, rest: [8, 0] }) };
  const reply = { prefix: 'a', payload: ipv4({ protocol: 1, rest: [0, 0] }) };
  t.is(gather([echo, reply, echo]).take().flows.length, 2);
});

test('what does not fit is counted, and the next interval begins empty', (t) => {
  const window = gather(
    ['a', 'b', 'c', 'c', 'a'].map((prefix) => ({ prefix, payload: ipv4() })),
    2,
  );
  const { flows, dropped } = window.take();
  t.deepEqual(
    flows.map(({ ruleId, count }) => `${ruleId} ${count}`),
    ['a 2', 'b 1'],
  );
  t.is(dropped, 2);
  t.deepEqual(window.take(), { flows: [], dropped: 0 });
});

test('a time stamp that is not near our clock counts as none', (t) => {
  const packets = [{ prefix: 'a', payload: ipv4(), timestampMs: 12_345 }];
  t.like(gather(packets).take().flows[0], { firstMs: NOW, lastMs: NOW });
});
