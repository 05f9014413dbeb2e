/**
 * A case in the kernel: its pods' and the host's interfaces on a fabric, engine and dataplane in the router namespace, its packets sent. Comes in: a
 * case; goes out: which packets arrived. Refuses to know what should have arrived.
 */
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { readHostNetwork } from '../../agent/endpoints/host-network.ts';
import { Engine } from '../../agent/engine/engine.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import { testAddon } from './addon.ts';
import { openingOf, placeOf } from './case.ts';
import type { PolicyCase } from './case.ts';
import type { CasePacket } from './case-packets.ts';
import { translate } from './dnat.ts';
import { Fabric } from './fabric.ts';
import type { Probe } from './fabric.ts';
import { NODE } from './world.ts';

/** Crafted packets of odd kinds are invalid to conntrack; what policy says of them is asked all the same. */
const BASE = { ...DEFAULT_BASE_CONFIG, dropInvalid: false };

/** Of each packet, in order, whether it arrived. Throws when the kernel refuses anything. */
export async function sendInKernel(policyCase: PolicyCase): Promise<readonly boolean[]> {
  const { packets } = policyCase.table;
  const [lo, eth0] = policyCase.world.interfaces;
  const fabric = await Fabric.create({
    workloads: policyCase.wires,
    routerAddresses: lo?.addresses.map(printAddress) ?? [],
    externalAddresses: eth0?.addresses.map(printAddress) ?? [],
    hostInterfaces: policyCase.hostInterfaces,
  });
  const dataplane = new NetlinkDataplane(testAddon(), fabric.router.path);
  try {
    await apply(policyCase, fabric, dataplane);
    const translated = packets.flatMap(({ packet, before }) =>
      before === undefined ? [] : [{ before: before.packet, after: packet }],
    );
    if (translated.length > 0) await translate(fabric.router, translated);
    const arrived = new Map<CasePacket, boolean>();
    for (const batch of toBatches(packets)) {
      await fabric.forgetConnections();
      const openings = batch.filter(({ isReply }) => isReply).map(openingOf);
      await fabric.probe(openings.map((sent) => probeOf(policyCase, sent)));
      const results = await fabric.probe(batch.map((sent) => probeOf(policyCase, sent)));
      for (const [index, sent] of batch.entries()) arrived.set(sent, results[index] === true);
    }
    return packets.map((sent) => arrived.get(sent) === true);
  } finally {
    dataplane.close();
    await fabric.close();
  }
}

async function apply(
  { events }: PolicyCase,
  { router }: Fabric,
  dataplane: NetlinkDataplane,
): Promise<void> {
  const engine = new Engine({ node: NODE, base: BASE, parse: {} }, dataplane);
  engine.take(events);
  engine.setNetwork(await readHostNetwork(testAddon(), router.path));
  for (let report = await engine.apply(); ; report = await engine.apply()) {
    if (report.quarantined.length > 0) throw new Error(JSON.stringify(report.quarantined));
    if (!report.more) break;
  }
}

function probeOf(policyCase: PolicyCase, sent: CasePacket): Probe {
  const { packet, before } = sent;
  return {
    from: placeOf(policyCase, sent),
    packet: before?.packet ?? packet,
    arrivesAs: packet,
    ...(sent.isReply ? { dress: { tcpFlags: 'syn-ack' } } : {}),
  };
}

/** No two packets of one batch belong to one connection, so each of them opens its own. */
function toBatches(packets: readonly CasePacket[]): readonly (readonly CasePacket[])[] {
  const batches: { readonly seen: Set<string>; readonly packets: CasePacket[] }[] = [];
  for (const sent of packets) {
    const connections = [sent.packet, sent.before?.packet ?? sent.packet].map(connectionOf);
    let batch = batches.find(({ seen }) => !connections.some((each) => seen.has(each)));
    if (batch === undefined) {
      batch = { seen: new Set(), packets: [] };
      batches.push(batch);
    }
    for (const each of connections) batch.seen.add(each);
    batch.packets.push(sent);
  }
  return batches.map((batch) => batch.packets);
}

function connectionOf({ saddr, sport, daddr, dport, protocol }: Packet): string {
  const ends = [`${printAddress(saddr)} ${sport ?? ''}`, `${printAddress(daddr)} ${dport ?? ''}`];
  return `${protocol} ${ends.sort().join(' ')}`;
}
