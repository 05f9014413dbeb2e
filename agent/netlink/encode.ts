/**
 * Operations in, one nf_tables batch out: a single datagram that the kernel applies whole or not at all, and which operation each
 * of its messages belongs to. Refuses to know: sockets, answers, why an operation is wanted.
 *
 *   BATCH_BEGIN (generation guard) | message per operation; elements split at 64 KiB | BATCH_END
 *
 * Only the last operation asks for an acknowledgement: the kernel reports every refusal unasked, and one acknowledgement per
 * message would overrun the receive buffer on large batches. Source: linux net/netfilter/nfnetlink.c, nfnetlink_rcv_batch (v6.12).
 */
import { DATA_TYPES, keyByteOrder, keyBytes, keyTypeId } from '../../compiler/nft/datatypes.ts';
import {
  TABLE_NAME,
  type BaseHook,
  type Hook,
  type NftCounter,
  type NftElement,
  type NftOp,
  type NftSet,
} from '../../compiler/nft/program.ts';
import {
  MAX_ATTR_BYTES,
  NetlinkEncodeError,
  Writer,
  cstr,
  writeAttr,
  type Codec,
} from './codec.ts';
import { hasBoundaries, writeElement } from './elements.ts';
import { writeExpr } from './expr.ts';
import { beginMessage, endMessage, writeNfgenmsg } from './message.ts';
import * as schema from './schema/nftables.ts';
import * as k from './uapi.generated.ts';
import {
  OBJECT_COMMENT,
  RULE_COMMENT,
  SET_COMMENT,
  SET_KEY_BYTE_ORDER,
  commentUserdata,
  putComment,
  putNumber,
} from './userdata.ts';

export interface Batch {
  readonly bytes: Uint8Array;
  /** Index of the operation a sequence number belongs to; `undefined` = the batch as a whole. */
  readonly seqToOp: (seq: number) => number | undefined;
  /** Of the message that asks for an acknowledgement: the last operation's. */
  readonly lastSeq: number;
}

export interface BatchOptions {
  /** Sequence number of BATCH_BEGIN; the messages count up from it. */
  readonly firstSeq: number;
  /** The batch is refused (ERESTART) unless the ruleset has this generation. */
  readonly genId?: number | undefined;
  /** The kernel checks everything and then takes it back. Source: nfnetlink_rcv_batch, which commits only at BATCH_END. */
  readonly dryRun?: boolean | undefined;
}

/** An operation that cannot be put into bytes. */
export class OpEncodeError extends Error {
  readonly code = 'ERR_NETLINK_ENCODE';
  override readonly name = 'OpEncodeError';
  /** Index of the operation. */
  readonly op: number;

  constructor(op: number, cause: Error) {
    super(cause.message, { cause });
    this.op = op;
  }
}

export const HOOK_NUMBERS: Readonly<Record<Hook, number>> = {
  prerouting: k.NF_INET_PRE_ROUTING,
  input: k.NF_INET_LOCAL_IN,
  forward: k.NF_INET_FORWARD,
  output: k.NF_INET_LOCAL_OUT,
  postrouting: k.NF_INET_POST_ROUTING,
};

/** nf_tables message types carry the subsystem in their high byte. */
export const nftType = (message: number): number => (k.NFNL_SUBSYS_NFTABLES << 8) | message;

