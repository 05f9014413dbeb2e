/**
 * The fixed part of the table: base chains, dispatch and the built-in denies, by configuration and by which kinds of dispatch are in use.
 * Design section 5, specification sections 6.2.1 to 6.2.8 as far as they concern workloads.
 *
 *   raw-prerouting -300  --> anti-spoofing                        (workload interfaces only; put by HostEndpoints, which may add to it)
 *   input             0  --> from-<endpoint>                      workload to its host
 *   input-to-host    +1  --> to-host                              only when pods may not reach their host
 *   forward-egress   +1  --> from-<endpoint>
 *   forward-ingress  +2  --> to-<endpoint>
 *   forward-service  +4                                        only when service loops are to be prevented
 */
import type { Cidr, Family } from '../model/ip.ts';
import { ICMP_PROTOCOL } from '../model/packet.ts';
import type { Direction } from '../model/policy.ts';
import { tunnelJump, tunnelsIn, usesTunnels } from './tunnels.ts';
import {
  CT_STATE,
  IFNAME_LOADS,
  cidrMatch,
  ctStateAny,
  fieldLoads,
  goTo,
  ifnamePrefix,
  l4proto,
  lookupLoads,
  metaNfproto,
  verdict,
  vmap,
} from './exprs.ts';
import type { IfnameKey } from './exprs.ts';
import { WORKLOAD_ESSENTIAL, isOfTypes } from './icmpv6.ts';
import { DEFAULT_LOG_CONFIG } from './logging.ts';
import type { LogConfig } from './logging.ts';
import { DEFAULT_HOST_CONFIG } from './host-config.ts';
import type { HostConfig } from './host-config.ts';
import type { DenyAction, LoweredChain } from './lower-chain.ts';
import type { BaseHook, Expr, NftCounter, NftRule, NftSet } from './program.ts';
import {
  ACCEPT,
  IPIP,
  UDP,
  acceptEstablished,
  base,
  builtInCounter,
  chain,
  count,
  denied,
  fixedSet,
  portMatch,
  rule,
} from './rules.ts';

export interface BaseConfig {
  /** Interfaces with such a name belong to workloads: without a known endpoint they are closed. Empty = none. */
  readonly interfacePrefixes: readonly string[];
  /** `return`: what comes after workload policy in the same hook judges next; without such a stage it accepts. */
  readonly endpointToHostAction: 'accept' | 'drop' | 'return';
  readonly denyAction: DenyAction;
  /** Added to every filter hook's priority. Above -200, where connection tracking is. */
  readonly priority: number;
  readonly dropInvalid: boolean;
  /** Workloads send no VXLAN (UDP to `vxlanPort`), no IP in IP. */
  readonly banVxlan: boolean;
  readonly banIpip: boolean;
  readonly vxlanPort: number;
  /** Forwarded packets to these prefixes found no service; they would loop between us and the router. Empty = none. */
  readonly serviceLoop: { readonly cidrs: readonly Cidr[]; readonly action: DenyAction };
  readonly host: HostConfig;
  readonly logging: LogConfig;
}

export const DEFAULT_BASE_CONFIG: BaseConfig = {
  interfacePrefixes: ['cali'],
  endpointToHostAction: 'accept',
  denyAction: 'drop',
  priority: 0,
  dropInvalid: true,
  banVxlan: true,
  banIpip: true,
  vxlanPort: 4789,
  serviceLoop: { cidrs: [], action: 'drop' },
  host: DEFAULT_HOST_CONFIG,
  logging: DEFAULT_LOG_CONFIG,
};

/** Before connection tracking, which is at -200. */
export const RAW_PRIORITY = -300;

/** Dispatch: what changes when a local endpoint comes, moves or goes. */
export const DISPATCH = {
  /** Workload interfaces with a known endpoint. */
  interfaces: fixedSet('interfaces', ['ifname']),
  fromInterface: fixedSet('from-interface', ['ifname'], true),
  toInterface: fixedSet('to-interface', ['ifname'], true),
  fromAddress4: fixedSet('from-address4', ['ipv4_addr'], true),
  toAddress4: fixedSet('to-address4', ['ipv4_addr'], true),
  fromAddress6: fixedSet('from-address6', ['ipv6_addr'], true),
  toAddress6: fixedSet('to-address6', ['ipv6_addr'], true),
  /** The keys of `from-address`: who is dispatched so. nf_tables does not look up a verdict map as a set. */
  addresses4: fixedSet('addresses4', ['ipv4_addr']),
  addresses6: fixedSet('addresses6', ['ipv6_addr']),
  /** Source addresses an interface may send from. */
  sources4: fixedSet('sources4', ['ifname', 'ipv4_addr']),
  sources6: fixedSet('sources6', ['ifname', 'ipv6_addr']),
  sourcePrefixes4: { ...fixedSet('source-prefixes4', ['ifname', 'ipv4_addr']), interval: true },
  sourcePrefixes6: { ...fixedSet('source-prefixes6', ['ifname', 'ipv6_addr']), interval: true },
} as const satisfies Record<string, NftSet>;

