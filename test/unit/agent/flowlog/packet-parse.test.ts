import test from 'ava';
import * as fc from 'fast-check';
import { parsePacket } from '../../../../agent/flowlog/packet-parse.ts';
import type { ParsedPacket } from '../../../../agent/flowlog/packet-parse.ts';
import { ipv4, ipv6 } from '../../../support/nflog-bytes.ts';

const PORTS = [0x9c, 0x40, 0, 80];
/** Next header TCP, 8 bytes. */
const OPTIONS = [6, 0, 1, 4, 0, 0, 0, 0];

const UNKNOWN = { sport: -1, dport: -1, icmpType: -1, icmpCode: -1 };
const WHOLE4 = { family: 4, addressesAt: 12, isFragment: false, isPartial: false, ...UNKNOWN };
const WHOLE6 = { ...WHOLE4, family: 6, addressesAt: 8 } as const;
const TO_80 = { protocol: 6, sport: 40_000, dport: 80 };
const NOTHING = { ...WHOLE4, family: undefined, addressesAt: -1, protocol: -1, isPartial: true };

const ROWS: readonly { name: string; in: Uint8Array; out: object }[] = [
  { name: 'TCP over IPv4', in: ipv4(), out: { ...WHOLE4, ...TO_80 } },
  {
    name: 'IPv4 options are skipped',
    in: Uint8Array.from([0x46, ...ipv4({ rest: [1, 1, 1, 0, ...PORTS] }).subarray(1)]),
    out: { ...WHOLE4, ...TO_80 },
  },
  {
    name: 'ICMP has type and code',
    in: ipv4({ protocol: 1, rest: [8, 0, 1, 2] }),
    out: { ...WHOLE4, protocol: 1, icmpType: 8, icmpCode: 0 },
  },
  {
    name: 'a protocol without ports',
    in: ipv4({ protocol: 50, rest: PORTS }),
    out: { ...WHOLE4, protocol: 50 },
  },
  {
    name: 'the first fragment has ports',
    in: ipv4({ fragment: 0x2000 }),
    out: { ...WHOLE4, ...TO_80, isFragment: true },
  },
  {
    name: 'a later fragment has none, whatever its bytes look like',
    in: ipv4({ fragment: 0x2005 }),
    out: { ...WHOLE4, protocol: 6, isFragment: true },
  },
  {
    name: 'the last fragment has none',
    in: ipv4({ fragment: 5 }),
    out: { ...WHOLE4, protocol: 6, isFragment: true },
  },
  {
    name: 'cut before the ports',
    in: ipv4({ rest: [0x9c, 0x40, 0] }),
    out: { ...WHOLE4, protocol: 6, isPartial: true },
  },
  {
    name: 'cut in the addresses',
    in: ipv4().subarray(0, 19),
    out: { ...WHOLE4, addressesAt: -1, protocol: 6, isPartial: true },
  },
  {
    name: 'cut after the first byte',
    in: ipv4().subarray(0, 1),
    out: { ...NOTHING, family: 4 },
  },
  {
    name: 'a header length below the minimum',
    in: Uint8Array.from([0x44, ...ipv4().subarray(1)]),
    out: { ...WHOLE4, protocol: 6, isPartial: true },
  },
  {
    name: 'a header length beyond the end',
    in: Uint8Array.from([0x4f, ...ipv4().subarray(1)]),
    out: { ...WHOLE4, protocol: 6, isPartial: true },
  },
  { name: 'empty', in: new Uint8Array(), out: NOTHING },
  { name: 'another IP version', in: Uint8Array.of(0x55, 1, 2, 3), out: NOTHING },
  { name: 'TCP over IPv6', in: ipv6(6, PORTS), out: { ...WHOLE6, ...TO_80 } },
  {
    name: 'two extension headers',
    in: ipv6(0, [60, 0, 0, 0, 0, 0, 0, 0, ...OPTIONS, ...PORTS]),
    out: { ...WHOLE6, ...TO_80 },
  },
  {
    name: 'a longer extension header',
    in: ipv6(43, [6, 1, ...Array<number>(14).fill(0), ...PORTS]),
    out: { ...WHOLE6, ...TO_80 },
  },
  {
    name: 'an authentication header counts in other units',
    in: ipv6(51, [6, 4, ...Array<number>(22).fill(0), ...PORTS]),
    out: { ...WHOLE6, ...TO_80 },
  },
  {
    name: 'the first IPv6 fragment',
    in: ipv6(44, [6, 0, 0, 1, 0, 0, 0, 9, ...PORTS]),
    out: { ...WHOLE6, ...TO_80, isFragment: true },
  },
  {
    name: 'a later IPv6 fragment',
    in: ipv6(44, [6, 0, 0, 0x41, 0, 0, 0, 9, ...PORTS]),
    out: { ...WHOLE6, protocol: 6, isFragment: true },
  },
  {
    name: 'a later IPv6 fragment that begins with an extension header',
    in: ipv6(44, [60, 0, 0, 0x41, 0, 0, 0, 9, ...OPTIONS, ...PORTS]),
    out: { ...WHOLE6, protocol: -1, isFragment: true, isPartial: true },
  },
  {
    name: 'cut in an extension header',
    in: ipv6(0, [6, 0, 0, 0]),
    out: { ...WHOLE6, protocol: -1, isPartial: true },
  },
  {
    name: 'an extension header that leads beyond the end',
    in: ipv6(0, [6, 255, 0, 0, 0, 0, 0, 0]),
    out: { ...WHOLE6, protocol: 6, isPartial: true },
  },
  {
    name: 'a chain of extension headers that has no end',
    in: ipv6(0, Array.from({ length: 40 }, () => [0, 0, 0, 0, 0, 0, 0, 0]).flat()),
    out: { ...WHOLE6, protocol: -1, isPartial: true },
  },
  {
    name: 'no next header',
    in: ipv6(59, PORTS),
    out: { ...WHOLE6, protocol: 59 },
  },
  {
    name: 'cut in the IPv6 addresses',
    in: ipv6(6, PORTS).subarray(0, 39),
    out: { ...NOTHING, family: 6 },
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.deepEqual(parsePacket(row.in, 0, row.in.length) as object, row.out);
  });
}

