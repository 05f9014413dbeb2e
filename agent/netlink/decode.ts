/**
 * Dumped nf_tables messages in, objects of `compiler/nft/program.ts` out, so that they compare with desired ones by key. What we
 * never make still decodes, to something no desired object equals: a rule gets a `foreign` expression, a chain with another type,
 * policy or hook gets priority NaN, a set of another form gets an empty key. Throws NetlinkDecodeError on broken bytes only.
 * Refuses to know: which table is ours (the caller compares `table`).
 */
import { keyBytes, keyOfTypeId } from '../../compiler/nft/datatypes.ts';
import type {
  BaseHook,
  Hook,
  NftChain,
  NftCounter,
  NftRule,
  NftSet,
} from '../../compiler/nft/program.ts';
import { cstr, eachAttr, type Slice, type ValueOf } from './codec.ts';
import { HOOK_NUMBERS, nftType } from './encode.ts';
import { readExpr } from './expr.ts';
import { readNfgenmsg, type Message } from './message.ts';
import * as schema from './schema/nftables.ts';
import * as k from './uapi.generated.ts';
import { OBJECT_COMMENT, RULE_COMMENT, SET_COMMENT, readComment } from './userdata.ts';

/** `origin` of decoded objects. */
const KERNEL_ORIGIN = 'kernel';

/** The kernel's number of an object; never reused while the table lives. */
export type Handle = bigint;

interface Located {
  readonly table: string;
  readonly handle: Handle;
}

/** Without its rules. */
export interface DumpedChain extends Located {
  readonly chain: NftChain;
}

export interface DumpedRule extends Located {
  readonly chain: string;
  readonly rule: NftRule;
}

export interface DumpedSet extends Located {
  readonly set: NftSet;
}

export interface DumpedCounter extends Located {
  readonly counter: NftCounter;
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** The ruleset's state; every transaction of anyone makes a new one. */
export interface Generation {
  readonly id: number;
  /** Who made it: only in notifications. */
  readonly processId: number | undefined;
  readonly processName: string | undefined;
}

/** An event of NFNLGRP_NFTABLES. A transaction is its changes, then its generation. */
export type NftEvent =
  | { readonly kind: 'change'; readonly family: number; readonly table: string }
  | { readonly kind: 'generation'; readonly generation: Generation };

export function readChain(attrs: Slice): DumpedChain {
  const dumped = schema.chain.read(attrs);
  const { name = '', table = '', handle = 0n } = dumped;
  return {
    table,
    handle,
    chain: { name, base: readBase(dumped), rules: [] },
  };
}

function readBase(dumped: ValueOf<typeof schema.chain>): BaseHook | undefined {
  if (dumped.hook === undefined) return undefined;
  const { hooknum, priority = Number.NaN, unknown } = dumped.hook;
  const hook = (Object.keys(HOOK_NUMBERS) as Hook[]).find((name) => HOOK_NUMBERS[name] === hooknum);
  const ours = dumped.type === 'filter' && dumped.policy === k.NF_ACCEPT && unknown === undefined;
  return ours && hook !== undefined ? { hook, priority } : { hook: 'input', priority: Number.NaN };
}

export function readRule(attrs: Slice): DumpedRule {
  const {
    table = '',
    chain = '',
    handle = 0n,
    expressions = [],
    userdata,
  } = schema.rule.read(attrs);
  const comment = readComment(userdata, RULE_COMMENT);
  return {
    table,
    chain,
    handle,
    rule: { exprs: expressions.map(readExpr), comment, origin: KERNEL_ORIGIN },
  };
}

export function readSet(attrs: Slice): DumpedSet {
  const dumped = schema.set.read(attrs);
  const { name = '', table = '', handle = 0n, flags = 0, userdata } = dumped;
  const set: NftSet = {
    name,
    key: readSetKey(dumped) ?? [],
    interval: (flags & k.NFT_SET_INTERVAL) !== 0,
    verdictMap: dumped.dataType === k.NFT_DATA_VERDICT,
    constant: (flags & k.NFT_SET_CONSTANT) !== 0,
    comment: readComment(userdata, SET_COMMENT),
    origin: KERNEL_ORIGIN,
  };
  return { table, handle, set };
}

/** Flags a set of ours can have. */
const OUR_SET_FLAGS = k.NFT_SET_CONSTANT | k.NFT_SET_INTERVAL | k.NFT_SET_MAP | k.NFT_SET_CONCAT;

/** `undefined`: not a set of ours. */
function readSetKey(dumped: ValueOf<typeof schema.set>): NftSet['key'] | undefined {
  const { flags = 0, keyType = 0, keyBytes: dumpedBytes, dataType, timeout } = dumped;
  if ((flags & ~OUR_SET_FLAGS) !== 0 || timeout !== undefined) return undefined;
  const isMap = (flags & k.NFT_SET_MAP) !== 0;
  if (isMap !== (dataType === k.NFT_DATA_VERDICT)) return undefined;
  const key = keyOfTypeId(keyType);
  return key !== undefined && keyBytes(key) === dumpedBytes ? key : undefined;
}

/** Undefined for objects that are not counters. */
export function readCounter(attrs: Slice): DumpedCounter | undefined {
  if (objectType(attrs) !== k.NFT_OBJECT_COUNTER) return undefined;
  const { name = '', table = '', handle = 0n, data, userdata } = schema.counterObject.read(attrs);
  const comment = readComment(userdata, OBJECT_COMMENT);
  return {
    table,
    handle,
    counter: { name, comment, origin: KERNEL_ORIGIN },
    packets: data?.packets ?? 0n,
    bytes: data?.bytes ?? 0n,
  };
}

/** Looked at first: the data of other objects has another form. */
function objectType(attrs: Slice): number | undefined {
  let type: number | undefined;
  eachAttr(attrs, (attr, payload) => {
    if (attr === k.NFTA_OBJ_TYPE) type = payload.u32be(0);
  });
  return type;
}

export function readGeneration(attrs: Slice): Generation {
  const { id = 0, processId, processName } = schema.generation.read(attrs);
  return { id, processId, processName };
}

/** `undefined` for messages that are no nf_tables event. */
export function readEvent(message: Message): NftEvent | undefined {
  if (message.type >>> 8 !== k.NFNL_SUBSYS_NFTABLES) return undefined;
  const { family, attrs } = readNfgenmsg(message.body);
  if (message.type === nftType(k.NFT_MSG_NEWGEN)) {
    return { kind: 'generation', generation: readGeneration(attrs) };
  }
  let table = '';
  eachAttr(attrs, (type, payload) => {
    if (type === TABLE_ATTR) table = cstr.read(payload);
  });
  return { kind: 'change', family, table };
}

/** The table's name is attribute 1 of every object: NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_SET_TABLE and so on. */
const TABLE_ATTR = k.NFTA_TABLE_NAME;
