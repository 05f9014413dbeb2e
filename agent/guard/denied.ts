/** Connections that policies would deny, as lines for people. Comes in: connections and a judge. */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Connection } from '../netlink/connections.ts';
import type { Judge } from './judge.ts';

export interface DeniedConnection {
  /** `tcp 10.0.0.1:40000 -> 10.0.0.2:80`. */
  readonly connection: string;
  /** What denies it, and where that stands. */
  readonly by: string;
}

/** One after the other. */
export async function findDenied(
  judge: Judge,
  connections: readonly Connection[],
): Promise<readonly DeniedConnection[]> {
  const denied: DeniedConnection[] = [];
  for (const connection of connections) {
    const denial = await judge.denialOf(connection);
    if (denial !== undefined)
      denied.push({ connection: printConnection(connection), by: denial.by });
  }
  return denied;
}

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
};

/** `tcp 10.0.0.1:40000 -> 10.0.0.2:80`, and what it was before translation. */
export function printConnection({ sent, arrived }: Connection): string {
  const to = printEnd(arrived.daddr, arrived.dport);
  const before = printEnd(sent.daddr, sent.dport);
  const protocol = PROTOCOLS[arrived.protocol] ?? `protocol ${arrived.protocol}`;
  const translated = to === before ? '' : ` (sent to ${before})`;
  return `${protocol} ${printEnd(arrived.saddr, arrived.sport)} -> ${to}${translated}${printIcmp(arrived)}`;
}

function printIcmp({ icmpType, icmpCode }: Packet): string {
  return icmpType === undefined ? '' : ` ${icmpType}/${icmpCode ?? 0}`;
}

function printEnd(address: Packet['saddr'], port: number | undefined): string {
  const text = printAddress(address);
  if (port === undefined) return text;
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}