test('positions are those of the whole buffer, and nothing behind the end is read', (t) => {
  const inside = Uint8Array.from([1, 2, 3, ...ipv4(), 0xff, 0xff]);
  t.like(parsePacket(inside, 3, 27), { addressesAt: 15, sport: 40_000, dport: 80 });
  t.like(parsePacket(inside, 3, 26), { sport: -1, dport: -1, isPartial: true });
  t.like(parsePacket(inside, 3, 99), { family: undefined });
});

/** Bytes that are likely to be taken for something. */
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .tuple(fc.constantFrom(0, 6, 43, 44, 51, 60), fc.uint8Array({ maxLength: 120 }))
    .map(([next, rest]) => ipv6(next, [...rest])),
  fc
    .tuple(fc.nat(255), fc.nat(0xffff), fc.uint8Array({ maxLength: 60 }))
    .map(([protocol, fragment, rest]) => ipv4({ protocol, fragment, rest: [...rest] })),
);

test('any bytes, cut anywhere: no throw, no value out of range, no position outside', (t) => {
  fc.assert(
    fc.property(payload, fc.nat(220), (bytes, cut) => {
      const end = Math.min(cut, bytes.length);
      const packet: ParsedPacket = parsePacket(bytes, 0, end);
      const { family, addressesAt, protocol, sport, dport } = packet;
      t.true(addressesAt < 0 || addressesAt + (family === 4 ? 8 : 32) <= end);
      t.true(protocol >= -1 && protocol <= 255 && sport <= 0xffff && dport <= 0xffff);
      // What is behind the cut must not have been looked at.
      t.deepEqual(parsePacket(bytes.slice(0, end), 0, end), packet);
    }),
    { numRuns: 2_000 },
  );
});
