import test from 'ava';
import * as fc from 'fast-check';
import { NetlinkDecodeError, Slice, eachAttr } from '../../../../agent/netlink/codec.ts';
import { readRule, readSet } from '../../../../agent/netlink/decode.ts';
import { readElements } from '../../../../agent/netlink/elements.ts';
import { OpEncodeError, encodeBatch } from '../../../../agent/netlink/encode.ts';
import { messages, readNfgenmsg, type Message } from '../../../../agent/netlink/message.ts';
import { setElemList } from '../../../../agent/netlink/schema/nftables.ts';
import * as k from '../../../../agent/netlink/uapi.generated.ts';
import { elementKey, ruleKey, setKey } from '../../../../compiler/nft/key.ts';
import type { NftElement, NftOp, NftSet } from '../../../../compiler/nft/program.ts';
import { arbitraryElements, arbitraryRule, arbitrarySet } from '../../../support/arbitrary-nft.ts';

const origin = 'test';
const set = (key: NftSet['key'], rest: Partial<NftSet> = {}): NftSet => ({
  name: 's',
  key,
  interval: false,
  verdictMap: false,
  constant: false,
  comment: undefined,
  origin,
  ...rest,
});
const element = (...key: NftElement['key']): NftElement => ({
  key,
  keyEnd: undefined,
  verdict: undefined,
});

/** The operations' messages, without the frame. */
function opMessages(ops: readonly NftOp[]): Message[] {
  return [...messages(encodeBatch(ops, { firstSeq: 1 }).bytes)].slice(1, -1);
}

const attrsOf = (message: Message): Slice => readNfgenmsg(message.body).attrs;

/** Attributes only. */
function hexOf(ops: readonly NftOp[]): string {
  return opMessages(ops)
    .map((message) => Buffer.from(attrsOf(message).bytes).toString('hex'))
    .join(' ');
}

test('a batch is framed, numbered and guarded, and only its last operation asks for an answer', (t) => {
  const batch = encodeBatch(
    [
      { op: 'add-table', origin },
      { op: 'flush-chain', name: 'a', origin },
      { op: 'delete-chain', name: 'a', origin },
    ],
    { firstSeq: 100, genId: 0x01020304 },
  );
  t.deepEqual(
    [...messages(batch.bytes)].map(({ type, flags, seq, portId }) => [type, flags, seq, portId]),
    [
      [0x10, 0x001, 100, 0],
      [0xa00, 0x401, 101, 0],
      [0xa08, 0x001, 102, 0],
      [0xa05, 0x005, 103, 0],
      [0x11, 0x001, 104, 0],
    ],
  );
  const [begin] = [...messages(batch.bytes)];
  t.is(Buffer.from(begin?.body.bytes ?? []).toString('hex'), '0000000a0800010001020304');
  t.is(batch.lastSeq, 103);
  t.deepEqual([99, 100, 101, 102, 103, 104, 105].map(batch.seqToOp), [
    undefined,
    undefined,
    0,
    1,
    2,
    undefined,
    undefined,
  ]);
});

test('a batch without messages asks for nothing', (t) => {
  const ops: NftOp[] = [{ op: 'add-elements', set: set(['ipv4_addr']), elements: [], origin }];
  const batch = encodeBatch(ops, { firstSeq: 5 });
  t.is(batch.lastSeq, 5);
  t.true([...messages(batch.bytes)].every(({ flags }) => flags === k.NLM_F_REQUEST));
});

test('sequence numbers wrap', (t) => {
  const ops: NftOp[] = [
    { op: 'flush-chain', name: 'a', origin },
    { op: 'flush-chain', name: 'b', origin },
  ];
  const batch = encodeBatch(ops, { firstSeq: 0xffffffff });
  t.deepEqual([0xffffffff, 0, 1, 2].map(batch.seqToOp), [undefined, 0, 1, undefined]);
});

