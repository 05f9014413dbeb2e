/**
 * Connection tracking attributes as tables. Addresses are network order; flags of a filter are host order.
 * Source: linux include/uapi/linux/netfilter/nfnetlink_conntrack.h, ct_nla_policy and cta_filter_nla_policy in
 * net/netfilter/nf_conntrack_netlink.c (v6.12).
 */
import { attrs, bytes, u16be, u32be, u32host, u8 } from '../codec.ts';
import * as k from '../uapi.generated.ts';

const ip = attrs({
  source4: [k.CTA_IP_V4_SRC, bytes],
  destination4: [k.CTA_IP_V4_DST, bytes],
  source6: [k.CTA_IP_V6_SRC, bytes],
  destination6: [k.CTA_IP_V6_DST, bytes],
});

/** What `proto` of a tuple holds. */
export const protocol = attrs({
  number: [k.CTA_PROTO_NUM, u8],
  sourcePort: [k.CTA_PROTO_SRC_PORT, u16be],
  destinationPort: [k.CTA_PROTO_DST_PORT, u16be],
  icmpType: [k.CTA_PROTO_ICMP_TYPE, u8],
  icmpCode: [k.CTA_PROTO_ICMP_CODE, u8],
  icmpv6Type: [k.CTA_PROTO_ICMPV6_TYPE, u8],
  icmpv6Code: [k.CTA_PROTO_ICMPV6_CODE, u8],
});

/** One direction of a connection. `proto` is passed on as it came. */
export const tuple = attrs({
  ip: [k.CTA_TUPLE_IP, ip],
  proto: [k.CTA_TUPLE_PROTO, bytes],
  zone: [k.CTA_TUPLE_ZONE, u16be],
});

/** Which fields of the tuples beside it have to be equal, CTA_FILTER_F_*. */
const filter = attrs({
  original: [k.CTA_FILTER_ORIG_FLAGS, u32host],
  reply: [k.CTA_FILTER_REPLY_FLAGS, u32host],
});

/** An entry, or a question for entries. */
export const connection = attrs({
  original: [k.CTA_TUPLE_ORIG, tuple],
  reply: [k.CTA_TUPLE_REPLY, tuple],
  id: [k.CTA_ID, u32be],
  zone: [k.CTA_ZONE, u16be],
  filter: [k.CTA_FILTER, filter],
});
