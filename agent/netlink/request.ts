/**
 * Conversations with nf_tables over one socket: commit operations, read the whole of our table, read the generation.
 * Operations and an exchange function in, outcomes and objects out. Refuses to know: descriptors, retry policy of commits.
 */
import { elementKey } from '../../compiler/nft/key.ts';
import {
  TABLE_NAME,
  type NftChain,
  type NftCounter,
  type NftElement,
  type NftOp,
  type NftRule,
  type NftSet,
} from '../../compiler/nft/program.ts';
import { AgentError, errnoName, syscallError } from '../errors.ts';
import { Writer, type Codec, type Slice } from './codec.ts';
import { traceNetlink } from './debug.ts';
import { readChain, readCounter, readGeneration, readRule, readSet } from './decode.ts';
import { readElements } from './elements.ts';
import { OpEncodeError, encodeBatch, nftType, type Batch } from './encode.ts';
import {
  beginMessage,
  endMessage,
  messages,
  readAck,
  readNfgenmsg,
  writeNfgenmsg,
  type Ack,
} from './message.ts';
import * as schema from './schema/nftables.ts';
import * as k from './uapi.generated.ts';

/** The part of NetlinkSocket that conversations use. */
export interface Exchanger {
  exchange(
    bytes: Uint8Array,
    expect: 'acks' | 'dump',
    lastSeq: number,
    timeoutMs: number,
  ): Promise<Uint8Array>;
}

/** Long enough for a batch of hundreds of thousands of elements on a slow machine. */
const TIMEOUT_MS = 60_000;

/** One message that the kernel refused, or an operation that has no encoding. */
export interface Refusal {
  /** Index of the operation; `undefined` = the batch as a whole (generation, permission, memory). */
  readonly index: number | undefined;
  readonly op: NftOp | undefined;
  /** Positive. */
  readonly errno: number;
  /** `ENOENT` */
  readonly errnoName: string;
  /** The kernel's own words, or ours for an operation without encoding. */
  readonly extAck: string | undefined;
  /** Byte in the refused message, from its header. */
  readonly offset: number | undefined;
}

/** `refusals` is not empty; nothing of the batch was applied. */
export type CommitResult =
  | { readonly ok: true; readonly sentBytes: number }
  | { readonly ok: false; readonly refusals: readonly Refusal[] };

export interface CommitOptions {
  /** The ruleset generation the operations were planned against; another one refuses the batch with ERESTART. */
  readonly genId?: number | undefined;
  /** Only ask whether the kernel would take it: nothing is changed, and nobody is told. */
  readonly dryRun?: boolean | undefined;
}

const EINVAL = 22;
const ENOENT = 2;

let nextSeq = 1;

/** Sequence numbers only tell answers of one socket apart. */
function takeSeqs(count: number): number {
  if (nextSeq + count > 0xffffffff) nextSeq = 1;
  const first = nextSeq;
  nextSeq += count;
  return first;
}

/** One transaction. Rejects with the socket's errors only; what the kernel refuses is in the result. */
export async function commit(
  socket: Exchanger,
  ops: readonly NftOp[],
  options: CommitOptions = {},
): Promise<CommitResult> {
  const firstSeq = nextSeq;
  let batch: Batch;
  try {
    batch = encodeBatch(ops, { firstSeq, ...options });
  } catch (error) {
    if (!(error instanceof OpEncodeError)) throw error;
    const ack: Ack = { seq: 0, errno: EINVAL, extAck: error.message, offset: undefined };
    return { ok: false, refusals: [refusal(ops, error.op, ack)] };
  }
  if (batch.lastSeq === firstSeq) return { ok: true, sentBytes: 0 };
  nextSeq = batch.lastSeq + 2 > 0xfffffff0 ? 1 : batch.lastSeq + 2;
  traceNetlink('>', batch.bytes);
  const answer = await socket.exchange(batch.bytes, 'acks', batch.lastSeq, TIMEOUT_MS);
  traceNetlink('<', answer);
  const refusals: Refusal[] = [];
  for (const message of messages(answer)) {
    const ack = readAck(message);
    if (ack !== undefined && ack.errno !== 0)
      refusals.push(refusal(ops, batch.seqToOp(ack.seq), ack));
  }
  return refusals.length === 0
    ? { ok: true, sentBytes: batch.bytes.length }
    : { ok: false, refusals };
}

