/**
 * Random packets over a host with several interfaces, some with a destination that the host's address translation replaces. Comes in: nothing;
 * goes out: flows as the oracle wants them and probes as the fabric wants them. Refuses to know policies.
 */
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Flow, FlowEnd } from '../../compiler/oracle/stage.ts';
import { ownerOf } from '../../compiler/oracle/world.ts';
import type { HostInterface, World } from '../../compiler/oracle/world.ts';
import { arbitraryPacket } from './arbitrary.ts';
import type { Translation } from './dnat.ts';
import type { FabricOptions, Probe } from './fabric.ts';
import { reversed } from './kernel-node.ts';
import { HOST_INTERFACES, PORTS } from './pools.ts';
import { NODE, address } from './world.ts';
import { WIRES, WIRE_SPECS, connectionOf } from './world-table.ts';

/** Destinations that are only there to be replaced, by the interface that they are routed to. */
const SERVICES = {
  eth0: { 4: '10.96.0.', 6: 'fd96::' },
  eth1: { 4: '10.97.0.', 6: 'fd97::' },
} as const;

type Uplink = keyof typeof SERVICES;

/** Somebody who sends or receives. */
type Place =
  | { readonly kind: 'wire'; readonly address: Address }
  | { readonly kind: 'host'; readonly address: Address }
  | { readonly kind: 'outside'; readonly address: Address; readonly interface: string };

export interface HostFlow {
  readonly from: Place;
  readonly to: Place;
  /** Interface that it comes in by, where it comes from outside; answers need not go there. */
  readonly arrivesBy: string;
  readonly packet: Packet;
  readonly before: { readonly packet: Packet; readonly uplink: Uplink } | undefined;
}

const [EXTERNAL] = HOST_INTERFACES;

/** A fabric with all of it. */
export const HOST_FABRIC: FabricOptions = {
  workloads: WIRE_SPECS,
  routerAddresses: [],
  externalAddresses: EXTERNAL.own,
  hostInterfaces: HOST_INTERFACES.filter(({ name }) => name !== EXTERNAL.name).map((each) => ({
    name: each.name,
    ifname: each.name,
    addresses: each.own,
    nets: [
      ...each.behind.map((text) => `${text}/${text.includes(':') ? 128 : 32}`),
      ...(each.name === 'eth1' ? [`${SERVICES.eth1[4]}0/24`, `${SERVICES.eth1[6]}/64`] : []),
    ],
  })),
};

/** What the oracle has to know of it. */
export const ORACLE_INTERFACES: readonly HostInterface[] = [
  { name: 'lo', addresses: [], isWorkload: false },
  ...HOST_INTERFACES.map(({ name, own }) => ({
    name,
    addresses: own.map(address),
    isWorkload: false,
  })),
];

/** The host and who is behind it as often as workloads. */
const PLACES: readonly Place[] = [
  ...[...WIRES.keys()].map((text): Place => ({ kind: 'wire', address: address(text) })),
  ...HOST_INTERFACES.flatMap(({ name, own, behind }) => [
    ...[...own, ...own].map((text): Place => ({ kind: 'host', address: address(text) })),
    ...[...behind, ...behind].map((text): Place => ({
      kind: 'outside',
      address: address(text),
      interface: name,
    })),
  ]),
];

/** No two of them belong to one connection. */
export const arbitraryHostFlows: Arbitrary<readonly HostFlow[]> = fc
  .uniqueArray(fc.oneof(arbitraryHostFlow(4), arbitraryHostFlow(6)), {
    minLength: 30,
    maxLength: 45,
    selector: ({ packet }) => connectionOf(packet),
  })
  .map((flows) => flows.filter(isSendable).map(withOwnService));

/** Every translated destination is another one, so that each packet has its rule. */
function withOwnService(flow: HostFlow, index: number): HostFlow {
  if (flow.before === undefined) return flow;
  const { packet, uplink } = flow.before;
  const daddr = address(`${SERVICES[uplink][packet.family]}${index + 1}`);
  return { ...flow, before: { uplink, packet: { ...packet, daddr } } };
}