/** Everything in the table that does not depend on endpoints and policies. */
export function lowerBase(config: BaseConfig): readonly LoweredChain[] {
  const chains = [
    antiSpoofing(),
    preamble('egress', config),
    preamble('ingress', config),
    input(config),
    forward('forward-egress', 'iifname', 'egress', config, 1),
    forward('forward-ingress', 'oifname', 'ingress', config, 2),
  ];
  if (usesTunnels(config.host.encapsulation)) chains.push(tunnelsIn(config));
  if (config.endpointToHostAction === 'drop') chains.push(inputToHost(config), toHost(config));
  if (config.serviceLoop.cidrs.length > 0) chains.push(serviceLoop(config));
  return chains;
}

/** What every endpoint chain of a direction begins with, once for all of them: `workload-egress`, `workload-ingress`. */
export function preambleChain(direction: Direction): string {
  return `workload-${direction}`;
}

/** Specification sections 6.2.1 and 6.2.8. */
function preamble(direction: Direction, config: BaseConfig): LoweredChain {
  const counters = new Map<string, NftCounter>();
  const ban = (name: string, match: readonly Expr[]): NftRule => {
    const counter = builtInCounter(direction, name);
    counters.set(name, counter);
    return denied(match, counter, config.denyAction);
  };
  const rules = [acceptEstablished(direction)];
  if (config.dropInvalid) rules.push(ban('invalid-state', ctStateAny(CT_STATE.invalid)));
  if (direction === 'egress' && config.banVxlan) {
    rules.push(ban('encapsulation', portMatch(UDP, config.vxlanPort)));
  }
  if (direction === 'egress' && config.banIpip) rules.push(ban('encapsulation', l4proto(IPIP)));
  return chain(preambleChain(direction), rules, [...counters.values()]);
}

/** Rules before and after the look at workloads; after it come only packets of other interfaces. */
export interface RawRules {
  readonly before: readonly NftRule[];
  readonly after: readonly NftRule[];
}

export function rawPrerouting({ before, after }: RawRules): LoweredChain {
  const match = lookupLoads([IFNAME_LOADS.iifname], DISPATCH.interfaces.name);
  const rules = [...before, rule([...match, goTo('anti-spoofing')], 'anti-spoofing'), ...after];
  return base('raw-prerouting', { hook: 'prerouting', priority: RAW_PRIORITY }, rules, []);
}

/**
 * A workload sends only from its own addresses, from link-local ones (they are on every link, so the reverse path is the interface itself:
 * specification section 6.2.2), and from none while it looks for duplicates of its address.
 */
function antiSpoofing(): LoweredChain {
  const origin = 'anti-spoofing';
  const own = (family: Family, set: NftSet): NftRule =>
    rule([...metaNfproto(family), ...lookupLoads(sourceLoads(family), set.name), ACCEPT], origin);
  const linkLocal = { family: 6, value: 0xfe80n << 112n, prefixLen: 10 } as const;
  const unspecified = { family: 6, value: 0n, prefixLen: 128 } as const;
  const multicast = { family: 6, value: 0xff02n << 112n, prefixLen: 16 } as const;
  const icmpv6 = [...metaNfproto(6), ...l4proto(ICMP_PROTOCOL[6])];
  const counter = builtInCounter('egress', 'anti-spoofing');
  const rules = [
    own(4, DISPATCH.sources4),
    own(6, DISPATCH.sources6),
    own(4, DISPATCH.sourcePrefixes4),
    own(6, DISPATCH.sourcePrefixes6),
    rule([...metaNfproto(6), ...cidrMatch('saddr', linkLocal), ACCEPT], origin),
    rule(
      [...icmpv6, ...cidrMatch('saddr', unspecified), ...cidrMatch('daddr', multicast), ACCEPT],
      origin,
    ),
    rule([...count(counter), verdict({ kind: 'drop' })], origin),
  ];
  return chain('anti-spoofing', rules, [counter]);
}

