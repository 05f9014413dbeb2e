/**
 * Which interface packets to an address leave by, asked of the kernel. An exchange function and an address in, an interface index out.
 * Source: inet_rtm_getroute in net/ipv4/route.c, inet6_rtm_getroute in net/ipv6/route.c (v6.12).
 */
import { ADDRESS_BITS } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import { Writer } from './codec.ts';
import { traceNetlink } from './debug.ts';
import { beginMessage, endMessage, messages } from './message.ts';
import type { Exchanger } from './request.ts';
import { readRouteEvent } from './route.ts';
import * as schema from './schema/rtnetlink.ts';
import * as k from './uapi.generated.ts';

const TIMEOUT_MS = 30_000;

/** struct rtmsg behind the family and the length of the destination. */
const RTMSG_REST_BYTES = 10;

const ADDRESS_FAMILY = { 4: 2, 6: 10 } as const;

/** `undefined` = there is no route. */
export async function lookUpRoute(
  socket: Exchanger,
  { family, value }: Address,
): Promise<number | undefined> {
  const writer = new Writer(64);
  const flags = k.NLM_F_REQUEST | k.NLM_F_ACK;
  const at = beginMessage(writer, { type: k.RTM_GETROUTE, flags, seq: 1 });
  writer.u8(ADDRESS_FAMILY[family]);
  writer.u8(ADDRESS_BITS[family]);
  writer.zeros(RTMSG_REST_BYTES);
  const hex = value.toString(16).padStart(ADDRESS_BITS[family] / 4, '0');
  schema.route.write(writer, { dst: Buffer.from(hex, 'hex') });
  endMessage(writer, at);
  traceNetlink('>', writer.finish());
  const answer = await socket.exchange(writer.finish(), 'acks', 1, TIMEOUT_MS);
  traceNetlink('<', answer);
  for (const message of messages(answer)) {
    const event = readRouteEvent(message);
    if (event?.kind === 'route') return event.route.oif;
  }
  return undefined;
}
