/**
 * TCP of this network namespace as its sockets say, for connections that nobody tracks yet: before the first rule that wants it, the kernel
 * tracks none. Comes in: how to read /proc. Goes out: ports that somebody listens at, and connections that stand.
 */
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Connection } from '../netlink/connections.ts';
import { tcpConnection } from './operator.ts';

export type ReadText = (path: string) => string;

const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'] as const;

/** Of include/net/tcp_states.h (v6.12), as these tables print them. */
const ESTABLISHED = '01';
const LISTEN = '0A';

interface Row {
  readonly local: End;
  readonly remote: End;
  readonly state: string;
}

interface End {
  readonly address: Address;
  readonly port: number;
}

export function listeningPorts(read: ReadText): ReadonlySet<number> {
  const open = rowsOf(read).filter(({ state }) => state === LISTEN);
  return new Set(open.map(({ local }) => local.port));
}

/** Those at a port that somebody listens at came in; the others went out. Those of the host with itself are there twice. */
export function establishedConnections(read: ReadText): readonly Connection[] {
  const rows = rowsOf(read);
  const open = new Set(rows.flatMap(({ state, local }) => (state === LISTEN ? local.port : [])));
  return rows.flatMap(({ state, local, remote }) => {
    if (state !== ESTABLISHED) return [];
    const [from, to] = open.has(local.port) ? [remote, local] : [local, remote];
    return [tcpConnection(from.address, from.port, to.address, to.port)];
  });
}

/** `connections` without those that are tracked, whatever became of their addresses. */
export function withoutTracked(
  connections: readonly Connection[],
  tracked: readonly Connection[],
): readonly Connection[] {
  const known = new Set(tracked.flatMap(({ sent, arrived }) => [keyOf(sent), keyOf(arrived)]));
  return connections.filter(({ sent }) => !known.has(keyOf(sent)));
}

/** The same for both directions, as who began is a guess. */
function keyOf({ protocol, family, saddr, daddr, sport, dport }: Packet): string {
  const ends = [`${saddr.value} ${sport}`, `${daddr.value} ${dport}`].toSorted();
  return [protocol, family, ...ends].join(' ');
}

function rowsOf(read: ReadText): readonly Row[] {
  return TABLES.flatMap((path) => read(path).split('\n').flatMap(toRow));
}

function toRow(line: string): readonly Row[] {
  const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/);
  const ends = [toEnd(local), toEnd(remote)];
  const [from, to] = ends;
  return from === undefined || to === undefined ? [] : [{ local: from, remote: to, state }];
}

/** `0100007F:0016`: words of 32 bits as this machine has them in memory, each little-endian; the port is a number. */
function toEnd(text: string): End | undefined {
  const found = /^((?:[0-9A-F]{8}){1,4}):([0-9A-F]{4})$/.exec(text);
  const [, hex = '', port = ''] = found ?? [];
  if (found === null || (hex.length !== 8 && hex.length !== 32)) return undefined;
  const bytes = Buffer.from(hex, 'hex').swap32();
  const isMapped = bytes.length === 16 && bytes.subarray(0, 12).equals(MAPPED);
  const plain = isMapped ? bytes.subarray(12) : bytes;
  const value = BigInt(`0x${plain.toString('hex')}`);
  const family = plain.length === 4 ? 4 : 6;
  return { address: { family, value }, port: Number.parseInt(port, 16) };
}

/** ::ffff:0:0/96: a socket of IPv6 with a connection of IPv4. */
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
