import test from 'ava';
import { AgentError } from '../../../../agent/errors.ts';
import { Writer, type Codec } from '../../../../agent/netlink/codec.ts';
import { encodeBatch, nftType } from '../../../../agent/netlink/encode.ts';
import { writeNfgenmsg } from '../../../../agent/netlink/message.ts';
import { commit, dumpTable, type Exchanger } from '../../../../agent/netlink/request.ts';
import * as schema from '../../../../agent/netlink/schema/nftables.ts';
import * as k from '../../../../agent/netlink/uapi.generated.ts';
import { chainKey, setKey } from '../../../../compiler/nft/key.ts';
import type { NftChain, NftOp, NftSet } from '../../../../compiler/nft/program.ts';
import { repeated, scriptedKernel, type Answer } from '../../../support/nft-kernel.ts';

const origin = 'test';
const OPS: readonly NftOp[] = [
  { op: 'add-table', origin },
  { op: 'delete-chain', name: 'a', origin: 'chain a' },
  { op: 'delete-chain', name: 'b', origin: 'chain b' },
];

test('a batch without refusals is committed', async (t) => {
  const kernel = scriptedKernel(() => 0);
  t.like(await commit(kernel, OPS), { ok: true });
  t.is(kernel.requests.length, OPS.length + 2);
});

test('no operations, no exchange', async (t) => {
  const kernel = scriptedKernel(() => 0);
  t.deepEqual(await commit(kernel, []), { ok: true, sentBytes: 0 });
  t.deepEqual(kernel.requests, []);
});

test('every refusal names its operation', async (t) => {
  const kernel = scriptedKernel(({ type }) => (type === nftType(k.NFT_MSG_DELCHAIN) ? 2 : 0));
  const result = await commit(kernel, OPS);
  t.deepEqual(result.ok ? [] : result.refusals, [
    { index: 1, op: OPS[1], errno: 2, errnoName: 'ENOENT', extAck: undefined, offset: undefined },
    { index: 2, op: OPS[2], errno: 2, errnoName: 'ENOENT', extAck: undefined, offset: undefined },
  ]);
});

test('a refusal of the batch itself names no operation', async (t) => {
  const kernel = scriptedKernel(({ type }) => (type === k.NFNL_MSG_BATCH_BEGIN ? 1 : 0));
  const result = await commit(kernel, OPS, { genId: 7 });
  t.like(result.ok ? {} : result.refusals[0], {
    index: undefined,
    op: undefined,
    errnoName: 'EPERM',
  });
});

test('an operation without encoding is refused without asking the kernel', async (t) => {
  const kernel = scriptedKernel(() => 0);
  const exprs = [{ kind: 'foreign', name: 'quota' }] as const;
  const bad: NftOp = {
    op: 'add-rule',
    chain: 'c',
    rule: { exprs, comment: undefined, origin },
    origin,
  };
  const result = await commit(kernel, [...OPS, bad]);
  t.like(result.ok ? {} : result.refusals[0], { index: 3, op: bad, errnoName: 'EINVAL' });
  t.deepEqual(kernel.requests, []);
});

const CHAIN: NftChain = {
  name: 'input',
  base: { hook: 'input', priority: 0 },
  rules: [
    {
      exprs: [{ kind: 'verdict', verdict: { kind: 'accept' } }],
      comment: 'all',
      origin,
    },
  ],
};
const SET: NftSet = {
  name: 's4',
  key: ['ipv4_addr'],
  interval: false,
  verdictMap: false,
  constant: false,
  comment: 'four',
  origin,
};

function answer<T>(message: number, codec: Codec<T>, value: T, flags = k.NLM_F_MULTI): Answer {
  const writer = new Writer();
  writeNfgenmsg(writer, k.NFPROTO_INET, 0);
  codec.write(writer, value);
  return { type: nftType(message), flags, body: writer.finish() };
}

