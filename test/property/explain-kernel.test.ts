/**
 * What `picket explain` names is what the kernel counted: for random worlds, each packet moves exactly the counters of the rules that the
 * answer says it met, or of the end that it names, and arrives when the answer allows it. KERNEL_RUNS sets the number of worlds.
 */
import * as fc from 'fast-check';
import { plan } from '../../agent/dataplane/plan.ts';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { judgePacket } from '../../agent/explain/answer.ts';
import type { JudgedStage } from '../../agent/explain/answer.ts';
import { printDecisive } from '../../agent/explain/print.ts';
import { sceneOf } from '../../agent/explain/scene.ts';
import type { Scene } from '../../agent/explain/scene.ts';
import { NetlinkSocket } from '../../agent/netlink/socket.ts';
import { Calc } from '../../compiler/calc/calc.ts';
import type { ResolvedEndpoint } from '../../compiler/calc/resolved.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import { TableCompiler } from '../../compiler/nft/compiler.ts';
import { ruleCounter } from '../../compiler/nft/lower-chain.ts';
import { identityHash, objectName } from '../../compiler/nft/names.ts';
import { Table } from '../../compiler/nft/table.ts';
import type { Decisive, ImplicitReason } from '../../compiler/oracle/decision.ts';
import { findEnd } from '../../compiler/oracle/flow.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../compiler/oracle/world.ts';
import { COUNTERS_PROTOCOL, moved, readCounts } from '../../demo/counters.ts';
import { testAddon } from '../support/addon.ts';
import { arbitraryPacket, arbitraryResources } from '../support/arbitrary.ts';
import { Fabric } from '../support/fabric.ts';
import { keyOf } from '../support/keys.ts';
import { kernelTest } from '../support/needs.ts';
import { ADDRESSES } from '../support/pools.ts';
import { NODE, world } from '../support/world.ts';

const RUNS = Number(process.env['KERNEL_RUNS'] ?? 30);

/** Addresses that workloads may have, and their wires. */
const WIRES: ReadonlyMap<string, string> = new Map(
  ADDRESSES.filter((text) => /^(10\.0|fd00)/.test(text)).map((text, index) => [
    text,
    `cali${index}`,
  ]),
);

/** Unanswered connections of either direction: a packet must not meet its own reverse. */
function connectionOf(packet: Packet): string {
  const ends = [
    `${printAddress(packet.saddr)} ${packet.sport ?? ''}`,
    `${printAddress(packet.daddr)} ${packet.dport ?? ''}`,
  ];
  return `${packet.protocol} ${ends.sort().join(' ')}`;
}

const packets = fc.uniqueArray(fc.oneof(arbitraryPacket(4), arbitraryPacket(6)), {
  minLength: 40,
  maxLength: 60,
  selector: connectionOf,
});

/** Sent per world, of those that can be asked about. */
const MAX_SENT = 12;

/** Conntrack judges errors by the packet they quote, and drops the other family's ICMP, before any policy. */
const DESTINATION_UNREACHABLE = 3;
const FOREIGN_ICMP = { 4: 58, 6: 1 } as const;
/** No unicast destination. */
const UNROUTABLE = '255.255.255.255';

function isSendable({ family, saddr, daddr, protocol, icmpType }: Packet): boolean {
  if (icmpType === DESTINATION_UNREACHABLE || protocol === FOREIGN_ICMP[family]) return false;
  const ends = [saddr, daddr].map(printAddress);
  return !ends.includes(UNROUTABLE) && ends[0] !== ends[1] && ends.some((end) => WIRES.has(end));
}

