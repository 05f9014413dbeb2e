/**
 * Forgets tracked connections. Addresses in; every connection of theirs is deleted, in both directions and also where NAT put or
 * took the address. Refuses to know: why, and who owned the addresses.
 *
 * IPv4: one request per place that an address can have makes the kernel delete while it walks its table, and nothing is listed.
 * Kernels before 6.8 answer EINVAL to it (they take the tuple for that of one connection); there, entries are listed and deleted one
 * by one. IPv6 always so: ctnetlink_filter_match_tuple compares IPv6 addresses the wrong way round (seen on 6.18), so such a
 * request deletes everything but what it names.
 * Source: ctnetlink_del_conntrack, ctnetlink_flush_conntrack, ctnetlink_filter_match_tuple in
 *   net/netfilter/nf_conntrack_netlink.c (v6.12).
 */
import { ADDRESS_BITS } from '../../compiler/model/ip.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import { errnoName, syscallError } from '../errors.ts';
import { Writer } from './codec.ts';
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

type Connection = ValueOf<typeof schema.connection>;

/**
 * More than so many are looked for in one list instead: each takes four walks through the kernel's table, 12 ms together with 262,144
 * buckets, and the list of 20,000 connections 50 ms (measured on 6.18).
 */
const MAX_FILTERED = 16;

const TIMEOUT_MS = 60_000;

const NFPROTO: Readonly<Record<Family, number>> = { 4: k.NFPROTO_IPV4, 6: k.NFPROTO_IPV6 };

/** Where a connection can have an address. */
const PLACES = (['original', 'reply'] as const).flatMap((tuple) =>
  (['source', 'destination'] as const).map((end) => ({ tuple, end })),
);

type Place = (typeof PLACES)[number];

const FLAG = {
  source: k.CTA_FILTER_F_CTA_IP_SRC,
  destination: k.CTA_FILTER_F_CTA_IP_DST,
} as const;

/** What kernels say that cannot delete by filter. */
const NO_FILTER = new Set(['EINVAL', 'EOPNOTSUPP']);

/** Connections named in full in one datagram. */
const CONNECTIONS_PER_REQUEST = 256;

/** Deletes all connections that have one of the addresses at any end. Throws AgentError. */
export async function deleteConnections(
  socket: Exchanger,
  addresses: readonly Address[],
): Promise<void> {
  const some = addresses.filter(({ family }) => family === 4);
  const isDone = some.length <= MAX_FILTERED && (await deleteByFilter(socket, some));
  await deleteOneByOne(socket, isDone ? addresses.filter(({ family }) => family === 6) : addresses);
}

/** False where the kernel cannot; then nothing has been deleted. IPv4 only. */
async function deleteByFilter(socket: Exchanger, addresses: readonly Address[]): Promise<boolean> {
  const bodies = addresses.flatMap((address) =>
    PLACES.map((place) => everythingAt(address, place)),
  );
  const [errno] = await request(socket, 4, bodies);
  if (errno === undefined) return true;
  if (NO_FILTER.has(errnoName(errno))) return false;
  throw syscallError('delete connections', errno);
}

/** One list per family, however many the addresses. For IPv6, and for kernels that delete only what is named in full. */
export async function deleteOneByOne(
  socket: Exchanger,
  addresses: readonly Address[],
): Promise<void> {
  for (const family of [4, 6] as const) {
    const wanted = new Set(
      addresses.filter((address) => address.family === family).map(addressHex),
    );
    const found = wanted.size === 0 ? [] : await list(socket, family, wanted);
    for (const chunk of chunks(found, CONNECTIONS_PER_REQUEST)) {
      const bodies = chunk.map(({ original, id, zone }) => ({ original, id, zone }));
      const errnos = await request(socket, family, bodies);
      // ENOENT: it ended by itself meanwhile.
      const errno = errnos.find((refusal) => errnoName(refusal) !== 'ENOENT');
      if (errno !== undefined) throw syscallError('delete connections', errno);
    }
  }
}

function* chunks<T>(all: readonly T[], size: number): Generator<readonly T[], void, undefined> {
  for (let start = 0; start < all.length; start += size) yield all.slice(start, start + size);
}

/** Sends delete requests in one datagram; returns what was refused, as errnos. */
async function request(
  socket: Exchanger,
  family: Family,
  bodies: readonly Connection[],
): Promise<number[]> {
  if (bodies.length === 0) return [];
  const writer = new Writer();
  bodies.forEach((body, index) => {
    const flags = k.NLM_F_REQUEST | k.NLM_F_ACK;
    write(writer, k.IPCTNL_MSG_CT_DELETE, flags, index + 1, family, body);
  });
  const answer = await exchange(socket, writer.finish(), 'acks', bodies.length);
  const acks = [...messages(answer)].flatMap((message) => readAck(message) ?? []);
  return acks.flatMap(({ errno }) => (errno === 0 ? [] : [errno]));
}

/** Connections of a family that have one of the addresses (as hex) at any end. */
async function list(
  socket: Exchanger,
  family: Family,
  wanted: ReadonlySet<string>,
): Promise<Connection[]> {
  const writer = new Writer(64);
  write(writer, k.IPCTNL_MSG_CT_GET, k.NLM_F_REQUEST | k.NLM_F_DUMP, 1, family, {});
  const answer = await exchange(socket, writer.finish(), 'dump', 1);
  const found: Connection[] = [];
  for (const message of messages(answer)) {
    const ack = readAck(message);
    if (ack !== undefined && ack.errno !== 0) throw syscallError('list connections', ack.errno);
    if (message.type !== typeOf(k.IPCTNL_MSG_CT_NEW)) continue;
    const connection = schema.connection.read(readNfgenmsg(message.body).attrs);
    const isWanted = PLACES.some(({ tuple, end }) => {
      const bytes = connection[tuple]?.ip?.[`${end}${family}`];
      return bytes !== undefined && wanted.has(Buffer.from(bytes).toString('hex'));
    });
    if (isWanted) found.push(connection);
  }
  return found;
}

function exchange(
  socket: Exchanger,
  request: Uint8Array,
  expect: 'acks' | 'dump',
  lastSeq: number,
): Promise<Uint8Array> {
  traceNetlink('>', request);
  return socket.exchange(request, expect, lastSeq, TIMEOUT_MS).then((answer) => {
    traceNetlink('<', answer);
    return answer;
  });
}

function typeOf(message: number): number {
  return (k.NFNL_SUBSYS_CTNETLINK << 8) | message;
}

function write(
  writer: Writer,
  message: number,
  flags: number,
  seq: number,
  family: Family,
  body: Connection,
): void {
  const at = beginMessage(writer, { type: typeOf(message), flags, seq });
  writeNfgenmsg(writer, NFPROTO[family], 0);
  schema.connection.write(writer, body);
  endMessage(writer, at);
}

/** Stands for every connection with the IPv4 address at this place. */
function everythingAt(address: Address, { tuple, end }: Place): Connection {
  const ip = { [`${end}4` as const]: Buffer.from(addressHex(address), 'hex') };
  return { [tuple]: { ip }, filter: { [tuple]: FLAG[end] } };
}

function addressHex({ family, value }: Address): string {
  return value.toString(16).padStart(ADDRESS_BITS[family] / 4, '0');
}
