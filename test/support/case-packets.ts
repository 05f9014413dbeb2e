/**
 * The truth table of a case: lines of packets.txt to packets with the verdict that the specification gives them, and the findings that
 * its manifests must give. Throws on a line that cannot be read. Knows no manifest and no evaluator.
 *
 *   allow  tcp 10.10.0.1:40000 -> 10.10.0.2:80      # TCP, UDP, SCTP and UDP-Lite; the source port is 40000 when left out
 *   deny   icmp 10.10.0.1 -> 10.10.0.2 8/0          # type and code; an echo request when left out
 *   allow  udp [fd10::1]:40000 -> [fd10::2]:53
 *   deny   50 10.10.0.1 -> 203.0.113.9              # any protocol by number
 *   deny(by knp/shop/web ingress[0])  tcp ...       # what decides; or `end of tier default`, or the oracle's name of a built-in reason
 *   allow  tcp 203.0.113.9@eth1 -> 192.0.2.1:80     # comes in by eth1; eth0 when left out. Behind a port: 203.0.113.9:4000@eth1
 *   allow  tcp 203.0.113.9 -> 10.10.0.1:80 via 192.0.2.1:30080   # DNAT: what its destination was; `@eth1` where it was routed to
 *   deny   udp 192.0.2.1:53 -> 203.0.113.9:40000 reply   # answers a packet that went before; not TCP of the host, which resets it
 *   interface eth1 198.51.100.1                     # one more interface of the host, with its addresses there
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
  /** Interfaces of the host behind which its ends are, where they are outside. */
  readonly fromInterface: string;
  readonly toInterface: string;
  /** Before DNAT. */
  readonly before: { readonly packet: Packet; readonly toInterface: string } | undefined;
  /** The same the other way has gone before. */
  readonly isReply: boolean;
}

export interface CaseInterface {
  readonly name: string;
  readonly addresses: readonly Address[];
}

export interface TruthTable {
  /** Beside `lo` and `eth0`. */
  readonly interfaces: readonly CaseInterface[];
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

const PACKET =
  /^(allow|deny)(?:\(by ([^)]+)\))?\s+(\w+)\s+(\S+)\s+->\s+(\S+)(?:\s+(\d+)\/(\d+))?(?:\s+via\s+(\S+))?(\s+reply)?$/;
const ISSUE = /^issue\s+((?:error|warning)(?: \S.*)?)$/;
const INTERFACE = /^interface\s+(\S+)((?:\s+\S+)*)$/;

export function readTruthTable(text: string): TruthTable {
  const packets: CasePacket[] = [];
  const issues: string[] = [];
  const interfaces: CaseInterface[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/(^|\s)#.*$/, '').trim();
    if (line === '') continue;
    const issue = ISSUE.exec(line)?.[1];
    const own = readInterface(line, index + 1);
    if (issue !== undefined) issues.push(issue);
    else if (own !== undefined) interfaces.push(own);
    else packets.push(readLine(line, index + 1));
  }
  return { packets, issues, interfaces };
}

function readInterface(text: string, line: number): CaseInterface | undefined {
  const [, name, rest = ''] = INTERFACE.exec(text) ?? [];
  if (name === undefined) return undefined;
  const words = rest.split(/\s+/).filter((word) => word !== '');
  return { name, addresses: words.map((word) => readEnd(word, line).address) };
}

function readLine(text: string, line: number): CasePacket {
  const match = PACKET.exec(text);
  if (match === null) throw new TypeError(`packets.txt:${line}: not a packet: ${text}`);
  const [, verdict, by, protocol = '', from = '', to = '', type, code, via, reply] = match;
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
  return {
    line,
    text,
    verdict: verdict === 'allow' ? 'allow' : 'deny',
    by,
    packet,
    fromInterface: source.interface,
    toInterface: destination.interface,
    before: via === undefined ? undefined : readBefore(packet, readEnd(via, line)),
    isReply: reply !== undefined,
  };
}

function readBefore(packet: Packet, via: End): CasePacket['before'] {
  const before = { ...packet, daddr: via.address, dport: via.port ?? packet.dport };
  return { packet: before, toInterface: via.interface };
}

interface End {
  readonly address: Address;
  readonly port: number | undefined;
  readonly interface: string;
}

/** `10.0.0.1`, `10.0.0.1:80`, `fd00::1`, `[fd00::1]:80`; each with `@eth1`. */
function readEnd(text: string, line: number): End {
  const [end = '', name = 'eth0'] = text.split('@');
  const match =
    /^\[(?<host>[^\]]+)\](?::(?<port>\d+))?$/.exec(end) ??
    /^(?<host>[^:]+)(?::(?<port>\d+))?$/.exec(end) ??
    /^(?<host>.+)$/.exec(end);
  const address = toAddress(match?.groups?.['host'] ?? '');
  if (address === undefined) throw new TypeError(`packets.txt:${line}: not an address: ${text}`);
  const port = match?.groups?.['port'];
  return { address, port: port === undefined ? undefined : Number(port), interface: name };
}