kernelTest(
  'the rules that explain names are those that counted',
  ['root', 'netns', 'cc'],
  async (t) => {
    const workloads = [...WIRES].map(([address, ifname]) => {
      return { name: address, ifname, addresses: [address] };
    });
    const fabric = await Fabric.create({ workloads });
    const netnsPath = fabric.router.path;
    const dataplane = new NetlinkDataplane(testAddon(), netnsPath);
    const socket = NetlinkSocket.open(testAddon(), { protocol: COUNTERS_PROTOCOL, netnsPath });
    const seen = new Map<string, number>();
    try {
      const kernel = new Kernel(dataplane);
      const property = fc.asyncProperty(arbitraryResources, packets, async (resources, all) => {
        await kernel.become(resources);
        await fabric.forgetConnections();
        const scene = sceneOfResources(resources);
        for (const packet of all.filter((each) => isAskable(resources, each)).slice(0, MAX_SENT)) {
          const before = await readCounts(socket);
          const [arrived] = await fabric.probe([{ packet, from: placeOf(packet.saddr) }]);
          const counted = moved(before, await readCounts(socket)).map(withoutProfiles);
          const { verdict, stages } = judgePacket(scene, packet, [NODE]);
          const named = [...new Set(stages.flatMap(countersOf))].sort();
          for (const { decision } of stages) note(seen, decision.decisive);
          if ((verdict === 'allow') === arrived && named.join() === counted.join()) continue;
          const why = stages.map((stage) => printDecisive(scene, stage)).join(' and ');
          throw new Error(
            `${describe(packet)}: ${verdict} by ${why}\n` +
              `named ${named.join(', ')}; counted ${counted.join(', ')}; arrived ${arrived}`,
          );
        }
      });
      await fc.assert(property, { numRuns: RUNS, includeErrorInReport: true, endOnFailure: true });
      for (const kind of ['rule', 'end-of-tier'])
        t.true((seen.get(kind) ?? 0) > 0, `${kind} decided`);
      t.log([...seen].map(([kind, count]) => `${kind} ${count}`).join(', '));
    } finally {
      socket.close();
      dataplane.close();
      await fabric.close();
    }
  },
);

function note(seen: Map<string, number>, decisive: Decisive): void {
  const kind = decisive.kind === 'rule' ? 'rule' : decisive.reason;
  seen.set(kind, (seen.get(kind) ?? 0) + 1);
}

/** Counters that a packet judged so must move; names say who selected the endpoint, by a hash. */
function countersOf({ direction, decision }: JudgedStage): string[] {
  const matched = decision.trace.flatMap((step) => {
    if (step.kind !== 'match') return [];
    const { policy, index } = step.rule;
    return [ruleCounter(policy, direction, index).name];
  });
  return [...matched, ...endCounters(direction, decision.decisive)];
}

function endCounters(direction: string, decisive: Decisive): string[] {
  if (decisive.kind === 'rule') return [];
  const { reason, tier, selectedBy } = decisive;
  if (reason === 'end-of-tier') {
    return [objectName(direction, reason, tier ?? '', identityHash(selectedBy))];
  }
  // A profile that nobody declares is a deny rule in its place.
  if (reason === 'missing-profile') return [objectName(direction, selectedBy[0] ?? '', '0')];
  const name = OTHER_ENDS[reason];
  return name === undefined ? [] : [`${direction}/${name}`];
}

/** What is not here counts nowhere. */
const OTHER_ENDS: Readonly<Partial<Record<ImplicitReason, string>>> = {
  'no-profile': 'no-profile',
  encapsulation: 'encapsulation',
  'spoofed-source': 'anti-spoofing',
};

/** Which profiles had nothing to say is no part of an answer. */
function withoutProfiles(name: string): string {
  return name.replace(/^(\w+\/no-profile)\/.*$/, '$1');
}

/** Between places that are something to this node. */
function isAskable(resources: readonly Resource[], packet: Packet): boolean {
  if (!isSendable(packet)) return false;
  const judged = world(resources);
  return [packet.saddr, packet.daddr].every((address) => {
    const end = findEnd(judged, address);
    return WIRES.has(printAddress(address))
      ? end.kind === 'workload' && end.endpoint.node === NODE
      : end.kind === 'external';
  });
}

function sceneOfResources(resources: readonly Resource[]): Scene {
  const store = {
    resources: () => resources.map((resource): [string, Resource] => [keyOf(resource), resource]),
    locate: () => undefined,
  };
  return sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: NODE });
}

type PlacementOf = Parameters<TableCompiler['apply']>[1];

/** The compiler with one kernel table, taken from world to world. Crafted packets of odd kinds are invalid to conntrack, so those pass. */
class Kernel {
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
    if (!result.ok)
      throw new Error(`refused: ${result.refusals.map((each) => each.errnoName).join()}`);
    this.#table.settle();
  }
}

function placementOf({ addresses }: ResolvedEndpoint): ReturnType<PlacementOf> {
  const interfaces = addresses.flatMap((address) => WIRES.get(printAddress(address)) ?? []);
  return { interfaces, byAddress: false };
}

function placeOf(address: Address): string {
  const text = printAddress(address);
  return WIRES.has(text) ? text : 'external';
}

function describe(packet: Packet): string {
  const { saddr, daddr, sport, dport, protocol, icmpType } = packet;
  const ends = `${printAddress(saddr)}:${sport ?? ''} -> ${printAddress(daddr)}:${dport ?? ''}`;
  return `${ends} protocol ${protocol} icmp ${icmpType ?? ''}`;
}
