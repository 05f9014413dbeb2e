/**
 * The truth table of a case: lines of packets.txt to packets with the verdict that the specification gives them, and the findings that
 * its manifests must give. Throws on a line that cannot be read. Knows no manifest and no evaluator.
 *
 *   allow  tcp 10.10.0.1:40000 -> 10.10.0.2:80      # TCP, UDP, SCTP and UDP-Lite; the source port is 40000 when left out
 *   deny   icmp 10.10.0.1 -> 10.10.0.2 8/0          # type and code; an echo request when left out
 *   allow  udp [fd10::1]:40000 -> [fd10::2]:53
 *   deny   50 10.10.0.1 -> 203.0.113.9              # any protocol by number
 *   deny(by knp/shop/web ingress[0])  tcp ...       # what decides; or `end of tier default`, or the oracle's name of a built-in reason
 *   issue error spec.ingress[0].protocol            # errors are listed completely, warnings as far as they matter
 */
import { toAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';

export interface CasePacket {
  /** 1-based, in packets.txt. */
  readonly line: number;
  readonly text: string;
  readonly verdict: 'allow' | 'deny';
  /** `undefined` = whatever decides. */
  readonly by: string | undefined;
  readonly packet: Packet;
}

export interface TruthTable {
  readonly packets: readonly CasePacket[];
  /** `error spec.ingress[0].protocol`. */
  readonly issues: readonly string[];
}

const PROTOCOLS: Readonly<Record<string, number>> = {
  tcp: 6,
  udp: 17,
  sctp: 132,
  udplite: 136,
  icmp: 1,
  icmpv6: 58,
};
const WITH_PORTS: readonly number[] = [6, 17, 132, 136];
const ECHO_REQUEST = { 4: 8, 6: 128 } as const;
const ICMP = { 4: 1, 6: 58 } as const;
const DEFAULT_SPORT = 40_000;

const PACKET = /^(allow|deny)(?:\(by ([^)]+)\))?\s+(\w+)\s+(\S+)\s+->\s+(\S+)(?:\s+(\d+)\/(\d+))?$/;
const ISSUE = /^issue\s+((?:error|warning)(?: \S.*)?)$/;

export function readTruthTable(text: string): TruthTable {
  const packets: CasePacket[] = [];
  const issues: string[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/(^|\s)#.*$/, '').trim();
    if (line === '') continue;
    const issue = ISSUE.exec(line)?.[1];
    if (issue !== undefined) issues.push(issue);
    else packets.push(readLine(line, index + 1));
  }
  return { packets, issues };
}

function readLine(text: string, line: number): CasePacket {
  const match = PACKET.exec(text);
  if (match === null) throw new TypeError(`packets.txt:${line}: not a packet: ${text}`);
  const [, verdict, by, protocol = '', from = '', to = '', type, code] = match;
  const [source, destination] = [readEnd(from, line), readEnd(to, line)];
  const number = PROTOCOLS[protocol] ?? Number(protocol);
  const { family } = source.address;
  if (destination.address.family !== family || !Number.isInteger(number)) {
    throw new TypeError(`packets.txt:${line}: mixed families or unknown protocol: ${text}`);
  }
  const hasPorts = WITH_PORTS.includes(number);
  if (hasPorts !== (destination.port !== undefined)) {
    throw new TypeError(`packets.txt:${line}: a destination port too few or too many: ${text}`);
  }
  const isIcmp = number === ICMP[family];
  const packet: Packet = {
    family,
    saddr: source.address,
    daddr: destination.address,
    protocol: number,
    sport: hasPorts ? (source.port ?? DEFAULT_SPORT) : undefined,
    dport: destination.port,
    icmpType: isIcmp ? Number(type ?? ECHO_REQUEST[family]) : undefined,
    icmpCode: isIcmp ? Number(code ?? 0) : undefined,
  };
  return { line, text, verdict: verdict === 'allow' ? 'allow' : 'deny', by, packet };
}

interface End {
  readonly address: Address;
  readonly port: number | undefined;
}

/** `10.0.0.1`, `10.0.0.1:80`, `fd00::1`, `[fd00::1]:80`. */
function readEnd(text: string, line: number): End {
  const match =
    /^\[(?<host>[^\]]+)\](?::(?<port>\d+))?$/.exec(text) ??
    /^(?<host>[^:]+)(?::(?<port>\d+))?$/.exec(text) ??
    /^(?<host>.+)$/.exec(text);
  const address = toAddress(match?.groups?.['host'] ?? '');
  if (address === undefined) throw new TypeError(`packets.txt:${line}: not an address: ${text}`);
  const port = match?.groups?.['port'];
  return { address, port: port === undefined ? undefined : Number(port) };
}
