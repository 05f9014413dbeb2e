/**
 * The oracle and real packets in the kernel agree, for random worlds that turn into one another while the same table stays in the
 * kernel. Every address that workloads may have is a wire of its own; whoever owns the address governs the wire. KERNEL_RUNS sets the
 * number of worlds.
 */
import * as fc from 'fast-check';
import { plan } from '../../agent/dataplane/plan.ts';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { loadNative } from '../../agent/native/native.ts';
import { Calc } from '../../compiler/calc/calc.ts';
import type { ResolvedEndpoint } from '../../compiler/calc/resolved.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import { TableCompiler } from '../../compiler/nft/compiler.ts';
import type { Placement } from '../../compiler/nft/dispatch.ts';
import { Table } from '../../compiler/nft/table.ts';
import { explainFlow } from '../../compiler/oracle/explain.ts';
import { evaluateFlow } from '../../compiler/oracle/flow.ts';
import type { FlowDecision, FlowEnd } from '../../compiler/oracle/flow.ts';
import { ownerOf } from '../../compiler/oracle/world.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { arbitraryPacket, arbitraryResources } from '../support/arbitrary.ts';
import { Fabric } from '../support/fabric.ts';
import { keyOf } from '../support/keys.ts';
import { kernelTest } from '../support/needs.ts';
import { ADDRESSES } from '../support/pools.ts';
import { NODE, world } from '../support/world.ts';

const RUNS = Number(process.env['KERNEL_RUNS'] ?? 60);

/** Addresses that workloads may have, and their wires. */
const WIRES: ReadonlyMap<string, string> = new Map(
  ADDRESSES.filter((text) => /^(10\.0|fd00)/.test(text)).map((text, index) => [
    text,
    `cali${index}`,
  ]),
);

/** No unicast destination. */
const UNROUTABLE = '255.255.255.255';

/** Unanswered connections of either direction: a packet and its reverse must not meet in one batch. */
function connectionOf(packet: Packet): string {
  const ends = [
    `${printAddress(packet.saddr)} ${packet.sport ?? ''}`,
    `${printAddress(packet.daddr)} ${packet.dport ?? ''}`,
  ];
  return `${packet.protocol} ${ends.sort().join(' ')}`;
}

const packets = fc
  .uniqueArray(fc.oneof(arbitraryPacket(4), arbitraryPacket(6)), {
    minLength: 40,
    maxLength: 60,
    selector: connectionOf,
  })
  .map((all) => all.filter(isSendable));

/** ICMP errors are left out: conntrack judges them by the packet they quote, and crafted ones quote none. */
const DESTINATION_UNREACHABLE = 3;

/** The other family's ICMP: conntrack drops it before any policy. */
const FOREIGN_ICMP = { 4: 58, 6: 1 } as const;

function isSendable({ family, saddr, daddr, protocol, icmpType }: Packet): boolean {
  if (icmpType === DESTINATION_UNREACHABLE || protocol === FOREIGN_ICMP[family]) return false;
  const ends = [saddr, daddr].map(printAddress);
  return !ends.includes(UNROUTABLE) && ends[0] !== ends[1] && ends.some((end) => WIRES.has(end));
}

kernelTest('random worlds, one after the other', ['root', 'netns', 'cc'], async (t) => {
  const workloads = [...WIRES].map(([address, ifname]) => ({
    name: address,
    ifname,
    addresses: [address],
  }));
  const fabric = await Fabric.create({ workloads });
  const dataplane = new NetlinkDataplane(loadNative(), fabric.router.path);
  try {
    const node = new Node(dataplane);
    await fc.assert(
      fc.asyncProperty(arbitraryResources, packets, async (resources, sent) => {
        await node.become(resources);
        await fabric.forgetConnections();
        const judged = world(resources);
        const arrived = await fabric.probe(
          sent.map((packet) => ({ packet, from: place(packet.saddr) })),
        );
        for (const [index, packet] of sent.entries()) {
          const decision = decide(judged, packet);
          if ((decision.verdict === 'allow') === arrived[index]) continue;
          const seen = arrived[index] === true ? 'arrived' : 'did not arrive';
          throw new Error(`${explainFlow(decision)}\nbut it ${seen}: ${describe(packet)}`);
        }
      }),
      { numRuns: RUNS, includeErrorInReport: true, endOnFailure: process.env['CI'] === 'true' },
    );
    t.pass();
  } finally {
    dataplane.close();
    await fabric.close();
  }
});

/** The compiler with one kernel table, taken from world to world. Crafted packets of odd kinds are invalid to conntrack, so those pass. */
class Node {
  readonly #dataplane: NetlinkDataplane;
  readonly #calc = new Calc(NODE);
  readonly #table = new Table();
  readonly #compiler = new TableCompiler(this.#table, {
    ...DEFAULT_BASE_CONFIG,
    dropInvalid: false,
  });
  #keys = new Set<string>();

  constructor(dataplane: NetlinkDataplane) {
    this.#dataplane = dataplane;
  }

  async become(resources: readonly Resource[]): Promise<void> {
    const keys = new Set(resources.map(keyOf));
    for (const key of this.#keys) if (!keys.has(key)) this.#calc.delete(key);
    for (const resource of resources) this.#calc.put(keyOf(resource), resource);
    this.#keys = keys;
    this.#compiler.apply(this.#calc.flush(), placementOf);
    const result = await this.#dataplane.commit(plan(this.#table));
    if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.refusals, printBigints)}`);
    this.#table.settle();
  }
}

function printBigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function placementOf({ addresses }: ResolvedEndpoint): Placement {
  const interfaces = addresses.flatMap((address) => WIRES.get(printAddress(address)) ?? []);
  return { interfaces, byAddress: false };
}

function decide(judged: World, packet: Packet): FlowDecision {
  return evaluateFlow(judged, {
    from: end(judged, packet.saddr),
    to: end(judged, packet.daddr),
    packet,
  });
}

/** A wire without a local owner is an interface that nobody claims. */
function end(judged: World, address: Address): FlowEnd {
  if (!WIRES.has(printAddress(address))) return { kind: 'external' };
  const endpoint = ownerOf(judged, address);
  return endpoint?.node === NODE ? { kind: 'workload', endpoint } : { kind: 'unknown-interface' };
}

function place(address: Address): string {
  const text = printAddress(address);
  return WIRES.has(text) ? text : 'external';
}

function describe(packet: Packet): string {
  return `${printAddress(packet.saddr)}:${packet.sport ?? ''} -> ${printAddress(packet.daddr)}:${packet.dport ?? ''} protocol ${packet.protocol} icmp ${packet.icmpType}/${packet.icmpCode}`;
}
