/**
 * The host's links, their addresses and host routes, read once and then followed by events. Comes in: rtnetlink. Goes out: HostNetwork values. Does not
 * decide which interface belongs to whom.
 */
import { isHostCidr, printAddress } from '../../compiler/model/ip.ts';
import type { Native } from '../native/native.ts';
import { messages } from '../netlink/message.ts';
import { dumpAddresses, dumpLinks, dumpRoutes, readRouteEvent } from '../netlink/route.ts';
import type { Link, LinkAddress, Route, RouteEvent } from '../netlink/route.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import {
  RTN_UNICAST,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_LINK,
} from '../netlink/uapi.generated.ts';
import type { HostNetwork } from './placement.ts';

const NETLINK_ROUTE = 0;

/**
 * Links, addresses and host routes by kernel index; events applied in order. Only routes that can show an endpoint's own interface count: not those
 * through a gateway (the address is elsewhere), not those to a bridge (others are there too).
 */
class NetworkState {
  readonly #links = new Map<number, Link>();
  /** Address text to interface index. */
  readonly #routes = new Map<string, number>();
  /** Interface index to address texts. */
  readonly #addresses = new Map<number, Set<string>>();

  /** True when the event changed something that places endpoints. */
  take(event: RouteEvent): boolean {
    const isPut = event.op === 'put';
    switch (event.kind) {
      case 'link':
        return this.#takeLink(event.link, isPut);
      case 'address':
        return this.#takeAddress(event.address, isPut);
      case 'route':
        return this.#takeRoute(event.route, isPut);
    }
  }

  #takeLink(link: Link, isPut: boolean): boolean {
    const { index, name, isUp } = link;
    const before = this.#links.get(index);
    if (isPut) this.#links.set(index, link);
    else {
      this.#links.delete(index);
      this.#addresses.delete(index);
    }
    // IPv4 routes of a link that goes down are gone, and nothing tells (fib_sync_down_dev in net/ipv4/fib_semantics.c, v6.12).
    const hasDropped = (!isPut || !isUp) && this.#dropRoutes(index);
    return hasDropped || (isPut ? before?.name !== name : before !== undefined);
  }

  #takeAddress({ link, address }: LinkAddress, isPut: boolean): boolean {
    const text = printAddress(address);
    const known = this.#addresses.get(link) ?? new Set<string>();
    if (known.has(text) === isPut) return false;
    if (isPut) this.#addresses.set(link, known.add(text));
    else known.delete(text);
    return true;
  }

  #takeRoute(route: Route, isPut: boolean): boolean {
    const { dst, type } = route;
    if (!isHostCidr(dst) || type !== RTN_UNICAST) return false;
    const key = printAddress(dst);
    const oif = route.hasGateway ? undefined : route.oif;
    if (!isPut) {
      return oif !== undefined && this.#routes.get(key) === oif && this.#routes.delete(key);
    }
    // A replaced route is announced by the new one alone.
    if (oif === undefined) return this.#routes.delete(key);
    const isNews = this.#routes.get(key) !== oif;
    this.#routes.set(key, oif);
    return isNews;
  }

  #dropRoutes(link: number): boolean {
    const keys = [...this.#routes].filter(([, oif]) => oif === link).map(([key]) => key);
    for (const key of keys) this.#routes.delete(key);
    return keys.length > 0;
  }

  network(): HostNetwork {
    const hostRoutes = new Map<string, string>();
    for (const [address, index] of this.#routes) {
      const link = this.#links.get(index);
      if (link !== undefined && link.kind !== 'bridge') hostRoutes.set(address, link.name);
    }
    const addresses = new Map<string, ReadonlySet<string>>();
    for (const { index, name } of this.#links.values()) {
      const known = this.#addresses.get(index);
      if (known !== undefined && known.size > 0) addresses.set(name, new Set(known));
    }
    return {
      links: new Set([...this.#links.values()].map(({ name }) => name)),
      hostRoutes,
      addresses,
    };
  }
}

async function readState(native: Native, netnsPath: string): Promise<NetworkState> {
  const socket = NetlinkSocket.open(native, { protocol: NETLINK_ROUTE, netnsPath });
  const state = new NetworkState();
  try {
    for (const link of await dumpLinks(socket)) state.take({ kind: 'link', op: 'put', link });
    for (const address of await dumpAddresses(socket)) {
      state.take({ kind: 'address', op: 'put', address });
    }
    for (const family of [4, 6] as const) {
      for (const route of await dumpRoutes(socket, family)) {
        state.take({ kind: 'route', op: 'put', route });
      }
    }
    return state;
  } finally {
    socket.close();
  }
}

/** Links, addresses and host routes as they are now. Throws AgentError. */
export async function readHostNetwork(native: Native, netnsPath: string): Promise<HostNetwork> {
  const state = await readState(native, netnsPath);
  return state.network();
}

/** Follows links, addresses and routes from its creation on. */
export class HostNetworkWatch {
  readonly #native: Native;
  readonly #netnsPath: string;
  readonly #events: NetlinkSocket;
  readonly #onChange: () => void;
  /** Events that came before the state they belong to was read. */
  #early: RouteEvent[] = [];
  /** Of these, some are missing. */
  #hasLost = false;
  /** `undefined` = has to be read anew. */
  #state: NetworkState | undefined;

  constructor(native: Native, netnsPath: string, onChange: () => void) {
    this.#native = native;
    this.#netnsPath = netnsPath;
    this.#onChange = onChange;
    this.#events = NetlinkSocket.open(native, { protocol: NETLINK_ROUTE, netnsPath });
    const groups = [
      RTNLGRP_LINK,
      RTNLGRP_IPV4_IFADDR,
      RTNLGRP_IPV6_IFADDR,
      RTNLGRP_IPV4_ROUTE,
      RTNLGRP_IPV6_ROUTE,
    ];
    this.#events.read(groups, (bytes, lost) => {
      this.#take(bytes, lost);
    });
  }

  /** Reads links, addresses and routes the first time and after events were lost; otherwise knows them from events. */
  async current(): Promise<HostNetwork> {
    while (this.#state === undefined) {
      this.#early = [];
      this.#hasLost = false;
      const state = await readState(this.#native, this.#netnsPath);
      if (this.#hasLost) continue;
      for (const event of this.#early) state.take(event);
      this.#early = [];
      this.#state = state;
    }
    return this.#state.network();
  }

  close(): void {
    this.#events.close();
  }

  #take(bytes: Uint8Array, lost: number): void {
    let isNews = lost > 0;
    for (const message of messages(bytes)) {
      const event = readRouteEvent(message);
      if (event === undefined) continue;
      if (this.#state === undefined) this.#early.push(event);
      else isNews = this.#state.take(event) || isNews;
    }
    if (lost > 0) {
      this.#state = undefined;
      this.#hasLost = true;
    }
    if (isNews) this.#onChange();
  }
}
