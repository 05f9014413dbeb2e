/**
 * What the named counters of our table say, over a socket of its own, so that reading never waits behind a transaction nor holds one up.
 * Whoever asks within a few seconds gets the same values: readers cannot make the agent read without pause.
 */
import type { Native } from '../native/native.ts';
import { dumpCounters } from '../netlink/request.ts';
import type { CounterValue } from '../netlink/request.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NETLINK_NETFILTER } from '../netlink/uapi.generated.ts';

/** How old an answer may be, milliseconds. */
const MAX_AGE_MS = 5_000;

export type Counters = ReadonlyMap<string, CounterValue>;

export class CounterReader {
  readonly #native: Native;
  readonly #netns: string;
  #socket: NetlinkSocket | undefined;
  #readMs = -Infinity;
  #values: Promise<Counters> | undefined;

  constructor(native: Native, netns: string) {
    this.#native = native;
    this.#netns = netns;
  }

  /** By counter name. Rejects with the socket's AgentErrors; the next call tries again. */
  read(): Promise<Counters> {
    if (this.#values !== undefined && performance.now() - this.#readMs < MAX_AGE_MS) {
      return this.#values;
    }
    this.#readMs = performance.now();
    const values = this.#dump();
    this.#values = values;
    values.catch(() => {
      if (this.#values === values) this.close();
    });
    return values;
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#values = undefined;
  }

  async #dump(): Promise<Counters> {
    this.#socket ??= NetlinkSocket.open(this.#native, {
      protocol: NETLINK_NETFILTER,
      netnsPath: this.#netns,
    });
    return dumpCounters(this.#socket);
  }
}
