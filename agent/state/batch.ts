/**
 * The whole table as one transaction. Comes in: a table as the kernel or the engine has it. Goes out: bytes that make the kernel have exactly
 * this, whatever it has before; and the judgement whether bytes are such a transaction. Counter values are not part of it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { NftChain, NftOp, NftSet } from '../../compiler/nft/program.ts';
import { TABLE_NAME } from '../../compiler/nft/program.ts';
import type { KernelTable, Table } from '../../compiler/nft/table.ts';
import { cstr, eachAttr } from '../netlink/codec.ts';
import { encodeBatch, encodeInSteps, nftType } from '../netlink/encode.ts';
import { messages, readNfgenmsg } from '../netlink/message.ts';
import * as k from '../netlink/uapi.generated.ts';

const ORIGIN = 'state';

/** Encoding takes so much of the event loop at a time, then leaves it to others, milliseconds: a change of policy needs many turns. */
const TURN_MS = 1;
const REST_MS = 5;

/** Elements of one operation. */
const MAX_ELEMENTS = 200;

/** `undefined` = the table itself is not there. Throws OpEncodeError for what `whyNotRestorable` names. */
export function encodeTable(table: KernelTable | undefined): Uint8Array {
  return encodeBatch(operationsTo(table), { firstSeq: 1 }).bytes;
}

/** The same of the table as it is now, in many short turns. */
export async function encodeTableInTurns(table: KernelTable | undefined): Promise<Uint8Array> {
  const steps = encodeInSteps(operationsTo(table), { firstSeq: 1 });
  for (;;) {
    const endMs = performance.now() + TURN_MS;
    while (performance.now() < endMs) {
      const step = steps.next();
      if (step.done === true) return step.value.bytes;
    }
    await delay(REST_MS);
  }
}

/** Adding before deleting, since deleting what is not there is refused. */
export function operationsTo(table: KernelTable | undefined): readonly NftOp[] {
  const add: NftOp = { op: 'add-table', origin: ORIGIN };
  const clear: readonly NftOp[] = [add, { op: 'delete-table', origin: ORIGIN }];
  if (table === undefined) return clear;
  const chains = [...table.chains.values()];
  const sets = [...table.sets.values()];
  return [
    ...clear,
    add,
    ...[...table.counters.values()].map((counter): NftOp => {
      return { op: 'add-counter', counter, origin: ORIGIN };
    }),
    ...sets.map((set): NftOp => ({ op: 'add-set', set, origin: ORIGIN })),
    ...sets.filter(({ verdictMap }) => !verdictMap).flatMap((set) => fill(table, set)),
    ...chains.map((chain): NftOp => ({ op: 'add-chain', chain, origin: ORIGIN })),
    ...chains.flatMap(rulesOf),
    ...sets.filter(({ verdictMap }) => verdictMap).flatMap((set) => fill(table, set)),
  ];
}

function fill({ elements }: KernelTable, set: NftSet): readonly NftOp[] {
  const members = [...(elements.get(set.name)?.values() ?? [])];
  // Ranges are sorted before they are sent, all together.
  const size = set.interval ? Math.max(1, members.length) : MAX_ELEMENTS;
  return Array.from({ length: Math.ceil(members.length / size) }, (_, index): NftOp => {
    const part = members.slice(index * size, (index + 1) * size);
    return { op: 'add-elements', set, elements: part, origin: ORIGIN };
  });
}

function rulesOf({ name, rules }: NftChain): readonly NftOp[] {
  return rules.map((rule) => ({ op: 'add-rule', chain: name, rule, origin: ORIGIN }));
}

/** What in a dumped table only somebody else can have made, so that it cannot be made again; `undefined` = nothing. */
export function whyNotRestorable(table: KernelTable): string | undefined {
  if ((table.flags ?? 0) !== 0) return 'the table has flags, such as dormant';
  for (const { name, base, rules } of table.chains.values()) {
    if (base !== undefined && Number.isNaN(base.priority)) return `chain ${name}`;
    const isForeign = rules.some(({ exprs }) => exprs.some(({ kind }) => kind === 'foreign'));
    if (isForeign) return `a rule of chain ${name}`;
  }
  const odd = [...table.sets.values()].find(({ key }) => key.length === 0);
  return odd === undefined ? undefined : `set ${odd.name}`;
}

/** The part of an engine's table that is in the kernel. Right when nothing differs and nothing is withheld. */
export function settledTable(table: Table): KernelTable {
  const { chains, sets, counters } = table;
  const elements = elementsOf(table, sets.actual.keys());
  return { chains: chains.actual, sets: sets.actual, elements, counters: counters.actual };
}

/** What an engine's table is to be: as `settledTable`, but for what the kernel does not have yet. */
export function desiredTable(table: Table): KernelTable {
  const sets = new Map([...table.sets.desired].filter(([, set]) => !table.isWithheld(set)));
  const { chains, counters } = table;
  const elements = elementsOf(table, sets.keys());
  return { chains: chains.desired, sets, elements, counters: counters.desired };
}

/** As they are in the table, which may change: for whoever looks at once. */
function elementsOf(table: Table, names: Iterable<string>): KernelTable['elements'] {
  return new Map([...names].map((name) => [name, table.elementMap(name)]));
}

const ALLOWED = new Set(
  [
    k.NFT_MSG_NEWTABLE,
    k.NFT_MSG_DELTABLE,
    k.NFT_MSG_NEWCHAIN,
    k.NFT_MSG_NEWRULE,
    k.NFT_MSG_NEWSET,
    k.NFT_MSG_NEWSETELEM,
    k.NFT_MSG_NEWOBJ,
  ].map(nftType),
);

/** Begins and ends as a transaction does, and every message between is about `inet picket`. Never throws. */
export function isTableBatch(bytes: Uint8Array): boolean {
  try {
    return lastSeqOf(bytes) !== undefined;
  } catch {
    return false;
  }
}

/** Sequence number of the message that the kernel acknowledges; `undefined` for what is no such transaction. */
export function lastSeqOf(bytes: Uint8Array): number | undefined {
  let state: 'before' | 'inside' | 'after' = 'before';
  let last: number | undefined;
  for (const { type, flags, seq, body } of messages(bytes)) {
    if (state === 'before') {
      if (type !== k.NFNL_MSG_BATCH_BEGIN) return undefined;
      state = 'inside';
    } else if (state === 'after') return undefined;
    else if (type === k.NFNL_MSG_BATCH_END) state = 'after';
    else {
      const { family, attrs } = readNfgenmsg(body);
      if (!ALLOWED.has(type) || family !== k.NFPROTO_INET) return undefined;
      if (tableOf(attrs) !== TABLE_NAME) return undefined;
      if ((flags & k.NLM_F_ACK) !== 0) last = seq;
    }
  }
  return state === 'after' ? last : undefined;
}

/** The table's name is attribute 1 of every object. The first one: the kernel takes the last, so there must be one only. */
function tableOf(attrs: Parameters<typeof eachAttr>[0]): string | undefined {
  const names: string[] = [];
  eachAttr(attrs, (type, payload) => {
    if (type === k.NFTA_TABLE_NAME) names.push(cstr.read(payload));
  });
  return names.length === 1 ? names[0] : undefined;
}