function arbitraryHostFlow(family: Family): Arbitrary<HostFlow> {
  const place = fc.constantFrom(...PLACES.filter((each) => each.address.family === family));
  return fc
    .record({
      from: place,
      to: place,
      header: arbitraryPacket(family),
      arrivesBy: fc.constantFrom(...HOST_INTERFACES.map(({ name }) => name)),
      uplink: fc.constantFrom<(Uplink | undefined)[]>(undefined, undefined, 'eth0', 'eth1'),
      dport: fc.constantFrom(...PORTS),
    })
    .map(({ from, to, header, arrivesBy, uplink, dport }) => {
      const packet = { ...header, saddr: from.address, daddr: to.address };
      const isTranslated =
        uplink !== undefined && (packet.protocol === 6 || packet.protocol === 17);
      const before = isTranslated ? { packet: { ...packet, dport }, uplink } : undefined;
      return { from, to, arrivesBy, packet, before };
    });
}

/** Conntrack, not policy, decides on ICMP errors that quote nothing and on the other family's ICMP. */
function isSendable({ from, to, packet }: HostFlow): boolean {
  const { family, protocol, icmpType } = packet;
  const isForeign = protocol === (family === 4 ? 58 : 1);
  return icmpType !== 3 && !isForeign && (from !== to || from.kind === 'host');
}

/** As the world sees it. */
export function oracleFlow(world: World, flow: HostFlow): Flow {
  const { from, to, packet, before, arrivesBy } = flow;
  const isOwn = from.kind === 'host' && to.kind === 'host';
  return {
    from: endOf(world, from),
    to: endOf(world, to),
    packet,
    inInterface: isOwn ? 'lo' : from.kind === 'outside' ? arrivesBy : undefined,
    outInterface: isOwn ? 'lo' : to.kind === 'outside' ? to.interface : undefined,
    before: before && { packet: before.packet, outInterface: before.uplink },
  };
}

/** Without translation, to where nobody is. */
export function untranslated(flow: HostFlow): HostFlow {
  if (flow.before === undefined) return flow;
  const { packet, uplink } = flow.before;
  const to: Place = { kind: 'outside', address: packet.daddr, interface: uplink };
  return { ...flow, to, packet, before: undefined };
}

/**
 * Of UDP that is not translated, by the interface that leads to who answers. TCP of the host is reset by its own stack; what the host sends
 * to itself is a connection once it has left, even when it is denied where it arrives.
 */
export function replyTo({ from, to, packet, before }: HostFlow): HostFlow | undefined {
  const isOwn = from.kind === 'host' && to.kind === 'host';
  if (packet.protocol !== 17 || before !== undefined || isOwn) return undefined;
  const arrivesBy = to.kind === 'outside' ? to.interface : EXTERNAL.name;
  return { from: to, to: from, arrivesBy, packet: reversed(packet), before };
}

/** A wire without a local owner is an interface that nobody claims. */
function endOf(world: World, place: Place): FlowEnd {
  if (place.kind === 'host') return { kind: 'host' };
  if (place.kind === 'outside') return { kind: 'external' };
  const endpoint = ownerOf(world, place.address);
  return endpoint?.node === NODE ? { kind: 'workload', endpoint } : { kind: 'unknown-interface' };
}

/** `arriving` says where and how it should come out. */
export function probeOf(sent: HostFlow, arriving: HostFlow): Probe {
  return {
    from: sent.from.kind === 'outside' ? wireOf(sent.arrivesBy) : nameOf(sent.from),
    packet: sent.before?.packet ?? sent.packet,
    arrivesAs: arriving.packet,
    to: nameOf(arriving.to),
  };
}

function nameOf(place: Place): string {
  if (place.kind === 'host') return 'router';
  return place.kind === 'wire' ? printAddress(place.address) : wireOf(place.interface);
}

function wireOf(ifname: string): string {
  return ifname === EXTERNAL.name ? 'external' : ifname;
}

export function translationsOf(flows: readonly HostFlow[]): readonly Translation[] {
  return flows.flatMap(({ packet, before }) =>
    before === undefined ? [] : [{ before: before.packet, after: packet }],
  );
}
