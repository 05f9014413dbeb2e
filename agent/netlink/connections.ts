/**
 * Tracked connections, as packets. An exchange function in; the first packet of each connection out, as it was sent and as it arrived.
 * Refuses to know: policies. agent/netlink/conntrack.ts deletes connections.
 */
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { syscallError } from '../errors.ts';
import { Slice, Writer } from './codec.ts';
import type { ValueOf } from './codec.ts';
import { traceNetlink } from './debug.ts';
import {
  beginMessage,
  endMessage,
  messages,
  readAck,
  readNfgenmsg,
  writeNfgenmsg,
} from './message.ts';
import type { Exchanger } from './request.ts';
import * as schema from './schema/conntrack.ts';
import * as k from './uapi.generated.ts';

export interface Connection {
  /** As whoever began it sent it. */
  readonly sent: Packet;
  /** As it arrived: its destination may have been replaced. */
  readonly arrived: Packet;
  /** Interface that a link-local end is on, where that was said. */
  readonly zone?: string;
}

const TIMEOUT_MS = 60_000;

const NFPROTO: Readonly<Record<Family, number>> = { 4: k.NFPROTO_IPV4, 6: k.NFPROTO_IPV6 };

const TYPE = k.NFNL_SUBSYS_CTNETLINK << 8;

/** Of both families. Entries that say too little are left out. Throws AgentError. */
export async function listConnections(socket: Exchanger): Promise<readonly Connection[]> {
  return [...(await listFamily(socket, 4)), ...(await listFamily(socket, 6))];
}

async function listFamily(socket: Exchanger, family: Family): Promise<readonly Connection[]> {
  const writer = new Writer(64);
  const type = TYPE | k.IPCTNL_MSG_CT_GET;
  const at = beginMessage(writer, { type, flags: k.NLM_F_REQUEST | k.NLM_F_DUMP, seq: 1 });
  writeNfgenmsg(writer, NFPROTO[family], 0);
  endMessage(writer, at);
  traceNetlink('>', writer.finish());
  const answer = await socket.exchange(writer.finish(), 'dump', 1, TIMEOUT_MS);
  traceNetlink('<', answer);
  const found: Connection[] = [];
  for (const message of messages(answer)) {
    const ack = readAck(message);
    if (ack !== undefined && ack.errno !== 0) throw syscallError('list connections', ack.errno);
    if (message.type !== (TYPE | k.IPCTNL_MSG_CT_NEW)) continue;
    const { original, reply } = schema.connection.read(readNfgenmsg(message.body).attrs);
    const sent = original && toPacket(family, original);
    const answered = reply && toPacket(family, reply);
    if (sent === undefined || answered === undefined) continue;
    found.push({ sent, arrived: { ...sent, daddr: answered.saddr, dport: answered.sport } });
  }
  return found;
}

type Tuple = ValueOf<typeof schema.tuple>;

function toPacket(family: Family, { ip, proto }: Tuple): Packet | undefined {
  const saddr = toAddress(family, ip?.[`source${family}`]);
  const daddr = toAddress(family, ip?.[`destination${family}`]);
  if (saddr === undefined || daddr === undefined || proto === undefined) return undefined;
  const { number, sourcePort, destinationPort, ...icmp } = schema.protocol.read(new Slice(proto));
  if (number === undefined) return undefined;
  return {
    family,
    saddr,
    daddr,
    protocol: number,
    sport: sourcePort,
    dport: destinationPort,
    icmpType: family === 4 ? icmp.icmpType : icmp.icmpv6Type,
    icmpCode: family === 4 ? icmp.icmpCode : icmp.icmpv6Code,
  };
}

function toAddress(family: Family, bytes: Uint8Array | undefined): Address | undefined {
  if (bytes?.length !== (family === 4 ? 4 : 16)) return undefined;
  return { family, value: BigInt(`0x${Buffer.from(bytes).toString('hex')}`) };
}
