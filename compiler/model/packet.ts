/** A packet as policy sees it: the header fields that rules can match. Used by every evaluator and by tests. */
import type { Address, Family } from './ip.ts';

export interface Packet {
  readonly family: Family;
  readonly saddr: Address;
  readonly daddr: Address;
  /** IANA number; for IPv6 the one after extension headers. */
  readonly protocol: number;
  /** Present for TCP, UDP, SCTP and UDP-Lite. */
  readonly sport: number | undefined;
  readonly dport: number | undefined;
  /** Present for ICMP and ICMPv6. */
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
}

/** IANA protocol number of ICMP, by family. */
export const ICMP_PROTOCOL: Readonly<Record<Family, number>> = { 4: 1, 6: 58 };
