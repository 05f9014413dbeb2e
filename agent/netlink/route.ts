/**
 * Interfaces, their addresses and routes of a network namespace over rtnetlink: lists and events. An exchange function or received bytes in, plain
 * values out. Refuses to know: which interface belongs to whom.
 * Source: linux include/uapi/linux/rtnetlink.h, struct ifinfomsg and struct rtmsg (v6.12).
 */
import { ADDRESS_BITS } from '../../compiler/model/ip.ts';
import type { Address, Cidr, Family } from '../../compiler/model/ip.ts';
import { AgentError, syscallError } from '../errors.ts';
import { NetlinkDecodeError, Writer, type Slice } from './codec.ts';
import { traceNetlink } from './debug.ts';
import { beginMessage, endMessage, messages, readAck, type Message } from './message.ts';
import type { Exchanger } from './request.ts';
import * as schema from './schema/rtnetlink.ts';
import * as k from './uapi.generated.ts';

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`, …; `undefined` for hardware. */
  readonly kind: string | undefined;
  /** Set up by its administrator; says nothing of a carrier. */
  readonly isUp: boolean;
}

/** An address of an interface. */
export interface LinkAddress {
  /** Index of the interface. */
  readonly link: number;
  readonly address: Address;
}

/** One route of any table. */
export interface Route {
  readonly dst: Cidr;
  /** Interface index; `undefined` for routes without one device (multipath, blackhole). */
  readonly oif: number | undefined;
  /** The destination is behind another router, not on the link itself. */
  readonly hasGateway: boolean;
  /** RT_TABLE_*; main is 254. */
  readonly table: number;
  /** RTN_*; unicast is 1, local is 2. */
  readonly type: number;
}

/** An event of RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE or RTNLGRP_IPV6_ROUTE. */
export type RouteEvent =
  | { readonly kind: 'link'; readonly op: 'put' | 'delete'; readonly link: Link }
  | { readonly kind: 'address'; readonly op: 'put' | 'delete'; readonly address: LinkAddress }
  | { readonly kind: 'route'; readonly op: 'put' | 'delete'; readonly route: Route };

const IFINFOMSG_BYTES = 16;
const IFADDRMSG_BYTES = 8;
const RTMSG_BYTES = 12;
const AF_UNSPEC = 0;
/** AF_INET, AF_INET6. */
const ADDRESS_FAMILY: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };
const TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 8;

export async function dumpLinks(socket: Exchanger): Promise<Link[]> {
  const received = await dump(socket, k.RTM_GETLINK, AF_UNSPEC, IFINFOMSG_BYTES);
  return received.flatMap((event) => (event.kind === 'link' ? [event.link] : []));
}

/** Of both families. */
export async function dumpAddresses(socket: Exchanger): Promise<LinkAddress[]> {
  const received = await dump(socket, k.RTM_GETADDR, AF_UNSPEC, IFADDRMSG_BYTES);
  return received.flatMap((event) => (event.kind === 'address' ? [event.address] : []));
}

/** Routes of every table of one family. */
export async function dumpRoutes(socket: Exchanger, family: Family): Promise<Route[]> {
  const received = await dump(socket, k.RTM_GETROUTE, ADDRESS_FAMILY[family], RTMSG_BYTES);
  return received.flatMap((event) => (event.kind === 'route' ? [event.route] : []));
}

/** `undefined` for other messages and other address families. Throws NetlinkDecodeError. */
export function readRouteEvent(message: Message): RouteEvent | undefined {
  switch (message.type) {
    case k.RTM_NEWLINK:
    case k.RTM_DELLINK: {
      const link = readLink(message.body);
      const op = message.type === k.RTM_NEWLINK ? 'put' : 'delete';
      return link === undefined ? undefined : { kind: 'link', op, link };
    }
    case k.RTM_NEWADDR:
    case k.RTM_DELADDR: {
      const address = readAddress(message.body);
      const op = message.type === k.RTM_NEWADDR ? 'put' : 'delete';
      return address === undefined ? undefined : { kind: 'address', op, address };
    }
    case k.RTM_NEWROUTE:
    case k.RTM_DELROUTE: {
      const route = readRoute(message.body);
      const op = message.type === k.RTM_NEWROUTE ? 'put' : 'delete';
      return route === undefined ? undefined : { kind: 'route', op, route };
    }
    default:
      return undefined;
  }
}

/**
 * struct ifinfomsg: u8 family, u8 padding, u16 type, i32 index, u32 flags, u32 change. Family AF_BRIDGE speaks of a bridge's port:
 * deleted means that the interface has left the bridge (br_ifinfo_notify in net/bridge/br_netlink.c, v6.12).
 */
function readLink(body: Slice): Link | undefined {
  if (body.u8(0) !== AF_UNSPEC) return undefined;
  const index = body.u32host(4);
  const attrs = schema.link.read(body.sub(IFINFOMSG_BYTES, body.bytes.length - IFINFOMSG_BYTES));
  return {
    index,
    name: attrs.name ?? '',
    kind: attrs.info?.kind,
    isUp: (body.u32host(8) & k.IFF_UP) !== 0,
  };
}

/** struct ifaddrmsg: u8 family, prefix length, flags, scope; u32 index. The interface's own address is `local`, where there is one. */
function readAddress(body: Slice): LinkAddress | undefined {
  const family = familyOf(body.u8(0));
  const link = body.u32host(4);
  const attrs = schema.address.read(body.sub(IFADDRMSG_BYTES, body.bytes.length - IFADDRMSG_BYTES));
  const own = attrs.local ?? attrs.address;
  if (family === undefined || own === undefined) return undefined;
  if (own.length * 8 !== ADDRESS_BITS[family]) {
    throw new NetlinkDecodeError(`IPv${family} address of ${own.length} bytes`);
  }
  return { link, address: { family, value: toNumber(own) } };
}

function familyOf(addressFamily: number): Family | undefined {
  return ([4, 6] as const).find((known) => ADDRESS_FAMILY[known] === addressFamily);
}

function toNumber(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** struct rtmsg: u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags. */
function readRoute(body: Slice): Route | undefined {
  const family = familyOf(body.u8(0));
  const prefixLen = body.u8(1);
  const attrs = schema.route.read(body.sub(RTMSG_BYTES, body.bytes.length - RTMSG_BYTES));
  if (family === undefined) return undefined;
  const bits = ADDRESS_BITS[family];
  const dst = attrs.dst ?? new Uint8Array(bits / 8);
  if (prefixLen > bits || dst.length * 8 !== bits) {
    throw new NetlinkDecodeError(`IPv${family} route to ${dst.length} bytes/${prefixLen}`);
  }
  return {
    dst: { family, value: toNumber(dst), prefixLen },
    oif: attrs.oif,
    hasGateway: attrs.gateway !== undefined || attrs.via !== undefined,
    table: attrs.table ?? body.u8(4),
    type: body.u8(7),
  };
}

/** Begins anew when the kernel says that the list changed while it was read. */
async function dump(
  socket: Exchanger,
  type: number,
  addressFamily: number,
  headerBytes: number,
): Promise<RouteEvent[]> {
  for (let seq = 1; seq <= MAX_ATTEMPTS; seq++) {
    const writer = new Writer(64);
    const at = beginMessage(writer, { type, flags: k.NLM_F_REQUEST | k.NLM_F_DUMP, seq });
    writer.u8(addressFamily);
    writer.zeros(headerBytes - 1);
    endMessage(writer, at);
    traceNetlink('>', writer.finish());
    const answer = await socket.exchange(writer.finish(), 'dump', seq, TIMEOUT_MS);
    traceNetlink('<', answer);
    const events = readDump(answer, type);
    if (events !== undefined) return events;
  }
  const detail = { errno: EINTR };
  throw new AgentError('ERR_NETLINK_IO', `rtnetlink dump ${type}: changed at each attempt`, detail);
}

const EINTR = 4;

function readDump(answer: Uint8Array, type: number): RouteEvent[] | undefined {
  const events: RouteEvent[] = [];
  for (const message of messages(answer)) {
    const ack = readAck(message);
    if (ack !== undefined && ack.errno !== 0)
      throw syscallError(`rtnetlink dump ${type}`, ack.errno);
    if ((message.flags & k.NLM_F_DUMP_INTR) !== 0) return undefined;
    const event = readRouteEvent(message);
    if (event !== undefined) events.push(event);
  }
  return events;
}
