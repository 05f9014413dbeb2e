/**
 * Whether one rule matches one packet, and if not, which condition fails (specification sections 2.8 and 4.1 to 4.4). Refuses
 * to know actions and order.
 */
import type { HostEndpoint, WorkloadEndpoint } from '../model/cluster.ts';
import { cidrContains } from '../model/ip.ts';
import type { Address, Cidr, Family } from '../model/ip.ts';
import type { Packet } from '../model/packet.ts';
import type {
  EntityMatch,
  HeaderCondition,
  IcmpMatch,
  PortMatch,
  Rule,
  RuleMatch,
} from '../model/policy.ts';
import { selectionOf } from './selector.ts';
import type { Selection } from './selector.ts';
import { itemHasAddress, itemsOf, isSameAddress, resourcesOf } from './world.ts';
import type { Item, World } from './world.ts';

/** IANA number of "the" ICMP of a family. */
const ICMP: Readonly<Record<Family, number>> = { 4: 1, 6: 58 };

/** A condition's name as written in manifests, and whether it holds. */
type Condition = readonly [name: string, holds: boolean];

/** One side of a packet, to hold against one side of a rule. */
interface End {
  readonly side: 'source' | 'destination';
  readonly entity: EntityMatch;
  readonly address: Address;
  readonly port: number | undefined;
  readonly protocol: number;
}

/**
 * `undefined` = the rule matches; else the first condition that does not hold, as `destination.ports`.
 * `namespace` is that of the rule's policy, `undefined` for cluster-scoped policies and profiles.
 */
export function failingCondition(
  world: World,
  rule: Rule,
  namespace: string | undefined,
  packet: Packet,
): string | undefined {
  if (rule.match === 'everything') return undefined;
  if (rule.match === 'nothing') return 'invalid rule';
  const { source, destination } = rule.match;
  const { saddr, daddr, sport, dport, protocol } = packet;
  const from: End = { side: 'source', entity: source, address: saddr, port: sport, protocol };
  const to: End = {
    side: 'destination',
    entity: destination,
    address: daddr,
    port: dport,
    protocol,
  };
  const conditions = [
    ...headerConditions(rule.match, packet),
    ...endConditions(world, from, namespace),
    ...endConditions(world, to, namespace),
  ];
  return conditions.find(([, holds]) => !holds)?.[0];
}

type HeaderConditions = {
  readonly [C in HeaderCondition]: {
    /** As written in manifests. */
    readonly name: string;
    readonly holds: (wanted: NonNullable<RuleMatch[C]>, packet: Packet) => boolean;
  };
};

/** Section 4.1, in the order in which they are told. A condition without a row does not compile. */
const HEADER_CONDITIONS: HeaderConditions = {
  ipVersion: { name: 'ipVersion', holds: (version, { family }) => version === family },
  protocol: {
    name: 'protocol',
    holds: ({ number, family }, packet) =>
      number === packet.protocol && (family ?? packet.family) === packet.family,
  },
  notProtocol: { name: 'notProtocol', holds: ({ number }, { protocol }) => number !== protocol },
  icmp: { name: 'icmp', holds: (icmp, packet) => isIcmpKind(icmp, packet) === true },
  notIcmp: { name: 'notICMP', holds: (icmp, packet) => isIcmpKind(icmp, packet) === false },
};

const HEADER_NAMES = Object.keys(HEADER_CONDITIONS) as readonly HeaderCondition[];

/** Also, for families, the four net lists. */
function headerConditions(match: RuleMatch, packet: Packet): Condition[] {
  const { family } = packet;
  return [
    ...HEADER_NAMES.map((condition) => headerCondition(condition, match[condition], packet)),
    ['source.nets', isOfFamily(match.source.nets, family)],
    ['source.notNets', isOfFamily(match.source.notNets, family)],
    ['destination.nets', isOfFamily(match.destination.nets, family)],
    ['destination.notNets', isOfFamily(match.destination.notNets, family)],
  ];
}