function sourceLoads(family: Family): (typeof IFNAME_LOADS)['iifname'][] {
  return [IFNAME_LOADS.iifname, ...fieldLoads(['saddr'], family)];
}

function input(config: BaseConfig): LoweredChain {
  const known = lookupLoads([IFNAME_LOADS.iifname], DISPATCH.interfaces.name);
  const essential = [...isOfTypes(WORKLOAD_ESSENTIAL), ACCEPT];
  const { rules, counters } = dispatch('iifname', 'egress', config);
  const all = [
    ...tunnelJump(config),
    rule([...known, ...essential], 'icmpv6-essential'),
    ...rules.byInterface,
    rule(essential, 'icmpv6-essential'),
    ...rules.byAddress,
  ];
  const { chain } = base('input', { hook: 'input', priority: config.priority }, all, counters);
  return { chain, counters, constants: [WORKLOAD_ESSENTIAL] };
}

function forward(
  name: string,
  key: IfnameKey,
  direction: 'ingress' | 'egress',
  config: BaseConfig,
  stage: number,
): LoweredChain {
  const { rules, counters } = dispatch(key, direction, config);
  const hook: BaseHook = { hook: 'forward', priority: config.priority + stage };
  return base(name, hook, [...rules.byInterface, ...rules.byAddress], counters);
}

function dispatch(
  key: IfnameKey,
  direction: 'ingress' | 'egress',
  config: BaseConfig,
): { rules: { byInterface: NftRule[]; byAddress: NftRule[] }; counters: NftCounter[] } {
  const isEgress = direction === 'egress';
  const origin = `${direction} dispatch`;
  const map = isEgress ? DISPATCH.fromInterface : DISPATCH.toInterface;
  const maps = isEgress
    ? { 4: DISPATCH.fromAddress4, 6: DISPATCH.fromAddress6 }
    : { 4: DISPATCH.toAddress4, 6: DISPATCH.toAddress6 };
  const field = isEgress ? 'saddr' : 'daddr';
  const unknown = builtInCounter(direction, 'unknown-interface');
  const closed = config.interfacePrefixes.map((prefix) =>
    rule(
      [...ifnamePrefix(key, prefix), ...count(unknown), verdict({ kind: 'drop' })],
      unknown.origin,
    ),
  );
  const byAddress = ([4, 6] as const).map((family) =>
    rule([...metaNfproto(family), ...vmap(fieldLoads([field], family), maps[family].name)], origin),
  );
  const byInterface = [rule(vmap([IFNAME_LOADS[key]], map.name), origin), ...closed];
  return { rules: { byInterface, byAddress }, counters: closed.length > 0 ? [unknown] : [] };
}

/** Specification section 6.2.4 step 4, for DefaultEndpointToHostAction Drop. */
function inputToHost(config: BaseConfig): LoweredChain {
  const origin = 'endpoint to host';
  const byAddress = (family: Family, set: NftSet): NftRule => {
    const match = lookupLoads(fieldLoads(['saddr'], family), set.name);
    return rule([...metaNfproto(family), ...match, goTo('to-host')], origin);
  };
  const match = lookupLoads([IFNAME_LOADS.iifname], DISPATCH.interfaces.name);
  const rules = [
    ...tunnelJump(config),
    rule([...match, goTo('to-host')], origin),
    byAddress(4, DISPATCH.addresses4),
    byAddress(6, DISPATCH.addresses6),
  ];
  return base('input-to-host', { hook: 'input', priority: config.priority + 1 }, rules, []);
}

function toHost(config: BaseConfig): LoweredChain {
  const counter = builtInCounter('egress', 'endpoint-to-host');
  const rules = [
    acceptEstablished('egress'),
    rule([...isOfTypes(WORKLOAD_ESSENTIAL), ACCEPT], 'icmpv6-essential'),
    denied([], counter, config.denyAction),
  ];
  return { ...chain('to-host', rules, [counter]), constants: [WORKLOAD_ESSENTIAL] };
}

/** Behind all other forward stages. Specification section 6.2.7. */
function serviceLoop(config: BaseConfig): LoweredChain {
  const { cidrs, action } = config.serviceLoop;
  const counter = builtInCounter('forward', 'service-loop');
  const rules = cidrs.map((cidr) => {
    const match = [...metaNfproto(cidr.family), ...cidrMatch('daddr', cidr)];
    return denied(match, counter, action);
  });
  const hook: BaseHook = { hook: 'forward', priority: config.priority + 4 };
  return base('forward-service', hook, rules, [counter]);
}
