/** How to read a match field from a packet value. One row per field of model/fields.ts. */
import type { FieldTable } from '../model/fields.ts';
import type { Packet } from '../model/packet.ts';

/** The field's value as the unsigned integer that stands in the header; `undefined` = the packet has no such field. */
export const READS: FieldTable<(packet: Packet) => bigint | undefined> = {
  saddr: (packet) => packet.saddr.value,
  daddr: (packet) => packet.daddr.value,
  protocol: (packet) => BigInt(packet.protocol),
  sport: (packet) => toBigInt(packet.sport),
  dport: (packet) => toBigInt(packet.dport),
  icmp: ({ icmpType, icmpCode }) =>
    icmpType === undefined || icmpCode === undefined
      ? undefined
      : toBigInt((icmpType << 8) | icmpCode),
};

function toBigInt(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}
