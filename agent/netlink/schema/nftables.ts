/**
 * nf_tables attributes as tables, in the order of the kernel's enums; one export per object or expression. Numbers are big-endian
 * unless noted. Source: linux include/uapi/linux/netfilter/nf_tables.h and the nla_policy arrays of net/netfilter/nf_tables_api.c,
 * nft_*.c (v6.12).
 */
import { attrs, bytes, cstr, i32be, listOf, u16be, u32be, u64be, u8 } from '../codec.ts';
import * as k from '../uapi.generated.ts';

/** nft_table_attributes */
export const table = attrs({
  name: [k.NFTA_TABLE_NAME, cstr],
  flags: [k.NFTA_TABLE_FLAGS, u32be],
  use: [k.NFTA_TABLE_USE, u32be],
  handle: [k.NFTA_TABLE_HANDLE, u64be],
  userdata: [k.NFTA_TABLE_USERDATA, bytes],
});

/** nft_hook_attributes; `hooknum` is NF_INET_*. */
const hook = attrs({
  hooknum: [k.NFTA_HOOK_HOOKNUM, u32be],
  priority: [k.NFTA_HOOK_PRIORITY, i32be],
});

/** nft_chain_attributes; `hook`, `policy` and `type` only on base chains. */
export const chain = attrs({
  table: [k.NFTA_CHAIN_TABLE, cstr],
  handle: [k.NFTA_CHAIN_HANDLE, u64be],
  name: [k.NFTA_CHAIN_NAME, cstr],
  hook: [k.NFTA_CHAIN_HOOK, hook],
  policy: [k.NFTA_CHAIN_POLICY, u32be],
  use: [k.NFTA_CHAIN_USE, u32be],
  type: [k.NFTA_CHAIN_TYPE, cstr],
  flags: [k.NFTA_CHAIN_FLAGS, u32be],
  userdata: [k.NFTA_CHAIN_USERDATA, bytes],
});

/** nft_verdict_attributes; `code` is NF_* or NFT_* as a 32-bit pattern, `chain` with jump and goto. */
export const verdict = attrs({
  code: [k.NFTA_VERDICT_CODE, u32be],
  chain: [k.NFTA_VERDICT_CHAIN, cstr],
});

/** nft_data_attributes: a register's bytes or a verdict. */
export const data = attrs({
  value: [k.NFTA_DATA_VALUE, bytes],
  verdict: [k.NFTA_DATA_VERDICT, verdict],
});

/** nft_expr_attributes; `data` is one of EXPRESSIONS by `name`, raw here. */
export const expr = attrs({
  name: [k.NFTA_EXPR_NAME, cstr],
  data: [k.NFTA_EXPR_DATA, { ...bytes, nested: true }],
});

/** nft_rule_attributes */
export const rule = attrs({
  table: [k.NFTA_RULE_TABLE, cstr],
  chain: [k.NFTA_RULE_CHAIN, cstr],
  handle: [k.NFTA_RULE_HANDLE, u64be],
  expressions: [k.NFTA_RULE_EXPRESSIONS, listOf(expr)],
  position: [k.NFTA_RULE_POSITION, u64be],
  userdata: [k.NFTA_RULE_USERDATA, bytes],
});

/** The data of each expression, by its kernel name. Registers: 1..4 are 16 bytes, 8..23 are 4 bytes, 0 is the verdict. */
export const EXPRESSIONS = {
  /** nft_meta_attributes */
  meta: attrs({
    dreg: [k.NFTA_META_DREG, u32be],
    key: [k.NFTA_META_KEY, u32be],
    sreg: [k.NFTA_META_SREG, u32be],
  }),
  /** nft_payload_attributes */
  payload: attrs({
    dreg: [k.NFTA_PAYLOAD_DREG, u32be],
    base: [k.NFTA_PAYLOAD_BASE, u32be],
    offset: [k.NFTA_PAYLOAD_OFFSET, u32be],
    lenBytes: [k.NFTA_PAYLOAD_LEN, u32be],
  }),
  /** nft_ct_attributes */
  ct: attrs({ dreg: [k.NFTA_CT_DREG, u32be], key: [k.NFTA_CT_KEY, u32be] }),
  /** nft_fib_attributes */
  fib: attrs({
    dreg: [k.NFTA_FIB_DREG, u32be],
    result: [k.NFTA_FIB_RESULT, u32be],
    flags: [k.NFTA_FIB_FLAGS, u32be],
  }),
  /** nft_bitwise_attributes; `op` is absent before Linux 5.6, where boolean is the only one. */
  bitwise: attrs({
    sreg: [k.NFTA_BITWISE_SREG, u32be],
    dreg: [k.NFTA_BITWISE_DREG, u32be],
    lenBytes: [k.NFTA_BITWISE_LEN, u32be],
    mask: [k.NFTA_BITWISE_MASK, data],
    xor: [k.NFTA_BITWISE_XOR, data],
    op: [k.NFTA_BITWISE_OP, u32be],
  }),
  /** nft_cmp_attributes */
  cmp: attrs({
    sreg: [k.NFTA_CMP_SREG, u32be],
    op: [k.NFTA_CMP_OP, u32be],
    data: [k.NFTA_CMP_DATA, data],
  }),
  /** nft_range_attributes */
  range: attrs({
    sreg: [k.NFTA_RANGE_SREG, u32be],
    op: [k.NFTA_RANGE_OP, u32be],
    from: [k.NFTA_RANGE_FROM_DATA, data],
    to: [k.NFTA_RANGE_TO_DATA, data],
  }),
  /** nft_lookup_attributes; `dreg` only for maps. */
  lookup: attrs({
    set: [k.NFTA_LOOKUP_SET, cstr],
    sreg: [k.NFTA_LOOKUP_SREG, u32be],
    dreg: [k.NFTA_LOOKUP_DREG, u32be],
    flags: [k.NFTA_LOOKUP_FLAGS, u32be],
  }),
  /** nft_objref_attributes */
  objref: attrs({ type: [k.NFTA_OBJREF_IMM_TYPE, u32be], name: [k.NFTA_OBJREF_IMM_NAME, cstr] }),
  /** nft_log_attributes; with `group` the record goes to NFLOG. */
  log: attrs({
    group: [k.NFTA_LOG_GROUP, u16be],
    prefix: [k.NFTA_LOG_PREFIX, cstr],
    snaplenBytes: [k.NFTA_LOG_SNAPLEN, u32be],
    qthreshold: [k.NFTA_LOG_QTHRESHOLD, u16be],
  }),
  /** nft_limit_attributes; `unit` in seconds. */
  limit: attrs({
    rate: [k.NFTA_LIMIT_RATE, u64be],
    unit: [k.NFTA_LIMIT_UNIT, u64be],
    burst: [k.NFTA_LIMIT_BURST, u32be],
    type: [k.NFTA_LIMIT_TYPE, u32be],
    flags: [k.NFTA_LIMIT_FLAGS, u32be],
  }),
  notrack: attrs({}),
  /** nft_reject_attributes */
  reject: attrs({ type: [k.NFTA_REJECT_TYPE, u32be], code: [k.NFTA_REJECT_ICMP_CODE, u8] }),
  /** nft_immediate_attributes */
  immediate: attrs({
    dreg: [k.NFTA_IMMEDIATE_DREG, u32be],
    data: [k.NFTA_IMMEDIATE_DATA, data],
  }),
} as const;