test('100,000 elements fill as few messages as the attribute limit allows', (t) => {
  const elements = Array.from({ length: 100_000 }, (_, i) => element(BigInt(i) + (10n << 24n)));
  const target = set(['ipv4_addr']);
  const ops: NftOp[] = [
    { op: 'add-set', set: target, origin },
    { op: 'add-elements', set: target, elements, origin },
    { op: 'flush-chain', name: 'after', origin },
  ];
  const batch = encodeBatch(ops, { firstSeq: 1 });
  const sent = [...messages(batch.bytes)].filter(({ type }) => type === 0xa0c);
  // 16 bytes an element: list header, key header, value header, 4 bytes.
  t.is(sent.length, Math.ceil(100_000 / Math.floor((0xffff - 4) / 16)));
  t.true(sent.every(({ seq }) => batch.seqToOp(seq) === 1));
  t.is(batch.seqToOp(batch.lastSeq), 2);
  const keys = sent.flatMap((message) =>
    readElements(target, setElemList.read(attrsOf(message)).elements ?? []).map(
      ({ key }) => key[0],
    ),
  );
  t.deepEqual(
    keys,
    elements.map(({ key }) => key[0]),
  );
});

test('the two boundaries of a range stay in one message, in ascending order', (t) => {
  const target = set(['inet_service'], { interval: true });
  const elements = Array.from({ length: 16_000 }, (_, i) => element(65_000 - 4 * i));
  const sent = opMessages([{ op: 'add-elements', set: target, elements, origin }]);
  t.true(sent.length > 1);
  let last = -1;
  for (const message of sent) {
    const dumped = setElemList.read(attrsOf(message)).elements ?? [];
    t.is(dumped.length % 2, 0);
    t.is(dumped.at(-1)?.flags, k.NFT_SET_ELEM_INTERVAL_END);
    for (const { key } of readElements(target, dumped)) {
      t.true(Number(key[0]) > last);
      last = Number(key[0]);
    }
  }
});

const KEYS: readonly { name: string; in: NftSet; out: string }[] = [
  {
    name: 'addresses with a comment',
    in: set(['ipv4_addr'], { comment: 'hi' }),
    out: '08000300 00000000 08000400 00000007 08000500 00000004 08000a00 00000001 0f000d00 000402000000 07036869 00 00',
  },
  {
    name: 'concatenation',
    in: set(['ipv4_addr', 'inet_proto', 'inet_service']),
    out: '08000300 00000000 08000400 0000730d 08000500 0000000c 08000a00 00000001 0a000d00 000400000000 0000',
  },
  {
    name: 'concatenation with ranges',
    in: set(['inet_proto', 'inet_service'], { interval: true }),
    out: '08000300 00000084 08000400 0000030d 08000500 00000008 20000980 1c000280 0c000180 08000100 00000001 0c000180 08000100 00000002 08000a00 00000001 0a000d00 000400000000 0000',
  },
  {
    name: 'verdict map by interface, constant',
    in: set(['ifname'], { verdictMap: true, constant: true }),
    out: '08000300 0000000a 08000400 00000029 08000500 00000010 08000600 ffffff00 08000700 00000000 08000a00 00000001 0a000d00 000401000000 0000',
  },
];

for (const { name, in: target, out } of KEYS) {
  test(`add-set has nft's bytes: ${name}`, (t) => {
    const head = '0b0001007069636b657400000600020073000000';
    t.is(hexOf([{ op: 'add-set', set: target, origin }]), head + out.replaceAll(' ', ''));
  });
}

test('deleting a verdict map element names its key only', (t) => {
  const target = set(['ifname'], { verdictMap: true });
  const gone: NftElement = { ...element('cali1'), verdict: { kind: 'jump', chain: 'x' } };
  const [message] = opMessages([{ op: 'delete-elements', set: target, elements: [gone], origin }]);
  t.is(message?.type, 0xa0e);
  const types: number[] = [];
  if (message !== undefined) {
    eachAttr(attrsOf(message), (type, list) => {
      if (type !== k.NFTA_SET_ELEM_LIST_ELEMENTS) return;
      eachAttr(list, (_, attrs) => eachAttr(attrs, (inner) => types.push(inner)));
    });
  }
  t.deepEqual(types, [k.NFTA_SET_ELEM_KEY]);
});