function refusal(ops: readonly NftOp[], index: number | undefined, ack: Ack): Refusal {
  const { errno, extAck, offset } = ack;
  const op = index === undefined ? undefined : ops[index];
  return { index, op, errno, errnoName: errnoName(errno), extAck, offset };
}

/** Everything of `inet picket`. Maps by name; elements by element key inside. */
export interface TableDump {
  /** When reading began: give it to `commit` to be refused if someone changed anything since. */
  readonly generation: number;
  readonly flags: number;
  readonly chains: ReadonlyMap<string, NftChain>;
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, NftElement>>;
  readonly counters: ReadonlyMap<string, NftCounter>;
  readonly counterValues: ReadonlyMap<string, CounterValue>;
}

export interface CounterValue {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** How often a dump is begun anew because the ruleset changed meanwhile. */
const MAX_ATTEMPTS = 8;

/**
 * Reads our table as of one generation; `undefined` = there is none. On a machine where others commit without pause the last
 * attempt counts if no single dump was interrupted: `generation` then still guards the commit planned on it.
 */
export async function dumpTable(socket: Exchanger): Promise<TableDump | undefined> {
  for (let attempt = 1; ; attempt++) {
    const generation = await readGenerationId(socket);
    const dump = await tryDumpTable(socket, generation);
    const isLast = attempt >= MAX_ATTEMPTS;
    if (dump !== 'interrupted') {
      if (isLast || (await readGenerationId(socket)) === generation) return dump;
    } else if (isLast) {
      throw new AgentError(
        'ERR_NETLINK_IO',
        `dump of table inet ${TABLE_NAME}: changed during each of ${MAX_ATTEMPTS} attempts`,
        { errno: 4 },
      );
    }
  }
}

/** Counter values alone, without the rest of the table; empty when there is no table. */
export async function dumpCounters(socket: Exchanger): Promise<ReadonlyMap<string, CounterValue>> {
  const values = new Map<string, CounterValue>();
  const request = { table: TABLE_NAME };
  await dump(socket, k.NFT_MSG_GETOBJ, schema.counterObject, request, (attrs) => {
    const dumped = readCounter(attrs);
    if (dumped?.table !== TABLE_NAME) return;
    values.set(dumped.counter.name, { packets: dumped.packets, bytes: dumped.bytes });
  });
  return values;
}

/** The ruleset's current generation. */
export async function readGenerationId(socket: Exchanger): Promise<number> {
  let id = 0;
  const outcome = await ask(
    socket,
    k.NFT_MSG_GETGEN,
    k.NLM_F_ACK,
    schema.generation,
    {},
    (attrs) => {
      id = readGeneration(attrs).id;
    },
  );
  if (outcome.errno !== 0) throw syscallError('read nf_tables generation', outcome.errno);
  return id;
}

async function tryDumpTable(
  socket: Exchanger,
  generation: number,
): Promise<TableDump | undefined | 'interrupted'> {
  let interrupted = false;
  let flags: number | undefined;
  const note = (complete: boolean): void => void (interrupted ||= !complete);
  note(
    await dump(socket, k.NFT_MSG_GETTABLE, schema.table, {}, (attrs) => {
      const table = schema.table.read(attrs);
      if (table.name === TABLE_NAME) flags = table.flags ?? 0;
    }),
  );
  if (flags === undefined) return interrupted ? 'interrupted' : undefined;
  const chains = await dumpChains(socket, note);
  const sets = await dumpSets(socket, note);
  const elements = new Map<string, ReadonlyMap<string, NftElement>>();
  for (const set of sets.values()) elements.set(set.name, await dumpElements(socket, set, note));
  const counters = new Map<string, NftCounter>();
  const counterValues = new Map<string, CounterValue>();
  const request = { table: TABLE_NAME };
  note(
    await dump(socket, k.NFT_MSG_GETOBJ, schema.counterObject, request, (attrs) => {
      const dumped = readCounter(attrs);
      if (dumped?.table !== TABLE_NAME) return;
      const { counter, packets, bytes } = dumped;
      counters.set(counter.name, counter);
      counterValues.set(counter.name, { packets, bytes });
    }),
  );
  if (interrupted) return 'interrupted';
  return { generation, flags, chains, sets, elements, counters, counterValues };
}

type Note = (complete: boolean) => void;

async function dumpChains(socket: Exchanger, note: Note): Promise<Map<string, NftChain>> {
  const chains = new Map<string, NftChain>();
  const rules = new Map<string, NftRule[]>();
  note(
    await dump(socket, k.NFT_MSG_GETCHAIN, schema.chain, {}, (attrs) => {
      const { table, chain } = readChain(attrs);
      if (table !== TABLE_NAME) return;
      const own: NftRule[] = [];
      rules.set(chain.name, own);
      chains.set(chain.name, { ...chain, rules: own });
    }),
  );
  note(
    await dump(socket, k.NFT_MSG_GETRULE, schema.rule, { table: TABLE_NAME }, (attrs) => {
      const { table, chain, rule } = readRule(attrs);
      if (table === TABLE_NAME) rules.get(chain)?.push(rule);
    }),
  );
  return chains;
}

async function dumpSets(socket: Exchanger, note: Note): Promise<Map<string, NftSet>> {
  const sets = new Map<string, NftSet>();
  note(
    await dump(socket, k.NFT_MSG_GETSET, schema.set, { table: TABLE_NAME }, (attrs) => {
      const { table, set } = readSet(attrs);
      if (table === TABLE_NAME) sets.set(set.name, set);
    }),
  );
  return sets;
}

/**
 * Empty for a set that is not of our form. The kernel resumes the walk of a hash set by counting, without noticing that the set
 * was rehashed in between (a while after many additions): then some elements come twice and as many are missing.
 * Source: linux net/netfilter/nft_set_hash.c, nft_rhash_walk (v6.12).
 */
async function dumpElements(
  socket: Exchanger,
  set: NftSet,
  note: Note,
): Promise<Map<string, NftElement>> {
  const byKey = new Map<string, NftElement>();
  if (set.key.length === 0) return byKey;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const elements = await dumpElementsOnce(socket, set, note);
    for (const element of elements) byKey.set(elementKey(set, element), element);
    if (byKey.size === elements.length) return byKey;
    byKey.clear();
  }
  note(false);
  return byKey;
}

