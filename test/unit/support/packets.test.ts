import test from 'ava';
import * as fc from 'fast-check';
import type { Packet } from '../../../compiler/model/packet.ts';
import { crc32c, internetChecksum } from '../../support/checksum.ts';
import { buildFrame, buildIp, parseFrame, parseIp } from '../../support/packets.ts';

const PORT_PROTOCOLS = [6, 17, 132, 136];

const arbitraryPacket: fc.Arbitrary<Packet> = fc
  .record({
    family: fc.constantFrom<4 | 6>(4, 6),
    saddr: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
    daddr: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
    protocol: fc.constantFrom<'icmp' | number>('icmp', 6, 17, 132, 136, 47, 50, 99),
    a: fc.nat(0xffff),
    b: fc.nat(0xffff),
  })
  .map(({ family, saddr, daddr, protocol, a, b }): Packet => {
    const value = (v: bigint) => ({ family, value: BigInt.asUintN(family === 4 ? 32 : 128, v) });
    const isIcmp = protocol === 'icmp';
    const hasPorts = PORT_PROTOCOLS.some((number) => number === protocol);
    return {
      family,
      saddr: value(saddr),
      daddr: value(daddr),
      protocol: protocol === 'icmp' ? (family === 4 ? 1 : 58) : protocol,
      sport: hasPorts ? a : undefined,
      dport: hasPorts ? b : undefined,
      icmpType: isIcmp ? a & 255 : undefined,
      icmpCode: isIcmp ? b & 255 : undefined,
    };
  });

const MACS = { source: '020000000001', destination: '020000000002' };

test('a built frame reads back as the same packet and tag', (t) => {
  fc.assert(
    fc.property(arbitraryPacket, fc.nat(0xffffffff), fc.boolean(), (packet, tag, withHeaders) => {
      const extensions = withHeaders ? (['hop-by-hop', 'destination'] as const) : [];
      const frame = buildFrame(packet, MACS, { tag, extensions });
      t.deepEqual(parseFrame(frame), { packet, tag });
    }),
  );
  t.pass();
});

test('checksums verify to zero over what they cover', (t) => {
  const v4 = { family: 4, value: 0x0a000001n } as const;
  const packet: Packet = {
    family: 4,
    saddr: v4,
    daddr: v4,
    protocol: 6,
    sport: 1,
    dport: 2,
    icmpType: undefined,
    icmpCode: undefined,
  };
  const ip = Buffer.from(buildIp(packet, { tag: 7 }));
  t.is(internetChecksum(ip.subarray(0, 20)), 0);
  const pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 6, 0, ip.length - 20])]);
  t.is(internetChecksum(pseudo, ip.subarray(20)), 0);
});

test('checksum algorithms give their published check values', (t) => {
  t.is(crc32c(Buffer.from('123456789')), 0xe3069283);
  // RFC 1071 section 3: the words 0001 f203 f4f5 f6f7 sum up to ddf2.
  t.is(internetChecksum(Buffer.from('0001f203f4f5f6f7', 'hex')), 0xffff & ~0xddf2);
});

const FOREIGN = [
  { name: 'ARP', in: `${'ff'.repeat(12)}0806${'00'.repeat(28)}` },
  { name: 'shorter than an Ethernet header', in: 'ffff' },
  { name: 'IPv4 cut inside the header', in: `${'ff'.repeat(12)}080045000014` },
  {
    name: 'IPv4 TCP without ports',
    in: `${'ff'.repeat(12)}0800450000140000000040060000${'0a'.repeat(8)}`,
  },
];

for (const row of FOREIGN) {
  test(`no packet: ${row.name}`, (t) => {
    t.is(parseFrame(Buffer.from(row.in, 'hex')), undefined);
  });
}

test('a packet of somebody else has no tag', (t) => {
  const ip = Buffer.from(`4500001c0000000040110000${'0a'.repeat(8)}0001000200080000`, 'hex');
  t.is(parseIp(ip)?.tag, undefined);
  t.is(parseIp(ip)?.packet.dport, 2);
});
