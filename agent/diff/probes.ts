/**
 * Packets on which programs may differ: every protocol, port and ICMP type that a rule names, and their neighbours on both sides of each
 * boundary. Comes in: programs; goes out: headers without addresses.
 */
import type { Program } from './program.ts';
import { testsOf } from './compiled-world.ts';
import { ICMP_PROTOCOL } from '../../compiler/model/packet.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { FieldName } from '../../compiler/model/fields.ts';
import type { Family } from '../../compiler/model/ip.ts';

export type Header = Omit<Packet, 'family' | 'saddr' | 'daddr'>;

/** Most headers for one pair of ends; beyond, far source ports are left out first. */
const MAX_HEADERS = 20_000;

/** TCP, UDP, SCTP, UDP-Lite. */
const WITH_PORTS: readonly number[] = [6, 17, 132, 136];

/** What is tried beside what rules name. */
const USUAL = { protocols: [6n, 17n], sport: 40_000n, dports: [53n, 80n, 443n] } as const;

const ECHO: Readonly<Record<Family, bigint>> = { 4: 8n << 8n, 6: 128n << 8n };

/** Whether all of them are there, or the limit cut some. */
export interface Headers {
  readonly headers: readonly Header[];
  readonly isComplete: boolean;
}

/** Protocols and ports that sets have of the two addresses. */
export interface PortsOfEnds {
  readonly source: readonly (readonly [number, number])[];
  readonly destination: readonly (readonly [number, number])[];
}

export function headersFor(
  programs: readonly Program[],
  family: Family,
  { source, destination }: PortsOfEnds,
): Headers {
  const edges = (field: FieldName, most: bigint): bigint[] => [
    ...new Set(programs.flatMap((program) => edgesOf(program, field, most))),
  ];
  const protocols = new Set([...USUAL.protocols, ...edges('protocol', 255n)].map(Number));
  for (const [protocol] of [...source, ...destination]) protocols.add(protocol);
  const dports = new Set([...USUAL.dports, ...edges('dport', 65_535n)].map(Number));
  for (const [, port] of destination) dports.add(port);
  const known = [USUAL.sport, ...edges('sport', 65_535n)].map(Number);
  const sports = [...new Set([...known, ...source.map(([, port]) => port)])];
  const icmp = [...new Set([ECHO[family], ...edges('icmp', 65_535n)])];
  protocols.add(ICMP_PROTOCOL[family]);
  const headers: Header[] = [];
  for (const protocol of [...protocols].filter((number) => number > 0)) {
    headers.push(...headersOf(protocol, family, { sports, dports: [...dports], icmp }));
  }
  // The usual source port comes first in every protocol, so that a cut leaves the likely packets.
  const [usual] = sports;
  headers.sort((a, b) => Number(a.sport !== usual) - Number(b.sport !== usual));
  return {
    headers: headers.slice(0, MAX_HEADERS),
    isComplete: headers.length <= MAX_HEADERS,
  };
}

interface Values {
  readonly sports: readonly number[];
  readonly dports: readonly number[];
  readonly icmp: readonly bigint[];
}

function headersOf(protocol: number, family: Family, { sports, dports, icmp }: Values): Header[] {
  const none = { sport: undefined, dport: undefined, icmpType: undefined, icmpCode: undefined };
  if (WITH_PORTS.includes(protocol)) {
    return sports.flatMap((sport) =>
      dports.map((dport): Header => ({ ...none, protocol, sport, dport })),
    );
  }
  if (protocol !== ICMP_PROTOCOL[family]) return [{ ...none, protocol }];
  return icmp.map((value): Header => ({
    ...none,
    protocol,
    icmpType: Number(value >> 8n),
    icmpCode: Number(value & 0xffn),
  }));
}

/** First and last of each range, and what is beside them. */
function edgesOf(program: Program, field: FieldName, most: bigint): bigint[] {
  return testsOf(program.ir).flatMap((test) => {
    if (test.kind !== 'ranges' || test.field !== field) return [];
    return test.ranges
      .flatMap(({ first, last }) => [first, last, first - 1n, last + 1n])
      .filter((value) => value >= 0n && value <= most);
  });
}
