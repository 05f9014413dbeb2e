/**
 * What nodes of a cluster send each other beside policy: tunnels between their addresses. Comes in: which tunnels are configured, and the
 * nodes' addresses. Goes out: rules for host policy's base chains, and the sets they look up. Off, it makes nothing. Specification
 * sections 6.2.4 and 6.2.6.
 */
import type { Family } from '../model/ip.ts';
import { fibLocal, jump, l4proto, lookupFields, metaNfproto } from './exprs.ts';
import type { Encapsulation, HostConfig } from './host-config.ts';
import type { DenyAction, LoweredChain } from './lower-chain.ts';
import type { Expr, NftRule, NftSet } from './program.ts';
import {
  ACCEPT,
  IPIP,
  UDP,
  builtInCounter,
  chain,
  denied,
  fixedSet,
  portMatch,
  rule,
} from './rules.ts';

const FAMILIES: readonly Family[] = [4, 6];

/** Addresses of nodes, and what is configured beside them. */
export const NODES: Readonly<Record<Family, { readonly exact: NftSet; readonly nets: NftSet }>> = {
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

/** What of the configuration decides about tunnels. */
export interface TunnelConfig {
  readonly denyAction: DenyAction;
  readonly vxlanPort: number;
  readonly host: HostConfig;
}

const TUNNELS_IN = 'tunnels-in';

/** What every chain at the input hook begins with: whoever sends them, tunnels are decided first. */
export function tunnelJump({ host }: TunnelConfig): NftRule[] {
  return usesTunnels(host.encapsulation) ? [rule([jump(TUNNELS_IN)], 'encapsulation')] : [];
}

/** Tunnels from nodes to this host are let through, IP in IP and VXLAN from others are not. */
export function tunnelsIn(config: TunnelConfig): LoweredChain {
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
  const counters = encapsulation.ipip || encapsulation.vxlan ? [counter] : [];
  return chain(TUNNELS_IN, rules, counters);
}

/** Tunnels of this host to nodes. */
export function tunnelsOut(config: TunnelConfig): NftRule[] {
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
