import test from 'ava';
import { encodeTable, encodeTableInTurns, isTableBatch } from '../../../../agent/state/batch.ts';
import { decodeSnapshot, encodeSnapshot } from '../../../../agent/state/snapshot.ts';
import type { Snapshot } from '../../../../agent/state/snapshot.ts';
import { encodeBatch } from '../../../../agent/netlink/encode.ts';
import type { NftElement, NftOp } from '../../../../compiler/nft/program.ts';
import type { KernelTable } from '../../../../compiler/nft/table.ts';

const TABLE: KernelTable = {
  chains: new Map([
    [
      'input',
      {
        name: 'input',
        base: { hook: 'input', priority: 0 },
        rules: [
          {
            exprs: [
              { kind: 'meta', key: 'l4proto', dreg: 8 },
              { kind: 'lookup', sreg: 8, set: 's', negate: false, verdictMap: false },
              { kind: 'verdict', verdict: { kind: 'drop' } },
            ],
            comment: 'why',
            origin: 'test',
          },
        ],
      },
    ],
  ]),
  sets: new Map([
    [
      's',
      {
        name: 's',
        key: ['inet_proto'],
        interval: false,
        verdictMap: false,
        constant: false,
        comment: undefined,
        origin: 'test',
      },
    ],
  ]),
  elements: new Map([['s', new Map([['6', { key: [6], keyEnd: undefined, verdict: undefined }]])]]),
  counters: new Map([['c', { name: 'c', comment: undefined, origin: 'test' }]]),
};

const HEADER = { version: '1.2.3', node: 'n1', createdMs: 1_700_000_000_000, origin: 'test – ü' };
const PENDING = {
  id: 'a',
  bootId: 'b',
  deadlineMs: 12.5,
  scope: 'host',
  tried: { host: 'h', policy: 'p' },
} as const;

const SNAPSHOT: Snapshot = { header: HEADER, batch: encodeTable(TABLE) };
const BYTES = whole(SNAPSHOT);

function whole(snapshot: Snapshot): Buffer {
  return Buffer.concat(encodeSnapshot(snapshot));
}

function reasonOf(bytes: Uint8Array): string {
  const read = decodeSnapshot(bytes);
  return read.ok ? 'ok' : read.reason;
}

for (const { name, snapshot } of [
  { name: 'a table', snapshot: SNAPSHOT },
  { name: 'no table', snapshot: { header: HEADER, batch: encodeTable(undefined) } },
  {
    name: 'a state to go back to',
    snapshot: { header: { ...HEADER, pending: PENDING }, batch: encodeTable(TABLE) },
  },
]) {
  test(`what is written is read: ${name}`, (t) => {
    const read = decodeSnapshot(whole(snapshot));
    t.true(read.ok);
    if (!read.ok) return;
    t.deepEqual(read.snapshot.header, snapshot.header);
    t.deepEqual(Buffer.from(read.snapshot.batch), Buffer.from(snapshot.batch));
  });
}

test('cut off at any length it is no state', (t) => {
  for (let length = 0; length < BYTES.length; length++) {
    t.not(reasonOf(BYTES.subarray(0, length)), 'ok', `${length} bytes`);
  }
});

test('with any bit turned it is no state', (t) => {
  for (let bit = 0; bit < BYTES.length * 8; bit++) {
    const turned = Buffer.from(BYTES);
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    t.not(reasonOf(turned), 'ok', `bit ${bit}`);
  }
});

for (const { name, in: bytes, out } of [
  { name: 'nothing', in: Buffer.alloc(0), out: 'truncated' },
  { name: 'its first letters', in: BYTES.subarray(0, 9), out: 'truncated' },
  { name: 'all but the last byte', in: BYTES.subarray(0, -1), out: 'digest' },
  { name: 'a byte more', in: Buffer.concat([BYTES, Buffer.of(0)]), out: 'digest' },
  { name: 'zeros, as after a power cut', in: Buffer.alloc(4096), out: 'foreign' },
  { name: 'something else', in: Buffer.from(`${'x'.repeat(200)}\n{}\n`), out: 'foreign' },
  {
    name: 'a later format',
    in: Buffer.from(BYTES.toString('latin1').replace('state 1 ', 'state 2 '), 'latin1'),
    out: 'format',
  },
  { name: 'a header that is none', in: forged('[]', SNAPSHOT.batch), out: 'contents' },
  { name: 'a header without time', in: forged('{"version":"1"}', SNAPSHOT.batch), out: 'contents' },
  { name: 'no transaction', in: forged(JSON.stringify(HEADER), Buffer.alloc(0)), out: 'contents' },
  {
    name: 'another transaction',
    in: forged(JSON.stringify(HEADER), forOtherTable(SNAPSHOT.batch)),
    out: 'contents',
  },
]) {
  test(`the reason has a name: ${name}`, (t) => t.is(reasonOf(bytes), out));
}

/** With a right digest. */
function forged(header: string, batch: Uint8Array): Buffer {
  const [first = Buffer.alloc(0)] = encodeSnapshot({
    header: JSON.parse(header) as Snapshot['header'],
    batch,
  });
  return Buffer.concat([first, Buffer.from(`${header}\n`), batch]);
}

function forOtherTable(batch: Uint8Array): Uint8Array {
  const text = Buffer.from(batch).toString('latin1');
  return Buffer.from(text.replace('picket', 'pocket'), 'latin1');
}

const ADD: NftOp = { op: 'add-table', origin: 'test' };

for (const { name, in: bytes, out } of [
  { name: 'a whole table', in: SNAPSHOT.batch, out: true },
  { name: 'no message', in: encodeBatch([], { firstSeq: 1 }).bytes, out: false },
  {
    name: 'a chain that goes',
    in: encodeBatch([ADD, { op: 'delete-chain', name: 'c', origin: '' }], { firstSeq: 1 }).bytes,
    out: false,
  },
  { name: 'two transactions', in: Buffer.concat([SNAPSHOT.batch, SNAPSHOT.batch]), out: false },
  { name: 'no end', in: SNAPSHOT.batch.subarray(0, -20), out: false },
  { name: 'a length that lies', in: Buffer.alloc(40, 0xff), out: false },
  { name: 'another table', in: forOtherTable(SNAPSHOT.batch), out: false },
]) {
  test(`only a transaction on our table is one: ${name}`, (t) => t.is(isTableBatch(bytes), out));
}

test('in many turns it is the same transaction, of the table as it was', async (t) => {
  const members = new Map<string, NftElement>(TABLE.elements.get('s'));
  for (let key = 0; key < 20_000; key++) {
    members.set(String(key), { key: [key & 255], keyEnd: undefined, verdict: undefined });
  }
  const table = { ...TABLE, elements: new Map([['s', members]]) };
  const expected = encodeTable(table);
  const encoding = encodeTableInTurns(table);
  members.clear();
  t.true(Buffer.from(await encoding).equals(expected));
});
