/**
 * nf_tables objects as plain data: what lowering produces, what the agent encodes, compares and prints. Everything lives
 * in the one table `inet picket`. Names are nft identifiers: letters, digits, `/`, `-`, `_`, `.`, starting with a letter,
 * at most MAX_NAME_LENGTH, so that `nft list ruleset` prints them readably.
 * Source: linux include/uapi/linux/netfilter/nf_tables.h (v6.12).
 */
import type { LoggedSubject } from './rule-id.ts';

export const TABLE_NAME = 'picket';

/** Below NFT_NAME_MAXLEN (256 with NUL), and short enough for a terminal. */
export const MAX_NAME_LENGTH = 120;

export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** Type filter, policy accept. */
export interface BaseHook {
  readonly hook: Hook;
  readonly priority: number;
}

export interface NftChain {
  readonly name: string;
  readonly base: BaseHook | undefined;
  readonly rules: readonly NftRule[];
}

export interface NftRule {
  readonly exprs: readonly Expr[];
  /** Rule comment (userdata type 0), at most 128 bytes with NUL; for people who list the table. */
  readonly comment: string | undefined;
  /** The policy rule, endpoint or built-in this comes from, e.g. `np/shop/allow-web ingress[0]`; for errors. */
  readonly origin: string;
  /** Whose decision this is; absent for built-ins, which their counter names. No part of what the kernel has. */
  readonly subject?: LoggedSubject | undefined;
}

/** Key and data types by their nft userspace names (nft `include/datatype.h` TYPE_*). */
export type DataType =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'inet_proto'
  | 'inet_service'
  | 'icmp_type'
  | 'icmp_code'
  | 'icmpv6_type'
  | 'icmpv6_code'
  | 'ifname';

export interface NftSet {
  readonly name: string;
  /** More than one = concatenation; every part padded to 4 bytes. */
  readonly key: readonly DataType[];
  /** Elements are ranges (rbtree for one key part, pipapo for concatenations). */
  readonly interval: boolean;
  /** Elements carry a verdict. */
  readonly verdictMap: boolean;
  /** Never changes after creation (NFT_SET_CONSTANT); elements come with the set. */
  readonly constant: boolean;
  /** Set comment (userdata type 7), at most 128 bytes with NUL. */
  readonly comment: string | undefined;
  readonly origin: string;
}

/** One value per key part: an unsigned integer of the part's width, or an interface name. */
export type KeyPart = bigint | number | string;

export interface NftElement {
  readonly key: readonly KeyPart[];
  /** Interval sets only: last value of the range, inclusive, per key part. */
  readonly keyEnd: readonly KeyPart[] | undefined;
  /** Verdict maps only. */
  readonly verdict: Verdict | undefined;
}

/** Named counter object; survives rewriting of the rules that refer to it. */
export interface NftCounter {
  readonly name: string;
  readonly comment: string | undefined;
  readonly origin: string;
}

export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'return' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'goto'; readonly chain: string };

/** Registers in the 4-byte numbering, `reg 8`..`reg 23` (NFT_REG32_00 = 8); a 16-byte load spans four of them. */
export type Expr =
  | {
      readonly kind: 'meta';
      /** `iif` is 0 where the packet came in by no interface; `mark` is the packet's, a 32-bit number in host order. */
      readonly key: 'nfproto' | 'l4proto' | 'iif' | 'iifname' | 'oifname' | 'mark';
      readonly dreg: number;
    }
  | { readonly kind: 'meta-set'; readonly key: 'mark'; readonly sreg: number }
  | {
      readonly kind: 'payload';
      readonly base: 'network' | 'transport';
      readonly offset: number;
      readonly lenBytes: number;
      readonly dreg: number;
    }
  | { readonly kind: 'ct'; readonly key: 'state' | 'status'; readonly dreg: number }
  /** `fib saddr . iif oif` style lookup; `present` gives 0 or 1. */
  | {
      readonly kind: 'fib';
      readonly flags: readonly ('saddr' | 'daddr' | 'iif' | 'oif')[];
      readonly result: 'oif' | 'type' | 'present';
      readonly dreg: number;
    }
  /** `mask` and `xor` as the register's bytes in network order (host order for ct state: the codec of the load decides). */
  | {
      readonly kind: 'bitwise';
      readonly sreg: number;
      readonly dreg: number;
      readonly mask: Uint8Array;
      readonly xor: Uint8Array;
    }
  | {
      readonly kind: 'cmp';
      readonly op: 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte';
      readonly sreg: number;
      readonly data: Uint8Array;
    }
  /** Unsigned big-endian comparison with an inclusive range; `cmp` cannot say "outside". */
  | {
      readonly kind: 'range';
      readonly op: 'eq' | 'neq';
      readonly sreg: number;
      readonly low: Uint8Array;
      readonly high: Uint8Array;
    }
  | {
      readonly kind: 'lookup';
      readonly sreg: number;
      readonly set: string;
      readonly negate: boolean;
      /** Verdict map: the verdict found is executed (destination register 0). */
      readonly verdictMap: boolean;
    }
  /** Reference to a named counter object. */
  | { readonly kind: 'counter'; readonly name: string }
  | {
      readonly kind: 'log';
      readonly group: number;
      /** At most 63 bytes. */
      readonly prefix: string;
      /** Bytes of the packet copied with the record. */
      readonly snaplenBytes: number;
    }
  /** A token bucket of packets: the rule ends here when it is empty. */
  | { readonly kind: 'limit'; readonly perSecond: number; readonly burst: number }
  | { readonly kind: 'notrack' }
  | { readonly kind: 'reject'; readonly reject: 'admin-prohibited' | 'tcp-reset' }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  /** Only in dumps: an expression, by kernel name, in a form that lowering never makes. Cannot be sent. */
  | { readonly kind: 'foreign'; readonly name: string };

/** One step of a transaction. The batch keeps their order; the kernel applies all or none. */
export type NftOp =
  | { readonly op: 'add-table'; readonly origin: string }
  | { readonly op: 'delete-table'; readonly origin: string }
  | { readonly op: 'add-counter'; readonly counter: NftCounter; readonly origin: string }
  | { readonly op: 'delete-counter'; readonly name: string; readonly origin: string }
  | { readonly op: 'add-set'; readonly set: NftSet; readonly origin: string }
  | { readonly op: 'delete-set'; readonly name: string; readonly origin: string }
  | {
      readonly op: 'add-elements' | 'delete-elements';
      readonly set: NftSet;
      readonly elements: readonly NftElement[];
      readonly origin: string;
    }
  /** Chain without its rules. */
  | { readonly op: 'add-chain'; readonly chain: NftChain; readonly origin: string }
  | { readonly op: 'flush-chain'; readonly name: string; readonly origin: string }
  | { readonly op: 'delete-chain'; readonly name: string; readonly origin: string }
  /** Appends. */
  | {
      readonly op: 'add-rule';
      readonly chain: string;
      readonly rule: NftRule;
      readonly origin: string;
    };