function headerCondition<C extends HeaderCondition>(
  condition: C,
  wanted: RuleMatch[C],
  packet: Packet,
): Condition {
  const { name, holds } = HEADER_CONDITIONS[condition];
  return [name, wanted === undefined || holds(wanted, packet)];
}

/** `undefined` where it is no ICMP of the family, or does not say its type: neither `icmp` nor `notICMP` holds then. */
function isIcmpKind(icmp: IcmpMatch, packet: Packet): boolean | undefined {
  if (packet.protocol !== ICMP[packet.family]) return undefined;
  if (packet.icmpType === undefined || packet.icmpCode === undefined) return undefined;
  return (
    icmp.type === packet.icmpType && (icmp.code === undefined || icmp.code === packet.icmpCode)
  );
}

/** A net list with nothing of the packet's family takes the whole rule out of that family, negated lists too. */
function isOfFamily(nets: readonly Cidr[], family: Family): boolean {
  return nets.length === 0 || nets.some((net) => net.family === family);
}

function endConditions(world: World, end: End, namespace: string | undefined): Condition[] {
  const { entity, address, side } = end;
  const selection = selectionOf(world, entity, namespace);
  const isIn = (nets: readonly Cidr[]): boolean => nets.some((net) => cidrContains(net, address));
  const isKnown = (test: (item: Item) => boolean): boolean =>
    itemsOf(world).some((item) => test(item) && itemHasAddress(world, item, address));
  const service = entity.service;
  return [
    [`${side}.nets`, entity.nets.length === 0 || isIn(entity.nets)],
    [`${side}.notNets`, !isIn(entity.notNets)],
    [`${side}.selector`, selection.isSelected === undefined || isKnown(selection.isSelected)],
    [`${side}.notSelector`, selection.isExcluded === undefined || !isKnown(selection.isExcluded)],
    [`${side}.ports`, entity.ports.length === 0 || isOnePort(world, entity.ports, selection, end)],
    [`${side}.notPorts`, !isOnePort(world, entity.notPorts, selection, end)],
    [`${side}.services`, service === undefined || isService(world, service, end)],
  ];
}

/** Any of the entries; a packet without ports is none of them. */
function isOnePort(
  world: World,
  ports: readonly PortMatch[],
  selection: Selection,
  end: End,
): boolean {
  const { port } = end;
  if (port === undefined) return false;
  return ports.some((entry) =>
    entry.kind === 'range'
      ? entry.first <= port && port <= entry.last
      : isNamedPort(world, entry.name, selection, end),
  );
}

/** Section 4.2: some selected endpoint has the address and declares the port by that name with the packet's protocol. */
function isNamedPort(world: World, name: string, selection: Selection, end: End): boolean {
  const endpoints: readonly (WorkloadEndpoint | HostEndpoint)[] = [
    ...resourcesOf(world, 'WorkloadEndpoint'),
    ...resourcesOf(world, 'HostEndpoint'),
  ];
  return endpoints.some(
    (endpoint) =>
      (selection.isSelected?.(endpoint) ?? true) &&
      itemHasAddress(world, endpoint, end.address) &&
      endpoint.ports.some(
        (declared) =>
          declared.name === name &&
          declared.protocol === end.protocol &&
          declared.port === end.port,
      ),
  );
}

/** Section 4.4: by address on the source side, by address, protocol and target port on the destination side. */
function isService(world: World, service: NonNullable<EntityMatch['service']>, end: End): boolean {
  return resourcesOf(world, 'ServiceEndpoints').some(
    (slice) =>
      slice.namespace === service.namespace &&
      slice.service === service.name &&
      slice.addresses.some((own) => isSameAddress(own, end.address)) &&
      (end.side === 'source' ||
        slice.ports.some((target) => target.protocol === end.protocol && target.port === end.port)),
  );
}