const REFUSED: readonly { name: string; in: NftOp; out: RegExp }[] = [
  {
    name: 'foreign expression',
    in: {
      op: 'add-rule',
      chain: 'c',
      rule: { exprs: [{ kind: 'foreign', name: 'quota' }], comment: undefined, origin },
      origin,
    },
    out: /quota/,
  },
  {
    name: 'key of the wrong arity',
    in: { op: 'add-elements', set: set(['ipv4_addr']), elements: [element(1, 2)], origin },
    out: /2 key parts/,
  },
  {
    name: 'interface name of 16 bytes',
    in: { op: 'add-elements', set: set(['ifname']), elements: [element('x'.repeat(16))], origin },
    out: /interface name/,
  },
  {
    name: 'map element without verdict',
    in: {
      op: 'add-elements',
      set: set(['ipv4_addr'], { verdictMap: true }),
      elements: [element(1n)],
      origin,
    },
    out: /without verdict/,
  },
];

for (const { name, in: op, out } of REFUSED) {
  test(`what has no encoding names its operation: ${name}`, (t) => {
    const error = t.throws(() => encodeBatch([{ op: 'add-table', origin }, op], { firstSeq: 1 }), {
      instanceOf: OpEncodeError,
      message: out,
    });
    t.is(error?.op, 1);
  });
}

test('rules survive encoding and decoding', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(arbitraryRule, (rule) => {
        const [message] = opMessages([{ op: 'add-rule', chain: 'c', rule, origin }]);
        if (message === undefined) return false;
        const decoded = readRule(attrsOf(message));
        return decoded.chain === 'c' && ruleKey(decoded.rule) === ruleKey(rule);
      }),
    ),
  );
});

test('sets and elements survive encoding and decoding', (t) => {
  const withElements = arbitrarySet.chain((target) =>
    fc.tuple(fc.constant(target), arbitraryElements(target)),
  );
  t.notThrows(() =>
    fc.assert(
      fc.property(withElements, ([target, elements]) => {
        const sent = opMessages([
          { op: 'add-set', set: target, origin },
          { op: 'add-elements', set: target, elements, origin },
        ]);
        const [first, second] = sent;
        if (first === undefined) return false;
        const decoded = readSet(attrsOf(first)).set;
        if (setKey(decoded) !== setKey(target)) return false;
        const dumped =
          second === undefined ? [] : (setElemList.read(attrsOf(second)).elements ?? []);
        const keys = (list: readonly NftElement[]): string =>
          list
            .map((one) => elementKey(target, one))
            .toSorted()
            .join('\n');
        return keys(readElements(decoded, dumped)) === keys(elements);
      }),
    ),
  );
});

test('a rule or elements cut at any length, or with any byte changed, never crash the decoder', (t) => {
  const [rule] = fc.sample(arbitraryRule, { numRuns: 1, seed: 7 });
  const target = set(['ipv4_addr'], { interval: true, verdictMap: true });
  const verdict = { kind: 'jump', chain: 'tgt' } as const;
  const ranges: NftElement[] = [{ key: [1n], keyEnd: [0xffffffffn], verdict }];
  const sent = opMessages([
    { op: 'add-elements', set: target, elements: ranges, origin },
    ...(rule === undefined ? [] : [{ op: 'add-rule', chain: 'c', rule, origin } as const]),
  ]);
  const read = (data: Uint8Array): void => {
    readRule(new Slice(data));
    readElements(target, setElemList.read(new Slice(data)).elements ?? []);
  };
  for (const message of sent) {
    const { bytes } = attrsOf(message);
    for (let at = 0; at < bytes.length; at++) {
      for (const data of [bytes.subarray(0, at), bytes.with(at, 0xff), bytes.with(at, 0)]) {
        try {
          read(data);
        } catch (error) {
          t.true(error instanceof NetlinkDecodeError, `byte ${at}: ${String(error)}`);
        }
      }
    }
  }
  t.pass();
});
