import test from 'ava';
import {
  NetlinkDecodeError,
  NetlinkEncodeError,
  Slice,
  Writer,
  attrs,
  bytes,
  cstr,
  i32be,
  listOf,
  u16be,
  u32be,
  u32host,
  u64be,
  u8,
  type Codec,
} from '../../../../agent/netlink/codec.ts';
import { chain } from '../../../../agent/netlink/schema/nftables.ts';

const inner = attrs({ priority: [2, i32be], name: [3, cstr] });
const outer = attrs({
  byte: [1, u8],
  short: [2, u16be],
  long: [3, u32be],
  native: [4, u32host],
  huge: [5, u64be],
  raw: [6, bytes],
  inner: [7, inner],
  list: [8, listOf(inner)],
});

const FULL = {
  byte: 7,
  short: 0x1234,
  long: 0xfffffffd,
  native: 99,
  huge: 0xffff_ffff_ffff_ffffn,
  raw: Uint8Array.of(1, 2, 3),
  inner: { priority: -300, name: 'forward' },
  list: [{ priority: 1 }, {}, { name: 'x' }],
};

function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new Writer(1);
  codec.write(writer, value);
  return writer.finish();
}

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

test('a base chain is encoded as the kernel documents it', (t) => {
  const data = encode(chain, {
    table: 'picket',
    name: 'in',
    hook: { hooknum: 1, priority: -5 },
    policy: 1,
    type: 'filter',
  });
  t.is(
    hex(data),
    [
      '0b000100 7069636b657400 00', // NFTA_CHAIN_TABLE, length 11, one byte of padding
      '07000300 696e00 00', // NFTA_CHAIN_NAME
      '14000480 08000100 00000001 08000200 fffffffb', // NFTA_CHAIN_HOOK, nested
      '08000500 00000001', // NFTA_CHAIN_POLICY
      '0b000700 66696c74657200 00', // NFTA_CHAIN_TYPE
    ]
      .join('')
      .replaceAll(' ', ''),
  );
});

test('every scalar, nested and repeated attribute survives the round trip', (t) => {
  t.deepEqual(outer.read(new Slice(encode(outer, FULL))), FULL);
});

test('absent values are left out and stay absent', (t) => {
  t.is(encode(outer, { byte: undefined }).length, 0);
  t.deepEqual(outer.read(new Slice(new Uint8Array())), {});
});

test('attributes the table does not name survive decoding and encoding', (t) => {
  const data = encode(outer, FULL);
  const narrow = attrs({ byte: [1, u8] });
  const decoded = narrow.read(new Slice(data));
  t.is(decoded.byte, 7);
  t.deepEqual([...(decoded.unknown?.keys() ?? [])], [2, 3, 4, 5, 6, 7, 8]);
  t.deepEqual(
    [...(narrow.read(new Slice(encode(narrow, decoded))).unknown ?? [])],
    [...(decoded.unknown ?? [])],
  );
});

test('data cut at any length decodes to something or throws NetlinkDecodeError', (t) => {
  const data = encode(outer, FULL);
  for (let length = 0; length < data.length; length++) {
    try {
      outer.read(new Slice(data.subarray(0, length)));
    } catch (error) {
      t.true(error instanceof NetlinkDecodeError, `length ${length}: ${String(error)}`);
    }
  }
  t.pass();
});

const HOSTILE: readonly { name: string; in: string }[] = [
  { name: 'length below the header', in: '0300010000000000' },
  { name: 'length zero', in: '0000010000000000' },
  { name: 'length past the end', in: '0c00010007000000' },
  { name: 'u8 of two bytes', in: '0600010007070000' },
  { name: 'u32 of two bytes', in: '0600030007070000' },
  { name: 'nested length past the nest', in: '0c000780ff00020000000001' },
  { name: 'half a header', in: '0500' },
];

test('a slice has no negative length', (t) => {
  const error = { instanceOf: NetlinkDecodeError };
  // Attributes behind a header that is longer than the message.
  t.throws(() => new Slice(new Uint8Array(12)).sub(16, -4), error);
});

for (const { name, in: data } of HOSTILE) {
  test(`broken bytes are refused: ${name}`, (t) => {
    t.throws(() => outer.read(new Slice(Buffer.from(data, 'hex'))), {
      instanceOf: NetlinkDecodeError,
    });
  });
}

test('endless nesting is refused', (t) => {
  const nest: Codec<unknown> = {
    nested: true,
    write: () => undefined,
    read: (slice) => attrs({ nest: [1, nest] }).read(slice),
  };
  let data = new Uint8Array();
  for (let depth = 0; depth < 100; depth++) {
    data = Uint8Array.of((data.length + 4) & 0xff, (data.length + 4) >> 8, 1, 0x80, ...data);
  }
  t.throws(() => nest.read(new Slice(data)), { instanceOf: NetlinkDecodeError });
});

test('an attribute over 64 KiB is refused, one of exactly the limit is not', (t) => {
  const limit = 0xffff - 4;
  t.is(encode(outer, { raw: new Uint8Array(limit) }).length, 0x10000);
  t.throws(() => encode(outer, { raw: new Uint8Array(limit + 1) }), {
    instanceOf: NetlinkEncodeError,
  });
});

test('a text without NUL is read to its end', (t) => {
  t.is(cstr.read(new Slice(Buffer.from('abc'))), 'abc');
  t.is(cstr.read(new Slice(Buffer.from('abc\0def'))), 'abc');
  t.is(cstr.read(new Slice(new Uint8Array())), '');
});