async function dumpElementsOnce(socket: Exchanger, set: NftSet, note: Note): Promise<NftElement[]> {
  const dumped: Parameters<typeof readElements>[1][number][] = [];
  const request = { table: TABLE_NAME, set: set.name };
  note(
    await dump(socket, k.NFT_MSG_GETSETELEM, schema.setElemList, request, (attrs) => {
      for (const element of schema.setElemList.read(attrs).elements ?? []) dumped.push(element);
    }),
  );
  return readElements(set, dumped);
}

/** Dumps objects of family inet. False = interrupted, or what was to be dumped vanished meanwhile. */
async function dump<T>(
  socket: Exchanger,
  message: number,
  codec: Codec<T>,
  request: T,
  visit: (attrs: Slice) => void,
): Promise<boolean> {
  const outcome = await ask(socket, message, k.NLM_F_DUMP, codec, request, visit);
  if (outcome.errno === ENOENT) return false;
  if (outcome.errno !== 0) throw syscallError(`nf_tables dump (message ${message})`, outcome.errno);
  return !outcome.interrupted;
}

async function ask<T>(
  socket: Exchanger,
  message: number,
  flags: number,
  codec: Codec<T>,
  request: T,
  visit: (attrs: Slice) => void,
): Promise<{ readonly errno: number; readonly interrupted: boolean }> {
  const seq = takeSeqs(1);
  const writer = new Writer(256);
  const at = beginMessage(writer, { type: nftType(message), flags: k.NLM_F_REQUEST | flags, seq });
  writeNfgenmsg(writer, k.NFPROTO_INET, 0);
  codec.write(writer, request);
  endMessage(writer, at);
  traceNetlink('>', writer.finish());
  const expect = (flags & k.NLM_F_DUMP) === k.NLM_F_DUMP ? 'dump' : 'acks';
  const answer = await socket.exchange(writer.finish(), expect, seq, TIMEOUT_MS);
  traceNetlink('<', answer);
  let errno = 0;
  let interrupted = false;
  for (const received of messages(answer)) {
    if (received.seq !== seq) continue;
    interrupted ||= (received.flags & k.NLM_F_DUMP_INTR) !== 0;
    const ack = readAck(received);
    if (ack !== undefined) errno = ack.errno;
    else if (received.type >>> 8 === k.NFNL_SUBSYS_NFTABLES)
      visit(readNfgenmsg(received.body).attrs);
    else if (received.type === k.NLMSG_DONE && received.body.bytes.length >= 4) {
      errno = 0 - (received.body.u32host(0) | 0);
    }
  }
  return { errno, interrupted };
}
