/**
 * Random worlds in one kernel table, and the packets that can be sent between their wires. Every address that workloads may have is a wire
 * of its own; whoever owns the address governs the wire. For the property tests that judge by real packets.
 */
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { Dataplane } from '../../agent/dataplane/dataplane.ts';
import { plan } from '../../agent/dataplane/plan.ts';
import { placeHosts } from '../../agent/endpoints/host-placement.ts';
import type { HostNetwork } from '../../agent/endpoints/placement.ts';
import { Calc } from '../../compiler/calc/calc.ts';
import type { ResolvedEndpoint, ResolvedHostEndpoint } from '../../compiler/calc/resolved.ts';
import type { HostEndpoint, Resource } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import type { BaseConfig } from '../../compiler/nft/base.ts';
import { TableCompiler } from '../../compiler/nft/compiler.ts';
import type { Placement } from '../../compiler/nft/dispatch.ts';
import { NOWHERE } from '../../compiler/nft/host-endpoints.ts';
import type { HostPlacement } from '../../compiler/nft/host-endpoints.ts';
import type { RuleMeaning } from '../../compiler/nft/rule-id.ts';
import { Table } from '../../compiler/nft/table.ts';
import { arbitraryPacket } from './arbitrary.ts';
import type { WorkloadSpec } from './fabric.ts';
import { keyOf } from './keys.ts';
import { ADDRESSES, HOST_INTERFACES } from './pools.ts';
import { NODE } from './world.ts';

/** Addresses that workloads may have, and their wires. */
export const WIRES: ReadonlyMap<string, string> = new Map(
  ADDRESSES.filter((text) => /^(10\.0|fd00)/.test(text)).map((text, index) => [
    text,
    `cali${index}`,
  ]),
);

/** What to build a fabric of. */
export const WIRE_SPECS: readonly WorkloadSpec[] = [...WIRES].map(([address, ifname]) => ({
  name: address,
  ifname,
  addresses: [address],
}));

/** Name of the place an address is at. */
export function placeOf(address: Address): string {
  const text = printAddress(address);
  return WIRES.has(text) ? text : 'external';
}

/** No unicast destination. */
const UNROUTABLE = '255.255.255.255';

/** ICMP errors are left out: conntrack judges them by the packet they quote, and crafted ones quote none. */
const DESTINATION_UNREACHABLE = 3;

/** The other family's ICMP: conntrack drops it before any policy. */
const FOREIGN_ICMP = { 4: 58, 6: 1 } as const;

/** Of 40 to 60 unanswered connections, of which none is another's reverse, those that a fabric can carry. */
export const arbitrarySendable: Arbitrary<readonly Packet[]> = fc
  .uniqueArray(fc.oneof(arbitraryPacket(4), arbitraryPacket(6)), {
    minLength: 40,
    maxLength: 60,
    selector: connectionOf,
  })
  .map((all) => all.filter(isSendable));

/** The same for a packet and its answer. */
export function connectionOf(packet: Packet): string {
  const ends = [
    `${printAddress(packet.saddr)} ${packet.sport ?? ''}`,
    `${printAddress(packet.daddr)} ${packet.dport ?? ''}`,
  ];
  return `${packet.protocol} ${ends.sort().join(' ')}`;
}

function isSendable({ family, saddr, daddr, protocol, icmpType }: Packet): boolean {
  if (icmpType === DESTINATION_UNREACHABLE || protocol === FOREIGN_ICMP[family]) return false;
  const ends = [saddr, daddr].map(printAddress);
  return !ends.includes(UNROUTABLE) && ends[0] !== ends[1] && ends.some((end) => WIRES.has(end));
}

/** For messages of failed properties. */
export function describePacket(packet: Packet): string {
  const { saddr, daddr, sport, dport, protocol, icmpType, icmpCode } = packet;
  const ends = `${printAddress(saddr)}:${sport ?? ''} -> ${printAddress(daddr)}:${dport ?? ''}`;
  return `${ends} protocol ${protocol} icmp ${icmpType ?? ''}/${icmpCode ?? ''}`;
}

/** Host endpoints as another node's: peers still, but nothing governs the interfaces of this one. */
export function withoutOwnHosts(resources: readonly Resource[]): readonly Resource[] {
  return resources.map((each) =>
    each.kind === 'HostEndpoint' ? { ...each, node: 'node-b' } : each,
  );
}

/** The host's links as HOST_INTERFACES has them. */
const NETWORK: HostNetwork = {
  links: new Set(['lo', ...HOST_INTERFACES.map(({ name }) => name), ...WIRES.values()]),
  hostRoutes: new Map(),
  addresses: new Map(HOST_INTERFACES.map(({ name, own }) => [name, new Set<string>(own)])),
};

/** The compiler with one kernel table, taken from world to world. Crafted packets of odd kinds are invalid to conntrack, so those pass. */
export class WorldTable {
  readonly #dataplane: Dataplane;
  readonly #calc = new Calc(NODE);
  readonly #table = new Table();
  readonly #compiler: TableCompiler;
  #keys = new Set<string>();

  constructor(dataplane: Dataplane, base: Partial<BaseConfig> = {}) {
    this.#dataplane = dataplane;
    const config = { ...DEFAULT_BASE_CONFIG, dropInvalid: false, ...base };
    this.#compiler = new TableCompiler(this.#table, config);
  }

  /** Ids of rules that log, as they come and go. */
  takeRuleChanges(): ReadonlyMap<string, RuleMeaning | undefined> {
    return this.#compiler.takeRuleChanges();
  }

  async become(resources: readonly Resource[]): Promise<void> {
    const keys = new Set(resources.map(keyOf));
    for (const key of this.#keys) if (!keys.has(key)) this.#calc.delete(key);
    for (const resource of resources) this.#calc.put(keyOf(resource), resource);
    this.#keys = keys;
    const hosts = resources.filter(
      (each): each is HostEndpoint => each.kind === 'HostEndpoint' && each.node === NODE,
    );
    const placed = placeHosts(hosts, NETWORK, (ifname) => ifname.startsWith('cali'));
    const hostPlacementOf = ({ endpoint }: ResolvedHostEndpoint): HostPlacement =>
      placed.get(endpoint.name) ?? NOWHERE;
    this.#compiler.apply(this.#calc.flush(), placementOf, hostPlacementOf);
    for (const [name, placement] of placed) this.#compiler.placeHost(name, placement);
    const result = await this.#dataplane.commit(plan(this.#table));
    if (!result.ok) throw new Error(`refused: ${fc.stringify(result.refusals)}`);
    this.#table.settle();
  }
}

function placementOf({ addresses }: ResolvedEndpoint): Placement {
  const interfaces = addresses.flatMap((address) => WIRES.get(printAddress(address)) ?? []);
  return { interfaces, byAddress: false };
}
