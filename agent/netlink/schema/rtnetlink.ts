/**
 * rtnetlink attributes as tables. Numbers are host order.
 * Source: linux include/uapi/linux/if_link.h (IFLA_*), if_addr.h (IFA_*), include/uapi/linux/rtnetlink.h (RTA_*) (v6.12).
 */
import { attrs, bytes, cstr, u32host } from '../codec.ts';
import * as k from '../uapi.generated.ts';

/** What made the interface: `veth`, `bridge`; absent for hardware. */
const linkInfo = attrs({ kind: [k.IFLA_INFO_KIND, cstr] });

/** After struct ifinfomsg. */
export const link = attrs({
  name: [k.IFLA_IFNAME, cstr],
  mtuBytes: [k.IFLA_MTU, u32host],
  master: [k.IFLA_MASTER, u32host],
  info: [k.IFLA_LINKINFO, linkInfo],
});

/** After struct ifaddrmsg. `address` is the peer's on a point-to-point link; `local` is absent for IPv6 elsewhere. */
export const address = attrs({
  address: [k.IFA_ADDRESS, bytes],
  local: [k.IFA_LOCAL, bytes],
});

/** After struct rtmsg; `dst` as many bytes as the family's addresses, absent for prefixes of length 0. */
export const route = attrs({
  dst: [k.RTA_DST, bytes],
  oif: [k.RTA_OIF, u32host],
  gateway: [k.RTA_GATEWAY, bytes],
  via: [k.RTA_VIA, bytes],
  table: [k.RTA_TABLE, u32host],
});
