import test from 'ava';
import * as fc from 'fast-check';
import { NetlinkDecodeError, Slice } from '../../../../agent/netlink/codec.ts';
import { messages, readNfgenmsg } from '../../../../agent/netlink/message.ts';
import { bindNflog, scanNflog } from '../../../../agent/netlink/nflog.ts';
import * as schema from '../../../../agent/netlink/schema/nflog.ts';
import { NLMSG_ERROR } from '../../../../agent/netlink/uapi.generated.ts';
import { Writer } from '../../../../agent/netlink/codec.ts';
import { beginMessage, endMessage } from '../../../../agent/netlink/message.ts';
import { ipv4, nflogBytes } from '../../../support/nflog-bytes.ts';

const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.subarray(from, to)).toString('latin1');

test('a view has what the schema reads', (t) => {
  const first = {
    prefix: 'De/np/a/b/0#01234567',
    payload: ipv4(),
    seq: 7,
    hook: 2,
    timestampMs: 1_700_000_000_123,
    inputIndex: 3,
    outputIndex: 4,
  };
  const second = { prefix: 'x', payload: new Uint8Array(), hook: 1 };
  const bytes = nflogBytes([first, second]);
  const seen: object[] = [];
  scanNflog(bytes, (v) => {
    const prefix = latin1(bytes, v.prefixAt, v.prefixEnd);
    const payload = bytes.slice(v.payloadAt, v.payloadEnd);
    const { hook, seq, timestampMs, inputIndex, outputIndex } = v;
    seen.push({ prefix, payload, hook, seq, timestampMs, inputIndex, outputIndex });
  });
  t.deepEqual(seen, [first, { ...second, seq: -1, timestampMs: 0, inputIndex: 0, outputIndex: 0 }]);
  const read = [...messages(bytes)].map(({ body }) => {
    return schema.packet.read(readNfgenmsg(body).attrs);
  });
  t.is(read[0]?.prefix, first.prefix);
  t.is(read[0]?.seq, 7);
});

test('messages of other kinds are passed over', (t) => {
  const writer = new Writer();
  const at = beginMessage(writer, { type: NLMSG_ERROR, flags: 0, seq: 1 });
  writer.zeros(20);
  endMessage(writer, at);
  writer.raw(nflogBytes([{ prefix: 'x', payload: ipv4() }]));
  let count = 0;
  scanNflog(writer.finish(), () => count++);
  t.is(count, 1);
});

test('broken bytes are an error of decoding or a view inside the bytes, nothing else', (t) => {
  const whole = nflogBytes([{ prefix: 'De/x', payload: ipv4(), seq: 1, timestampMs: 5 }]);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, value, cut) => {
      const bytes = whole.slice(0, cut);
      if (at < cut) bytes[at] = value;
      try {
        scanNflog(bytes, (view) => {
          t.true(view.prefixAt <= view.prefixEnd && view.prefixEnd <= bytes.length);
          t.true(view.payloadAt <= view.payloadEnd && view.payloadEnd <= bytes.length);
        });
      } catch (error) {
        if (!(error instanceof NetlinkDecodeError)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

/** An answer with `errno` to sequence number 1. */
function ack(errno: number): Uint8Array {
  const writer = new Writer();
  const at = beginMessage(writer, { type: NLMSG_ERROR, flags: 0, seq: 1 });
  writer.u32host(-errno >>> 0);
  writer.zeros(16);
  endMessage(writer, at);
  return writer.finish();
}

test('binding is one request with everything in it', async (t) => {
  let sent = new Uint8Array();
  const socket = {
    exchange: (bytes: Uint8Array) => {
      sent = Uint8Array.from(bytes);
      return Promise.resolve(ack(0));
    },
  };
  await bindNflog(socket, { group: 5, copyRangeBytes: 128 });
  const [message] = [...messages(sent)];
  const { resource, attrs } = readNfgenmsg(message?.body ?? new Slice(new Uint8Array()));
  t.is(resource, 5);
  t.like(schema.config.read(attrs), {
    command: 1,
    mode: { copyRangeBytes: 128, mode: 2 },
    flags: 1,
  });
});

test('a group that another process reads is named', async (t) => {
  const socket = { exchange: () => Promise.resolve(ack(16)) };
  const bound = bindNflog(socket, { group: 5, copyRangeBytes: 128 });
  await t.throwsAsync(bound, { message: /log group 5: EBUSY/ });
});
