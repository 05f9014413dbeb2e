/**
 * The oracle and real packets in the kernel agree, for random worlds that turn into one another while the same table stays in the
 * kernel. Every address that workloads may have is a wire of its own; whoever owns the address governs the wire. KERNEL_RUNS sets the
 * number of worlds.
 */
import * as fc from 'fast-check';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { loadNative } from '../../agent/native/native.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { explainFlow } from '../../compiler/oracle/explain.ts';
import { evaluateFlow } from '../../compiler/oracle/flow.ts';
import type { FlowDecision } from '../../compiler/oracle/flow.ts';
import type { FlowEnd } from '../../compiler/oracle/stage.ts';
import { ownerOf } from '../../compiler/oracle/world.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { arbitraryResources } from '../support/arbitrary.ts';
import { Fabric } from '../support/fabric.ts';
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
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = Number(process.env['KERNEL_RUNS'] ?? 60);

kernelTest('random worlds, one after the other', ['root', 'netns', 'cc'], async (t) => {
  const fabric = await Fabric.create({ workloads: WIRE_SPECS });
  const dataplane = new NetlinkDataplane(loadNative(), fabric.router.path);
  try {
    const node = new WorldTable(dataplane);
    await fc.assert(
      fc.asyncProperty(
        arbitraryResources.map(withoutOwnHosts),
        arbitrarySendable,
        async (resources, sent) => {
          await node.become(resources);
          await fabric.forgetConnections();
          const judged = world(resources);
          const arrived = await fabric.probe(
            sent.map((packet) => ({ packet, from: placeOf(packet.saddr) })),
          );
          for (const [index, packet] of sent.entries()) {
            const decision = decide(judged, packet);
            if ((decision.verdict === 'allow') === arrived[index]) continue;
            const seen = arrived[index] === true ? 'arrived' : 'did not arrive';
            throw new Error(`${explainFlow(decision)}\nbut it ${seen}: ${describePacket(packet)}`);
          }
        },
      ),
      { numRuns: RUNS, includeErrorInReport: true, endOnFailure: process.env['CI'] === 'true' },
    );
    t.pass();
  } finally {
    dataplane.close();
    await fabric.close();
  }
});

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
