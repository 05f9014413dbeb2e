/**
 * What nodes of a cluster send each other beside policy: tunnels between their addresses. Comes in: which tunnels are configured, and the
 * nodes' addresses. Goes out: rules for host policy's base chains, and the sets they look up. Off, it makes nothing. Specification
 * sections 6.2.4 and 6.2.6.
 */
import type { Address, Cidr, Family } from '../model/ip.ts';
import { lastAddress } from '../model/ip.ts';
import { IPIP, UDP } from './base.ts';
import type { BaseConfig } from './base.ts';
import { elementName } from './dispatch.ts';
import type { DispatchElement } from './dispatch.ts';
import { fibLocal, l4proto, lookupFields, metaNfproto } from './exprs.ts';
import type { Encapsulation } from './host-config.ts';
import { withoutCovered } from './prefix-set.ts';
import type { Expr, NftCounter, NftRule, NftSet } from './program.ts';
import { Refs } from './refs.ts';
import { ACCEPT, builtInCounter, denied, fixedSet, portMatch, rule } from './rules.ts';
import type { Table } from './table.ts';

const FAMILIES: readonly Family[] = [4, 6];

/** Addresses of nodes, and what is configured beside them. */
const NODES: Readonly<Record<Family, { readonly exact: NftSet; readonly nets: NftSet }>> = {
  4: {
    exact: fixedSet('nodes4', ['ipv4_addr']),
    nets: { ...fixedSet('external-nodes4', ['ipv4_addr']), interval: true },
  },
  6: {
    exact: fixedSet('nodes6', ['ipv6_addr']),
    nets: { ...fixedSet('external-nodes6', ['ipv6_addr']), interval: true },
  },
};

export function usesTunnels({ ipip, vxlan, wireguardPorts }: Encapsulation): boolean {
  return ipip || vxlan || wireguardPorts[4] !== undefined || wireguardPorts[6] !== undefined;
}

/** The nodes' addresses as elements; nothing while no tunnel is configured. */
export class NodeAddresses {
  readonly #known = new Map<string, readonly DispatchElement[]>();
  readonly #elements: Refs<DispatchElement> | undefined;

  constructor(table: Table, { host: { encapsulation } }: BaseConfig) {
    if (!usesTunnels(encapsulation)) return;
    for (const family of FAMILIES)
      for (const set of Object.values(NODES[family])) table.putSet(set);
    for (const cidr of withoutCovered(encapsulation.externalNodes)) {
      table.putElement(...externalElement(cidr));
    }
    this.#elements = new Refs(
      ([set, element]) => table.putElement(set, element),
      ([set, element]) => table.deleteElement(set, element),
    );
  }

  /** Two nodes may have one address for a while. */
  set(node: string, addresses: readonly Address[] | undefined): void {
    const refs = this.#elements;
    if (refs === undefined) return;
    const after = (addresses ?? []).map(nodeElement);
    for (const element of after) refs.acquire(elementName(element), element);
    for (const element of this.#known.get(node) ?? []) refs.release(elementName(element), element);
    if (addresses === undefined) this.#known.delete(node);
    else this.#known.set(node, after);
  }
}

function nodeElement({ family, value }: Address): DispatchElement {
  return [NODES[family].exact, { key: [value], keyEnd: undefined, verdict: undefined }];
}

function externalElement(cidr: Cidr): DispatchElement {
  const element = { key: [cidr.value], keyEnd: [lastAddress(cidr)], verdict: undefined };
  return [NODES[cidr.family].nets, element];
}

export interface TunnelRules {
  readonly rules: readonly NftRule[];
  readonly counters: readonly NftCounter[];
}

/** Tunnels from nodes to this host are let through, IP in IP and VXLAN from others are not. */
export function tunnelsIn(config: BaseConfig): TunnelRules {
  const { encapsulation } = config.host;
  const counter = builtInCounter('host-ingress', 'encapsulation');
  const rules = FAMILIES.flatMap((family): NftRule[] => {
    const ban = (match: readonly Expr[]): NftRule =>
      denied([...metaNfproto(family), ...match], counter, config.denyAction);
    const ipip = l4proto(IPIP);
    const vxlan = [...portMatch(UDP, config.vxlanPort), ...fibLocal('daddr')];
    return [
      ...(encapsulation.ipip && family === 4
        ? [...ofNodes(family, 'saddr', [...ipip, ...fibLocal('daddr')]), ban(ipip)]
        : []),
      ...(encapsulation.vxlan ? [...ofNodes(family, 'saddr', vxlan), ban(vxlan)] : []),
      ...wireguard(family, 'daddr', encapsulation),
    ];
  });
  return { rules, counters: encapsulation.ipip || encapsulation.vxlan ? [counter] : [] };
}

/** Tunnels of this host to nodes. */
export function tunnelsOut(config: BaseConfig): NftRule[] {
  const { encapsulation } = config.host;
  return FAMILIES.flatMap((family) => {
    const local = fibLocal('saddr');
    return [
      ...(encapsulation.ipip && family === 4
        ? ofNodes(family, 'daddr', [...l4proto(IPIP), ...local])
        : []),
      ...(encapsulation.vxlan
        ? ofNodes(family, 'daddr', [...portMatch(UDP, config.vxlanPort), ...local])
        : []),
      ...wireguard(family, 'saddr', encapsulation),
    ];
  });
}

function ofNodes(family: Family, field: 'saddr' | 'daddr', match: readonly Expr[]): NftRule[] {
  return Object.values(NODES[family]).map((set) =>
    rule(
      [...metaNfproto(family), ...match, ...lookupFields([field], family, set.name), ACCEPT],
      'encapsulation',
    ),
  );
}

function wireguard(
  family: Family,
  local: 'saddr' | 'daddr',
  { wireguardPorts }: Encapsulation,
): NftRule[] {
  const port = wireguardPorts[family];
  if (port === undefined) return [];
  const match = [...metaNfproto(family), ...portMatch(UDP, port), ...fibLocal(local)];
  return [rule([...match, ACCEPT], 'encapsulation')];
}
