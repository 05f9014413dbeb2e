/**
 * A case in the kernel: its pods' interfaces on a fabric, engine and dataplane in the router namespace, its packets sent. Comes in: a
 * case; goes out: which packets arrived. Refuses to know what should have arrived.
 */
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { readHostNetwork } from '../../agent/endpoints/host-network.ts';
import { Engine } from '../../agent/engine/engine.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import { testAddon } from './addon.ts';
import { placeOf } from './case.ts';
import type { PolicyCase } from './case.ts';
import type { CasePacket } from './case-packets.ts';
import { Fabric } from './fabric.ts';
import { NODE } from './world.ts';

/** Crafted packets of odd kinds are invalid to conntrack; what policy says of them is asked all the same. */
const BASE = { ...DEFAULT_BASE_CONFIG, dropInvalid: false };

/** Of each packet, in order, whether it arrived. Throws when the kernel refuses anything. */
export async function sendInKernel(policyCase: PolicyCase): Promise<readonly boolean[]> {
  const fabric = await Fabric.create({ workloads: policyCase.wires });
  const dataplane = new NetlinkDataplane(testAddon(), fabric.router.path);
  try {
    const engine = new Engine({ node: NODE, base: BASE, parse: {} }, dataplane);
    engine.take(policyCase.events);
    engine.setNetwork(await readHostNetwork(testAddon(), fabric.router.path));
    for (let report = await engine.apply(); ; report = await engine.apply()) {
      if (report.quarantined.length > 0) throw new Error(JSON.stringify(report.quarantined));
      if (!report.more) break;
    }
    const arrived = new Map<CasePacket, boolean>();
    for (const batch of toBatches(policyCase.table.packets)) {
      await fabric.forgetConnections();
      const results = await fabric.probe(
        batch.map(({ packet }) => ({ packet, from: placeOf(policyCase, packet.saddr) })),
      );
      for (const [index, sent] of batch.entries()) arrived.set(sent, results[index] === true);
    }
    return policyCase.table.packets.map((sent) => arrived.get(sent) === true);
  } finally {
    dataplane.close();
    await fabric.close();
  }
}

/** No two packets of one batch belong to one connection, so each of them opens its own. */
function toBatches(packets: readonly CasePacket[]): readonly (readonly CasePacket[])[] {
  const batches: { readonly seen: Set<string>; readonly packets: CasePacket[] }[] = [];
  for (const sent of packets) {
    const connection = connectionOf(sent.packet);
    let batch = batches.find(({ seen }) => !seen.has(connection));
    if (batch === undefined) {
      batch = { seen: new Set(), packets: [] };
      batches.push(batch);
    }
    batch.seen.add(connection);
    batch.packets.push(sent);
  }
  return batches.map((batch) => batch.packets);
}

function connectionOf({ saddr, sport, daddr, dport, protocol }: Packet): string {
  const ends = [`${printAddress(saddr)} ${sport ?? ''}`, `${printAddress(daddr)} ${dport ?? ''}`];
  return `${protocol} ${ends.sort().join(' ')}`;
}