/** nft_set_field_attributes */
const setField = attrs({ lenBytes: [k.NFTA_SET_FIELD_LEN, u32be] });

/** nft_set_desc_attributes; `concat` has one entry per key part. */
const setDesc = attrs({
  size: [k.NFTA_SET_DESC_SIZE, u32be],
  concat: [k.NFTA_SET_DESC_CONCAT, listOf(setField)],
});

/** nft_set_attributes; `keyType` and `userdata` are nft's, the kernel only keeps them. `id` names the set inside a batch. */
export const set = attrs({
  table: [k.NFTA_SET_TABLE, cstr],
  name: [k.NFTA_SET_NAME, cstr],
  flags: [k.NFTA_SET_FLAGS, u32be],
  keyType: [k.NFTA_SET_KEY_TYPE, u32be],
  keyBytes: [k.NFTA_SET_KEY_LEN, u32be],
  dataType: [k.NFTA_SET_DATA_TYPE, u32be],
  dataBytes: [k.NFTA_SET_DATA_LEN, u32be],
  policy: [k.NFTA_SET_POLICY, u32be],
  desc: [k.NFTA_SET_DESC, setDesc],
  id: [k.NFTA_SET_ID, u32be],
  timeout: [k.NFTA_SET_TIMEOUT, u64be],
  userdata: [k.NFTA_SET_USERDATA, bytes],
  handle: [k.NFTA_SET_HANDLE, u64be],
});

/** nft_set_elem_attributes */
export const setElem = attrs({
  key: [k.NFTA_SET_ELEM_KEY, data],
  data: [k.NFTA_SET_ELEM_DATA, data],
  flags: [k.NFTA_SET_ELEM_FLAGS, u32be],
  userdata: [k.NFTA_SET_ELEM_USERDATA, bytes],
  keyEnd: [k.NFTA_SET_ELEM_KEY_END, data],
});

/** nft_set_elem_list_attributes */
export const setElemList = attrs({
  table: [k.NFTA_SET_ELEM_LIST_TABLE, cstr],
  set: [k.NFTA_SET_ELEM_LIST_SET, cstr],
  elements: [k.NFTA_SET_ELEM_LIST_ELEMENTS, listOf(setElem)],
});

/** nft_counter_attributes */
export const counter = attrs({
  bytes: [k.NFTA_COUNTER_BYTES, u64be],
  packets: [k.NFTA_COUNTER_PACKETS, u64be],
});

/** nft_object_attributes; `data` as for NFT_OBJECT_COUNTER. */
export const counterObject = attrs({
  table: [k.NFTA_OBJ_TABLE, cstr],
  name: [k.NFTA_OBJ_NAME, cstr],
  type: [k.NFTA_OBJ_TYPE, u32be],
  data: [k.NFTA_OBJ_DATA, counter],
  use: [k.NFTA_OBJ_USE, u32be],
  handle: [k.NFTA_OBJ_HANDLE, u64be],
  userdata: [k.NFTA_OBJ_USERDATA, bytes],
});

/** nft_gen_attributes; the process only in notifications. */
export const generation = attrs({
  id: [k.NFTA_GEN_ID, u32be],
  processId: [k.NFTA_GEN_PROC_PID, u32be],
  processName: [k.NFTA_GEN_PROC_NAME, cstr],
});

/** nfnl_batch_attributes */
export const batch = attrs({ genId: [k.NFNL_BATCH_GENID, u32be] });