/** Throws OpEncodeError. */
export function encodeBatch(ops: readonly NftOp[], options: BatchOptions): Batch {
  const steps = encodeInSteps(ops, options);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same, an operation per step: for whoever has other things to do in between. Throws OpEncodeError. */
export function* encodeInSteps(
  ops: readonly NftOp[],
  options: BatchOptions,
): Generator<void, Batch, void> {
  const batch = new BatchWriter(options.firstSeq);
  batch.frame(k.NFNL_MSG_BATCH_BEGIN, options.genId);
  for (const [index, op] of ops.entries()) {
    batch.op = index;
    try {
      (OPS[op.op] as (batch: BatchWriter, op: NftOp) => void)(batch, op);
    } catch (error) {
      throw error instanceof NetlinkEncodeError ? new OpEncodeError(index, error) : error;
    }
    yield;
  }
  batch.askForAck();
  if (options.dryRun !== true) batch.frame(k.NFNL_MSG_BATCH_END, undefined);
  const { opOfMessage } = batch;
  return {
    bytes: batch.writer.finish(),
    lastSeq: batch.lastSeq,
    seqToOp: (seq) => opOfMessage[(seq - options.firstSeq) >>> 0],
  };
}

class BatchWriter {
  readonly writer = new Writer(64 * 1024);
  /** By sequence number from the first. */
  readonly opOfMessage: (number | undefined)[] = [];
  /** Operation whose messages are being written. */
  op: number | undefined = undefined;
  lastSeq: number;
  #nextSeq: number;
  #lastAt = 0;

  constructor(firstSeq: number) {
    this.lastSeq = firstSeq;
    this.#nextSeq = firstSeq;
  }

  /** BATCH_BEGIN or BATCH_END. */
  frame(type: number, genId: number | undefined): void {
    this.op = undefined;
    const { writer } = this;
    const at = beginMessage(writer, { type, flags: k.NLM_F_REQUEST, seq: this.#count() });
    writeNfgenmsg(writer, 0, k.NFNL_SUBSYS_NFTABLES);
    schema.batch.write(writer, { genId });
    endMessage(writer, at);
  }

  /** Starts a message of the current operation; `end` with the mark returned. */
  begin(message: number, flags: number): number {
    this.lastSeq = this.#nextSeq;
    this.#lastAt = beginMessage(this.writer, {
      type: nftType(message),
      flags: k.NLM_F_REQUEST | flags,
      seq: this.#count(),
    });
    writeNfgenmsg(this.writer, k.NFPROTO_INET, 0);
    return this.#lastAt;
  }

  end(at: number): void {
    endMessage(this.writer, at);
  }

  message<T>(message: number, flags: number, codec: Codec<T>, value: T): void {
    const at = this.begin(message, flags);
    codec.write(this.writer, value);
    this.end(at);
  }

  /** On the message begun last. */
  askForAck(): void {
    if (this.opOfMessage.length > 1) this.writer.orU16host(this.#lastAt + 6, k.NLM_F_ACK);
  }

  #count(): number {
    this.opOfMessage.push(this.op);
    const seq = this.#nextSeq;
    this.#nextSeq = (seq + 1) >>> 0;
    return seq;
  }
}

type OpOf<K extends NftOp['op']> = Extract<NftOp, { op: K }>;

const OPS: { readonly [K in NftOp['op']]: (batch: BatchWriter, op: OpOf<K>) => void } = {
  'add-table': (batch) =>
    batch.message(k.NFT_MSG_NEWTABLE, k.NLM_F_CREATE, schema.table, { name: TABLE_NAME, flags: 0 }),
  'delete-table': (batch) =>
    batch.message(k.NFT_MSG_DELTABLE, 0, schema.table, { name: TABLE_NAME }),
  'add-counter': (batch, { counter }) =>
    batch.message(k.NFT_MSG_NEWOBJ, k.NLM_F_CREATE, schema.counterObject, counterAttrs(counter)),
  'delete-counter': (batch, { name }) =>
    batch.message(k.NFT_MSG_DELOBJ, 0, schema.counterObject, {
      table: TABLE_NAME,
      name,
      type: k.NFT_OBJECT_COUNTER,
    }),
  'add-set': (batch, { set }) =>
    batch.message(k.NFT_MSG_NEWSET, k.NLM_F_CREATE, schema.set, {
      ...setAttrs(set),
      id: batch.opOfMessage.length,
    }),
  'delete-set': (batch, { name }) =>
    batch.message(k.NFT_MSG_DELSET, 0, schema.set, { table: TABLE_NAME, name }),
  'add-elements': (batch, { set, elements }) =>
    writeElements(batch, k.NFT_MSG_NEWSETELEM, k.NLM_F_CREATE, set, elements),
  'delete-elements': (batch, { set, elements }) =>
    writeElements(batch, k.NFT_MSG_DELSETELEM, 0, set, elements),
  'add-chain': (batch, { chain }) =>
    batch.message(k.NFT_MSG_NEWCHAIN, k.NLM_F_CREATE, schema.chain, {
      table: TABLE_NAME,
      name: chain.name,
      ...(chain.base === undefined ? {} : baseAttrs(chain.base)),
    }),
  'flush-chain': (batch, { name }) =>
    batch.message(k.NFT_MSG_DELRULE, 0, schema.rule, { table: TABLE_NAME, chain: name }),
  'delete-chain': (batch, { name }) =>
    batch.message(k.NFT_MSG_DELCHAIN, 0, schema.chain, { table: TABLE_NAME, name }),
  'add-rule': writeRule,
};

function baseAttrs({ hook, priority }: BaseHook) {
  return {
    hook: { hooknum: HOOK_NUMBERS[hook], priority },
    policy: k.NF_ACCEPT,
    type: 'filter',
  };
}

function counterAttrs({ name, comment }: NftCounter) {
  return {
    table: TABLE_NAME,
    name,
    type: k.NFT_OBJECT_COUNTER,
    data: { bytes: 0n, packets: 0n },
    userdata: commentUserdata(OBJECT_COMMENT, comment),
  };
}

/** NFT_SET_CONCAT and field lengths only where the kernel needs them, like nft 1.0.6: for concatenations of ranges. */
function setAttrs(set: NftSet) {
  const concatenatedRanges = set.interval && set.key.length > 1;
  const flags =
    (set.constant ? k.NFT_SET_CONSTANT : 0) |
    (set.interval ? k.NFT_SET_INTERVAL : 0) |
    (set.verdictMap ? k.NFT_SET_MAP : 0) |
    (concatenatedRanges ? k.NFT_SET_CONCAT : 0);
  return {
    table: TABLE_NAME,
    name: set.name,
    flags,
    keyType: keyTypeId(set.key),
    keyBytes: keyBytes(set.key),
    dataType: set.verdictMap ? k.NFT_DATA_VERDICT : undefined,
    dataBytes: set.verdictMap ? 0 : undefined,
    desc: concatenatedRanges
      ? { concat: set.key.map((type) => ({ lenBytes: DATA_TYPES[type].lenBytes })) }
      : undefined,
    userdata: setUserdata(set),
  };
}

function setUserdata(set: NftSet): Uint8Array {
  const writer = new Writer(160);
  putNumber(writer, SET_KEY_BYTE_ORDER, keyByteOrder(set.key));
  if (set.comment !== undefined) putComment(writer, SET_COMMENT, set.comment);
  return writer.finish();
}

/** Fills messages up to the attribute limit. The boundaries of one range stay in one message. */
function writeElements(
  batch: BatchWriter,
  message: number,
  flags: number,
  set: NftSet,
  elements: readonly NftElement[],
): void {
  const { writer } = batch;
  const withData = message === k.NFT_MSG_NEWSETELEM;
  const ordered = hasBoundaries(set) ? elements.toSorted(byFirstPart) : elements;
  for (let next = 0; next < ordered.length;) {
    const at = batch.begin(message, flags);
    writeAttr(writer, k.NFTA_SET_ELEM_LIST_TABLE, cstr, TABLE_NAME);
    writeAttr(writer, k.NFTA_SET_ELEM_LIST_SET, cstr, set.name);
    const listAt = writer.beginAttr(k.NFTA_SET_ELEM_LIST_ELEMENTS | k.NLA_F_NESTED);
    const first = next;
    for (let element = ordered[next]; element !== undefined; element = ordered[++next]) {
      const elementAt = writer.length;
      writeElement(writer, set, element, withData);
      if (writer.length - listAt <= MAX_ATTR_BYTES || next === first) continue;
      writer.truncate(elementAt);
      break;
    }
    writer.endAttr(listAt);
    batch.end(at);
  }
}

function byFirstPart(a: NftElement, b: NftElement): number {
  const left = a.key[0] ?? 0;
  const right = b.key[0] ?? 0;
  return left < right ? -1 : left > right ? 1 : 0;
}

function writeRule(batch: BatchWriter, { chain, rule }: OpOf<'add-rule'>): void {
  const { writer } = batch;
  const at = batch.begin(k.NFT_MSG_NEWRULE, k.NLM_F_CREATE | k.NLM_F_APPEND);
  schema.rule.write(writer, { table: TABLE_NAME, chain });
  const listAt = writer.beginAttr(k.NFTA_RULE_EXPRESSIONS | k.NLA_F_NESTED);
  for (const expr of rule.exprs) {
    const elementAt = writer.beginAttr(k.NFTA_LIST_ELEM | k.NLA_F_NESTED);
    writeExpr(writer, expr);
    writer.endAttr(elementAt);
  }
  writer.endAttr(listAt);
  schema.rule.write(writer, { userdata: commentUserdata(RULE_COMMENT, rule.comment) });
  batch.end(at);
}
