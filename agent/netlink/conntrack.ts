/**
 * Forgets tracked connections. Addresses in; every connection of theirs is deleted, in both directions and also where NAT put or
 * took the address. Refuses to know: why, and who owned the addresses.
 *
 * One request per place an address can have makes the kernel delete while it walks its table: nothing is listed. Kernels before
 * 6.8 answer EINVAL to it (they take the tuple for that of one connection); there, entries are listed and deleted one by one.
 * Source: ctnetlink_del_conntrack, ctnetlink_flush_conntrack, ctnetlink_alloc_filter in net/netfilter/nf_conntrack_netlink.c (v6.12).
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

/** Each takes four walks through the kernel's table, all inside one send. */
const ADDRESSES_PER_REQUEST = 16;

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

/** Deletes all connections that have one of the addresses at any end. Throws AgentError. */
export async function deleteConnections(
  socket: Exchanger,
  addresses: readonly Address[],
): Promise<void> {
  for (let start = 0; start < addresses.length; start += ADDRESSES_PER_REQUEST) {
    const some = addresses.slice(start, start + ADDRESSES_PER_REQUEST);
    if (!(await deleteByFilter(socket, some))) await deleteOneByOne(socket, some);
  }
}

/** False where the kernel cannot; then nothing has been deleted, or some of what should be. */
async function deleteByFilter(socket: Exchanger, addresses: readonly Address[]): Promise<boolean> {
  const questions = addresses.flatMap((address) => PLACES.map((place) => ({ address, place })));
  const errnos = await request(
    socket,
    questions.map(({ address, place }) => ({ family: address.family, body: ask(address, place) })),
  );
  const [errno] = errnos;
  if (errno === undefined) return true;
  if (NO_FILTER.has(errnoName(errno))) return false;
  throw syscallError('delete connections', errno);
}

/** For kernels that delete only what is named in full. Those before 5.8 list everything. */
export async function deleteOneByOne(
  socket: Exchanger,
  addresses: readonly Address[],
): Promise<void> {
  for (const address of addresses) {
    for (const place of PLACES) {
      const found = await list(socket, address, place);
      const errnos = await request(
        socket,
        found.map(({ original, id, zone }) => ({
          family: address.family,
          body: { original, id, zone },
        })),
      );
      // ENOENT: it ended by itself meanwhile.
      const errno = errnos.find((refusal) => errnoName(refusal) !== 'ENOENT');
      if (errno !== undefined) throw syscallError('delete connections', errno);
    }
  }
}

/** Sends delete requests in one datagram; returns what was refused, as errnos. */
async function request(
  socket: Exchanger,
  deletes: readonly { readonly family: Family; readonly body: Connection }[],
): Promise<number[]> {
  if (deletes.length === 0) return [];
  const writer = new Writer();
  deletes.forEach(({ family, body }, index) => {
    const flags = k.NLM_F_REQUEST | k.NLM_F_ACK;
    write(writer, k.IPCTNL_MSG_CT_DELETE, flags, index + 1, family, body);
  });
  const answer = await exchange(socket, writer.finish(), 'acks', deletes.length);
  const acks = [...messages(answer)].flatMap((message) => readAck(message) ?? []);
  return acks.flatMap(({ errno }) => (errno === 0 ? [] : [errno]));
}

async function list(socket: Exchanger, address: Address, place: Place): Promise<Connection[]> {
  const writer = new Writer();
  const flags = k.NLM_F_REQUEST | k.NLM_F_DUMP;
  write(writer, k.IPCTNL_MSG_CT_GET, flags, 1, address.family, ask(address, place));
  const answer = await exchange(socket, writer.finish(), 'dump', 1);
  const found: Connection[] = [];
  for (const message of messages(answer)) {
    const ack = readAck(message);
    if (ack !== undefined && ack.errno !== 0) throw syscallError('list connections', ack.errno);
    if (message.type !== typeOf(k.IPCTNL_MSG_CT_NEW)) continue;
    const connection = schema.connection.read(readNfgenmsg(message.body).attrs);
    if (hasAddress(connection, address, place)) found.push(connection);
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

/** Everything with the address at this place. */
function ask(address: Address, { tuple, end }: Place): Connection {
  const ip = { [`${end}${address.family}` as const]: addressBytes(address) };
  return { [tuple]: { ip }, filter: { [tuple]: FLAG[end] } };
}

function hasAddress(connection: Connection, address: Address, { tuple, end }: Place): boolean {
  const found = connection[tuple]?.ip?.[`${end}${address.family}`];
  return found !== undefined && Buffer.compare(found, addressBytes(address)) === 0;
}

function addressBytes({ family, value }: Address): Uint8Array {
  return Buffer.from(value.toString(16).padStart(ADDRESS_BITS[family] / 4, '0'), 'hex');
}
