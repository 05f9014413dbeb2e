import test from 'ava';
import {
  DATA_TYPES,
  keyBytes,
  keyByteOrder,
  keyOfTypeId,
  keyTypeId,
} from '../../../../compiler/nft/datatypes.ts';
import type { DataType } from '../../../../compiler/nft/program.ts';

const ROWS: readonly { in: readonly DataType[]; id: number; bytes: number; order: number }[] = [
  { in: ['ipv4_addr'], id: 7, bytes: 4, order: 2 },
  { in: ['inet_service'], id: 13, bytes: 2, order: 2 },
  { in: ['ifname'], id: 41, bytes: 16, order: 1 },
  { in: ['ipv4_addr', 'inet_proto', 'inet_service'], id: 0x730d, bytes: 12, order: 0 },
  { in: ['icmpv6_type', 'icmpv6_code'], id: (29 << 6) | 33, bytes: 8, order: 0 },
  { in: ['ifname', 'ipv6_addr'], id: (41 << 6) | 8, bytes: 32, order: 0 },
];

for (const { in: key, id, bytes, order } of ROWS) {
  test(`key ${key.join(' . ')}`, (t) => {
    t.deepEqual([keyTypeId(key), keyBytes(key), keyByteOrder(key)], [id, bytes, order]);
    t.deepEqual(keyOfTypeId(id), key);
  });
}

test('every type is found by its number', (t) => {
  for (const [type, { id }] of Object.entries(DATA_TYPES)) {
    t.deepEqual(keyOfTypeId(id), [type as DataType]);
  }
});

for (const id of [0, 1, 63, (7 << 6) | 1, 0xffffffff]) {
  test(`number ${id} is no key of ours`, (t) => t.is(keyOfTypeId(id), undefined));
}
