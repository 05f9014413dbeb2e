import test from 'ava';
import { NetlinkDecodeError, Writer } from '../../../../agent/netlink/codec.ts';
import { beginMessage, endMessage, messages, readAck } from '../../../../agent/netlink/message.ts';
import { describeMessages } from '../../../../agent/netlink/debug.ts';

/** An NLMSG_ERROR; `quoted` bytes of the refused message, then attributes. */
function ack(flags: number, errno: number, quoted: number, attributes: Uint8Array): Uint8Array {
  const writer = new Writer();
  const at = beginMessage(writer, { type: 2, flags, seq: 77 });
  writer.u32host(-errno);
  writer.u32host(quoted);
  writer.zeros(((quoted + 3) & ~3) - 4);
  writer.raw(attributes);
  endMessage(writer, at);
  return writer.finish();
}

const MESSAGE_ATTR = Buffer.from('0b0001006e6f2073657400000800020020000000', 'hex');

const ROWS = [
  {
    name: 'success',
    in: ack(0x100, 0, 16, new Uint8Array()),
    out: { seq: 77, errno: 0, extAck: undefined, offset: undefined },
  },
  {
    name: 'refusal, capped, with text and offset',
    in: ack(0x300, 2, 16, MESSAGE_ATTR),
    out: { seq: 77, errno: 2, extAck: 'no set', offset: 32 },
  },
  {
    name: 'refusal that quotes a message of 41 bytes',
    in: ack(0x200, 22, 41, MESSAGE_ATTR),
    out: { seq: 77, errno: 22, extAck: 'no set', offset: 32 },
  },
];

for (const { name, in: bytes, out } of ROWS) {
  test(`acknowledgement: ${name}`, (t) => {
    t.deepEqual(
      [...messages(bytes)].map((message) => readAck(message)),
      [out],
    );
  });
}

test('messages of several datagrams come in order, unaligned lengths are padded', (t) => {
  const writer = new Writer();
  for (let seq = 1; seq <= 3; seq++) {
    const at = beginMessage(writer, { type: 0x0a0f, flags: seq, seq });
    writer.zeros(seq);
    endMessage(writer, at);
  }
  t.deepEqual(
    [...messages(writer.finish())].map(({ seq, flags, body }) => [seq, flags, body.bytes.length]),
    [
      [1, 1, 1],
      [2, 2, 2],
      [3, 3, 3],
    ],
  );
});

test('datagrams cut at any length throw NetlinkDecodeError or end, and print', (t) => {
  const whole = Buffer.concat(ROWS.map((row) => row.in));
  for (let length = 0; length < whole.length; length++) {
    try {
      for (const message of messages(whole.subarray(0, length))) readAck(message);
    } catch (error) {
      t.true(error instanceof NetlinkDecodeError, `length ${length}: ${String(error)}`);
    }
    t.is(typeof describeMessages(whole.subarray(0, length), '<'), 'string');
  }
});

test('a message shorter than its header is refused', (t) => {
  t.throws(() => [...messages(new Uint8Array(16))], { instanceOf: NetlinkDecodeError });
});

test('NLDEBUG text shows headers, refusals and bytes', (t) => {
  t.is(
    describeMessages(ROWS[1]?.in ?? new Uint8Array(), '<'),
    '< type 2 flags 0x300 seq 77 body 40 bytes\n    errno 2 no set offset 32\n',
  );
});
