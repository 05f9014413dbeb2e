/** Builders of domain values for tests: everything not given is the least that is valid. Addresses are text. */
import type {
  HostEndpoint,
  Labels,
  NamedPort,
  NetworkSet,
  Profile,
  Resource,
  Tier,
  WorkloadEndpoint,
} from '../../compiler/model/cluster.ts';
import { toAddress, toCidr } from '../../compiler/model/ip.ts';
import type { Address, Cidr } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { ANY_ENTITY } from '../../compiler/model/policy.ts';
import type {
  Action,
  EntityMatch,
  Policy,
  PortMatch,
  Rule,
  RuleMatch,
} from '../../compiler/model/policy.ts';
import type { Selector } from '../../compiler/model/selector.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../compiler/oracle/world.ts';
import type { HostInterface, OracleConfig, World } from '../../compiler/oracle/world.ts';

export const NODE = 'node-a';

export const TCP = { number: 6, family: undefined } as const;
export const UDP = { number: 17, family: undefined } as const;

/** Throws on text that is no address. */
export function address(text: string): Address {
  const value = toAddress(text);
  if (value === undefined) throw new TypeError(`not an address: ${text}`);
  return value;
}

/** Throws on text that is no prefix. */
export function cidr(text: string): Cidr {
  const value = toCidr(text);
  if (value === undefined) throw new TypeError(`not a prefix: ${text}`);
  return value;
}

export function world(
  resources: readonly Resource[],
  config: Partial<OracleConfig> = {},
  interfaces: readonly HostInterface[] = [],
): World {
  return { resources, node: NODE, interfaces, config: { ...DEFAULT_ORACLE_CONFIG, ...config } };
}

/** `kns.<ns>`: allows everything, hands the namespace's labels down. */
export function namespace(name: string, labels: Labels = {}): Profile {
  const inherited = Object.entries(labels).map(([key, value]) => [`pcns.${key}`, value] as const);
  const all: Rule[] = [{ action: 'allow', index: 0, name: undefined, match: 'everything' }];
  return {
    kind: 'Profile',
    name: `kns.${name}`,
    ingress: all,
    egress: all,
    labelsToApply: { ...Object.fromEntries(inherited), 'pcns.projectcalico.org/name': name },
  };
}

/** `ksa.<ns>.<name>`: no rules, labels only. */
export function serviceAccount(ns: string, name: string, labels: Labels = {}): Profile {
  const inherited = Object.entries(labels).map(([key, value]) => [`pcsa.${key}`, value] as const);
  return {
    kind: 'Profile',
    name: `ksa.${ns}.${name}`,
    ingress: [],
    egress: [],
    labelsToApply: { ...Object.fromEntries(inherited), 'pcsa.projectcalico.org/name': name },
  };
}

/** A pod of NODE; `serviceAccount` adds label and profile. */
export function workload(
  id: string,
  addresses: readonly string[],
  part: Partial<WorkloadEndpoint> & { readonly serviceAccount?: string } = {},
): WorkloadEndpoint {
  const [ns = '', name = ''] = id.split('/');
  const { serviceAccount: account, labels, ...rest } = part;
  return {
    kind: 'WorkloadEndpoint',
    id,
    node: NODE,
    namespace: ns,
    name,
    labels: {
      ...labels,
      'projectcalico.org/namespace': ns,
      'projectcalico.org/orchestrator': 'k8s',
      ...(account === undefined ? {} : { 'projectcalico.org/serviceaccount': account }),
    },
    profiles: [`kns.${ns}`, ...(account === undefined ? [] : [`ksa.${ns}.${account}`])],
    addresses: addresses.map(address),
    interfaceName: undefined,
    ports: [],
    allowedSourcePrefixes: [],
    active: true,
    createdMs: 0,
    isPod: true,
    ...rest,
  };
}

export function hostEndpoint(
  name: string,
  expectedIPs: readonly string[],
  labels: Labels = {},
  ports: readonly NamedPort[] = [],
): HostEndpoint {
  return hostEndpointOf(name, {
    labels,
    expectedIPs: expectedIPs.map(address),
    profiles: ['projectcalico-default-allow'],
    ports,
  });
}

/** Of NODE; without labels and profiles, found nowhere. */
export function hostEndpointOf(name: string, part: Partial<HostEndpoint>): HostEndpoint {
  return {
    kind: 'HostEndpoint',
    name,
    node: NODE,
    labels: {},
    interfaceName: undefined,
    expectedIPs: [],
    profiles: [],
    ports: [],
    ...part,
  };
}

/** One of the host's own. */
export function hostInterface(name: string, addresses: readonly string[] = []): HostInterface {
  return { name, addresses: addresses.map(address), isWorkload: false };
}

/** Global where `ns` is undefined. */
export function networkSet(
  ns: string | undefined,
  name: string,
  nets: readonly string[],
  labels: Labels = {},
): NetworkSet {
  return {
    kind: 'NetworkSet',
    namespace: ns,
    name,
    labels: ns === undefined ? labels : { ...labels, 'projectcalico.org/namespace': ns },
    profiles: ns === undefined ? [] : [`kns.${ns}`],
    nets: nets.map(cidr),
  };
}

export function tier(
  name: string,
  order: number | undefined,
  defaultAction: Tier['defaultAction'] = 'deny',
): Tier {
  return { kind: 'Tier', name, order, defaultAction };
}

/** Tier default, both directions, every endpoint of its scope, no rules. Namespaced where `namespace` is given. */
export function policy(name: string, part: Partial<Policy> = {}): Policy {
  return {
    kind: 'Policy',
    policyKind: part.namespace === undefined ? 'GlobalNetworkPolicy' : 'NetworkPolicy',
    namespace: undefined,
    name,
    tier: 'default',
    order: undefined,
    staged: false,
    selector: undefined,
    namespaceSelector: undefined,
    serviceAccountSelector: undefined,
    types: ['ingress', 'egress'],
    ingress: [],
    egress: [],
    applyOnForward: false,
    preDnat: false,
    doNotTrack: false,
    ...part,
  };
}

export function rule(action: Action, match: Partial<RuleMatch> = {}, index = 0): Rule {
  return {
    action,
    index,
    name: undefined,
    match: {
      ipVersion: undefined,
      protocol: undefined,
      notProtocol: undefined,
      icmp: undefined,
      notIcmp: undefined,
      source: ANY_ENTITY,
      destination: ANY_ENTITY,
      ...match,
    },
  };
}

export function entity(part: Partial<EntityMatch>): EntityMatch {
  return { ...ANY_ENTITY, ...part };
}

export function port(first: number, last = first): PortMatch {
  return { kind: 'range', first, last };
}

export function named(name: string): PortMatch {
  return { kind: 'named', name };
}

export function equals(label: string, value: string): Selector {
  return { kind: 'equals', label, value };
}

/** TCP from port 40000 to `dport`, unless `part` says otherwise. */
export function packet(
  from: string,
  to: string,
  dport: number,
  part: Partial<Packet> = {},
): Packet {
  const [saddr, daddr] = [address(from), address(to)];
  return {
    family: saddr.family,
    saddr,
    daddr,
    protocol: 6,
    sport: 40_000,
    dport,
    icmpType: undefined,
    icmpCode: undefined,
    ...part,
  };
}

/** A packet without ports; ICMP types only where given. */
export function portless(
  from: string,
  to: string,
  protocol: number,
  icmp?: { readonly type: number; readonly code: number },
): Packet {
  return packet(from, to, 0, {
    protocol,
    sport: undefined,
    dport: undefined,
    icmpType: icmp?.type,
    icmpCode: icmp?.code,
  });
}
