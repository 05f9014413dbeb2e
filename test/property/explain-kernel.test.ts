/**
 * What `picket explain` names is what the kernel counted: for random worlds, each packet moves exactly the counters of the rules that the
 * answer says it met, or of the end that it names, and arrives when the answer allows it. KERNEL_RUNS sets the number of worlds.
 */
import * as fc from 'fast-check';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { judgePacket } from '../../agent/explain/answer.ts';
import type { JudgedStage } from '../../agent/explain/answer.ts';
import { printDecisive } from '../../agent/explain/print.ts';
import { sceneOf } from '../../agent/explain/scene.ts';
import type { Scene } from '../../agent/explain/scene.ts';
import { NetlinkSocket } from '../../agent/netlink/socket.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { ruleCounter } from '../../compiler/nft/lower-chain.ts';
import { identityHash, objectName } from '../../compiler/nft/names.ts';
import type { Decisive, ImplicitReason } from '../../compiler/oracle/decision.ts';
import { findEnd } from '../../compiler/oracle/flow.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../compiler/oracle/world.ts';
import { COUNTERS_PROTOCOL, moved, readCounts } from '../../demo/counters.ts';
import { testAddon } from '../support/addon.ts';
import { arbitraryResources } from '../support/arbitrary.ts';
import { Fabric } from '../support/fabric.ts';
import { keyOf } from '../support/keys.ts';
import { kernelTest } from '../support/needs.ts';
import { NODE, world } from '../support/world.ts';
import {
  WIRES,
  WIRE_SPECS,
  WorldTable,
  arbitrarySendable,
  describePacket,
  placeOf,
  withoutOwnHosts,
} from '../support/world-table.ts';

const RUNS = Number(process.env['KERNEL_RUNS'] ?? 30);

/** Sent per world, of those that can be asked about. */
const MAX_SENT = 12;

kernelTest(
  'the rules that explain names are those that counted',
  ['root', 'netns', 'cc'],
  async (t) => {
    const fabric = await Fabric.create({ workloads: WIRE_SPECS });
    const netnsPath = fabric.router.path;
    const dataplane = new NetlinkDataplane(testAddon(), netnsPath);
    const socket = NetlinkSocket.open(testAddon(), { protocol: COUNTERS_PROTOCOL, netnsPath });
    const seen = new Map<string, number>();
    try {
      const kernel = new WorldTable(dataplane);
      const property = fc.asyncProperty(
        arbitraryResources.map(withoutOwnHosts),
        arbitrarySendable,
        async (resources, all) => {
          await kernel.become(resources);
          await fabric.forgetConnections();
          const scene = sceneOfResources(resources);
          for (const packet of all
            .filter((each) => isAskable(resources, each))
            .slice(0, MAX_SENT)) {
            const before = await readCounts(socket);
            const [arrived] = await fabric.probe([{ packet, from: placeOf(packet.saddr) }]);
            const counted = moved(before, await readCounts(socket)).map(withoutProfiles);
            const { verdict, stages } = judgePacket(scene, packet, [NODE]);
            const named = [...new Set(stages.flatMap(countersOf))].sort();
            for (const { decision } of stages) note(seen, decision.decisive);
            if ((verdict === 'allow') === arrived && named.join() === counted.join()) continue;
            const why = stages.map((stage) => printDecisive(scene, stage)).join(' and ');
            throw new Error(
              `${describePacket(packet)}: ${verdict} by ${why}\n` +
                `named ${named.join(', ')}; counted ${counted.join(', ')}; arrived ${arrived}`,
            );
          }
        },
      );
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
