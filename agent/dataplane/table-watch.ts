/**
 * Who else changes our table. Comes in: nf_tables notifications, without those of our own transactions. Goes out: one call per foreign
 * transaction that touched `inet picket`, with the process that made it.
 * Source: nf_tables_gen_notify, nf_tables_fill_gen_info in net/netfilter/nf_tables_api.c (v6.12): NEWGEN comes last and names the process.
 */
import { TABLE_NAME } from '../../compiler/nft/program.ts';
import type { Native } from '../native/native.ts';
import { readEvent } from '../netlink/decode.ts';
import { messages } from '../netlink/message.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NFNLGRP_NFTABLES, NFPROTO_INET } from '../netlink/uapi.generated.ts';
import { plainLine } from '../obs/plain-text.ts';

const NETLINK_NETFILTER = 12;

export class TableWatch {
  readonly #socket: NetlinkSocket;
  readonly #onChange: (by: string) => void;
  #isTouched = false;

  /** `onChange(by)`: `by` is like `nft (pid 4711)`, or why it is not known. */
  constructor(
    native: Native,
    netnsPath: string,
    ownPortId: number,
    onChange: (by: string) => void,
  ) {
    this.#onChange = onChange;
    this.#socket = NetlinkSocket.open(native, { protocol: NETLINK_NETFILTER, netnsPath });
    this.#socket.read(
      [NFNLGRP_NFTABLES],
      (bytes, lost) => {
        this.#take(bytes, lost);
      },
      ownPortId,
    );
  }

  close(): void {
    this.#socket.close();
  }

  #take(bytes: Uint8Array, lost: number): void {
    for (const message of messages(bytes)) {
      const event = readEvent(message);
      if (event === undefined) continue;
      if (event.kind === 'change') {
        this.#isTouched ||= event.family === NFPROTO_INET && event.table === TABLE_NAME;
      } else if (this.#isTouched) {
        this.#isTouched = false;
        const { processName = 'unknown process', processId } = event.generation;
        // A process gives itself whatever name it likes.
        this.#onChange(`${plainLine(processName)} (pid ${processId ?? '?'})`);
      }
    }
    if (lost > 0) this.#onChange('unknown: notifications were lost');
  }
}
