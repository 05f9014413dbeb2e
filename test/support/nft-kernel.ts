/**
 * A kernel for nf_tables conversations, without one: takes the requests of agent/netlink/request.ts and answers from the messages
 * of batches it was sent, or as scripted. Shares the codecs on purpose: it tests conversations, not bytes.
 */
import { Writer } from '../../agent/netlink/codec.ts';
import { nftType } from '../../agent/netlink/encode.ts';
import { beginMessage, endMessage, messages, type Message } from '../../agent/netlink/message.ts';
import type { Exchanger } from '../../agent/netlink/request.ts';
import * as k from '../../agent/netlink/uapi.generated.ts';

/** Body of one answer: nfgenmsg and attributes. */
export interface Answer {
  readonly type: number;
  readonly flags?: number;
  readonly body: Uint8Array;
}

/** An exchange that answers each request by what `respond` says: messages, or an errno. */
export function scriptedKernel(
  respond: (request: Message) => readonly Answer[] | number,
): Exchanger & { readonly requests: Message[] } {
  const requests: Message[] = [];
  return {
    requests,
    exchange: (bytes, expect) => {
      const writer = new Writer();
      for (const request of messages(bytes)) {
        requests.push(request);
        const { seq } = request;
        const answers = respond(request);
        if (typeof answers === 'number') {
          if (answers !== 0 || (request.flags & k.NLM_F_ACK) !== 0) ack(writer, seq, answers);
          continue;
        }
        for (const { type, flags = 0, body } of answers) {
          const at = beginMessage(writer, { type, flags, seq });
          writer.raw(body);
          endMessage(writer, at);
        }
        if (expect === 'dump') done(writer, seq);
        else ack(writer, seq, 0);
      }
      return Promise.resolve(writer.finish());
    },
  };
}

function ack(writer: Writer, seq: number, errno: number): void {
  const at = beginMessage(writer, { type: k.NLMSG_ERROR, flags: k.NLM_F_CAPPED, seq });
  writer.u32host(-errno);
  writer.zeros(16);
  endMessage(writer, at);
}

function done(writer: Writer, seq: number): void {
  const at = beginMessage(writer, { type: k.NLMSG_DONE, flags: k.NLM_F_MULTI, seq });
  writer.u32host(0);
  endMessage(writer, at);
}

/** The messages of a batch of the given kind, as a dump would repeat them. */
export function repeated(batch: Uint8Array, message: number): Answer[] {
  return [...messages(batch)]
    .filter((sent) => sent.type === nftType(message))
    .map(({ type, body }) => ({ type, body: body.bytes }));
}