/** A kernel with our table, another one, and a way to disturb dumps. */
function kernelWithTable(
  options: { generation?: () => number; interrupt?: () => boolean } = {},
): Exchanger {
  const { bytes } = encodeBatch(
    [
      { op: 'add-set', set: SET, origin },
      {
        op: 'add-elements',
        set: SET,
        elements: [{ key: [1n], keyEnd: undefined, verdict: undefined }],
        origin,
      },
      { op: 'add-chain', chain: CHAIN, origin },
      ...CHAIN.rules.map((rule): NftOp => ({ op: 'add-rule', chain: 'input', rule, origin })),
      { op: 'add-counter', counter: { name: 'c', comment: undefined, origin }, origin },
    ],
    { firstSeq: 1 },
  );
  const answers: Readonly<Record<number, () => readonly Answer[]>> = {
    [k.NFT_MSG_GETGEN]: () => [
      answer(k.NFT_MSG_NEWGEN, schema.generation, { id: options.generation?.() ?? 5 }),
    ],
    [k.NFT_MSG_GETTABLE]: () => [
      answer(k.NFT_MSG_NEWTABLE, schema.table, { name: 'other' }),
      answer(k.NFT_MSG_NEWTABLE, schema.table, { name: 'picket' }),
    ],
    [k.NFT_MSG_GETCHAIN]: () => [
      ...repeated(bytes, k.NFT_MSG_NEWCHAIN),
      answer(k.NFT_MSG_NEWCHAIN, schema.chain, { table: 'other', name: 'input' }),
    ],
    [k.NFT_MSG_GETRULE]: () => repeated(bytes, k.NFT_MSG_NEWRULE),
    [k.NFT_MSG_GETSET]: () =>
      repeated(bytes, k.NFT_MSG_NEWSET).map((one) => ({
        ...one,
        flags: options.interrupt?.() === true ? k.NLM_F_DUMP_INTR : 0,
      })),
    [k.NFT_MSG_GETSETELEM]: () => repeated(bytes, k.NFT_MSG_NEWSETELEM),
    [k.NFT_MSG_GETOBJ]: () => repeated(bytes, k.NFT_MSG_NEWOBJ),
  };
  return scriptedKernel(({ type }) => answers[type & 0xff]?.() ?? 22);
}

test('a dump has our table and nothing of others', async (t) => {
  const dump = await dumpTable(kernelWithTable());
  t.is(dump?.generation, 5);
  t.deepEqual([...(dump?.chains.values() ?? [])].map(chainKey), [chainKey(CHAIN)]);
  t.deepEqual([...(dump?.sets.values() ?? [])].map(setKey), [setKey(SET)]);
  t.deepEqual([...(dump?.elements.get('s4')?.keys() ?? [])], ['1']);
  t.deepEqual([...(dump?.counterValues ?? [])], [['c', { packets: 0n, bytes: 0n }]]);
});

test('without our table a dump is undefined', async (t) => {
  const kernel = scriptedKernel(({ type }) =>
    (type & 0xff) === k.NFT_MSG_GETGEN
      ? [answer(k.NFT_MSG_NEWGEN, schema.generation, { id: 1 })]
      : [],
  );
  t.is(await dumpTable(kernel), undefined);
});

test('an interrupted dump is begun anew', async (t) => {
  let left = 2;
  const dump = await dumpTable(kernelWithTable({ interrupt: () => left-- > 0 }));
  t.is(dump?.sets.size, 1);
  t.is(left, -1);
});

test('a dump that is interrupted every time is given up', async (t) => {
  const error = await t.throwsAsync(dumpTable(kernelWithTable({ interrupt: () => true })), {
    instanceOf: AgentError,
  });
  t.is(error?.code, 'ERR_NETLINK_IO');
});

test('a generation that changes during the dump makes another attempt', async (t) => {
  const seen = [1, 2, 3, 3];
  const dump = await dumpTable(kernelWithTable({ generation: () => seen.shift() ?? 0 }));
  t.is(dump?.generation, 3);
  t.deepEqual(seen, []);
});

test('on a ruleset that never rests the last attempt counts', async (t) => {
  let id = 0;
  const dump = await dumpTable(kernelWithTable({ generation: () => ++id }));
  t.is(dump?.chains.size, 1);
});
