import test from 'ava';
import * as fc from 'fast-check';
import {
  ADDRESS_BITS,
  type Address,
  type Family,
  cidrContains,
  hostCidr,
  isHostCidr,
  lastAddress,
  maskCidr,
  printAddress,
  printCidr,
  toAddress,
  toCidr,
} from '../../../../compiler/model/ip.ts';

const ADDRESSES = [
  { name: '0.0.0.0', out: '0.0.0.0' },
  { name: '255.255.255.255', out: '255.255.255.255' },
  { name: '10.0.0.1', out: '10.0.0.1' },
  { name: '::', out: '::' },
  { name: '::1', out: '::1' },
  { name: '1::', out: '1::' },
  { name: '2001:DB8::00A1', out: '2001:db8::a1' },
  { name: '1:2:3:4:5:6:7:8', out: '1:2:3:4:5:6:7:8' },
  // RFC 5952 section 4.2: the longest run, the first of equals, and never a single group.
  { name: '1:0:0:2:0:0:0:3', out: '1:0:0:2::3' },
  { name: '1:0:0:2:3:0:0:4', out: '1::2:3:0:0:4' },
  { name: '1:0:2:3:4:5:6:7', out: '1:0:2:3:4:5:6:7' },
  { name: '1:2:3:4:5:6:7::', out: '1:2:3:4:5:6:7:0' },
  { name: '::ffff:10.0.0.1', out: '::ffff:a00:1' },
  { name: '1:2:3:4:5:6:1.2.3.4', out: '1:2:3:4:5:6:102:304' },
];

for (const row of ADDRESSES) {
  test(`address ${row.name}`, (t) => {
    const address = toAddress(row.name);
    t.is(address === undefined ? undefined : printAddress(address), row.out);
    t.true(Object.isFrozen(address));
  });
}

const NO_ADDRESSES = [
  '',
  ' ',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '1.2.3.04',
  '1.2.3.-4',
  '1.2.3.4 ',
  '1.2.3.4/32',
  '0x1.2.3.4',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '12345::',
  'g::',
  'fe80::1%eth0',
  '::1.2.3',
  '1.2.3.4::',
  '::1.2.3.4:5',
  ':1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:',
];

for (const text of NO_ADDRESSES) {
  test(`no address: ${JSON.stringify(text)}`, (t) => t.is(toAddress(text), undefined));
}

const CIDRS = [
  { name: '10.1.2.3/8', out: '10.0.0.0/8' },
  { name: '10.1.2.3/0', out: '0.0.0.0/0' },
  { name: '10.1.2.3/32', out: '10.1.2.3/32' },
  { name: '10.1.2.3', out: '10.1.2.3/32' },
  { name: 'fd00::1/8', out: 'fd00::/8' },
  { name: '::1', out: '::1/128' },
  { name: 'ffff::/1', out: '8000::/1' },
  { name: '10.0.0.0/33', out: undefined },
  { name: '::/129', out: undefined },
  { name: '10.0.0.0/08', out: undefined },
  { name: '10.0.0.0/', out: undefined },
  { name: '10.0.0.0/-1', out: undefined },
  { name: '10.0.0.0/8/8', out: undefined },
  { name: '10.0.0.0/255.0.0.0', out: undefined },
  { name: '/8', out: undefined },
];

for (const row of CIDRS) {
  test(`prefix ${row.name}`, (t) => {
    const cidr = toCidr(row.name);
    t.is(cidr === undefined ? undefined : printCidr(cidr), row.out);
  });
}

test('a prefix of length 0 holds every address of its family, and no other', (t) => {
  const all = maskCidr({ family: 4, value: 0x0a000001n }, 0);
  t.is(lastAddress(all), 0xffff_ffffn);
  t.true(cidrContains(all, { family: 4, value: 0xffff_ffffn }));
  t.false(cidrContains(all, { family: 6, value: 0n }));
});

const numRuns = Number(process.env['FC_RUNS'] ?? 300);

const address: fc.Arbitrary<Address> = fc
  .tuple(
    fc.constantFrom<Family>(4, 6),
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
  )
  // The mask makes runs of zero bits, which is where the text form is difficult.
  .map(([family, value, mask]) => ({
    family,
    value: BigInt.asUintN(ADDRESS_BITS[family], value & mask),
  }));

const prefix = address.chain((at) =>
  fc.nat(ADDRESS_BITS[at.family]).map((prefixLen) => maskCidr(at, prefixLen)),
);

test('text of an address reads as the same address', (t) => {
  fc.assert(
    fc.property(address, (at) => void t.deepEqual(toAddress(printAddress(at)), at)),
    { numRuns },
  );
});

test('text of a prefix reads as the same prefix', (t) => {
  fc.assert(
    fc.property(prefix, (cidr) => void t.deepEqual(toCidr(printCidr(cidr)), cidr)),
    { numRuns },
  );
});

test('a prefix holds its first and last address, and not their outer neighbours', (t) => {
  fc.assert(
    fc.property(prefix, (cidr) => {
      const { family } = cidr;
      const last = lastAddress(cidr);
      t.true(cidrContains(cidr, { family, value: cidr.value }));
      t.true(cidrContains(cidr, { family, value: last }));
      if (cidr.value > 0n) t.false(cidrContains(cidr, { family, value: cidr.value - 1n }));
      if (last < (1n << BigInt(ADDRESS_BITS[family])) - 1n) {
        t.false(cidrContains(cidr, { family, value: last + 1n }));
      }
      t.is(isHostCidr(cidr), last === cidr.value);
    }),
    { numRuns },
  );
});

test('an address is the only one in its host prefix', (t) => {
  fc.assert(
    fc.property(address, address, (one, other) => {
      t.is(
        cidrContains(hostCidr(one), other),
        one.family === other.family && one.value === other.value,
      );
    }),
    { numRuns },
  );
});
