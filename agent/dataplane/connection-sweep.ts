/**
 * Forgets the connections of addresses that lost their owner, beside the engine's loop: one removal at a time, everything that came
 * meanwhile in the next one. A failure is told and tried again; it never holds up or undoes what is enforced.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Address } from '../../compiler/model/ip.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Native } from '../native/native.ts';
import { deleteConnections } from '../netlink/conntrack.ts';
import { NetlinkSocket } from '../netlink/socket.ts';

const NETLINK_NETFILTER = 12;

/** Waiting times between attempts, milliseconds; after the last one the addresses are given up. */
const RETRY_MS = [200, 1_000, 5_000, 30_000];

export interface SweepOptions {
  /** Removes every connection that has one of the addresses. */
  readonly remove: (addresses: readonly Address[]) => Promise<void>;
  /** Resolves after the time, or at once when everything ends. */
  readonly wait: (ms: number) => Promise<void>;
  readonly onFailure: (failure: SweepFailure) => void;
}

export interface SweepFailure {
  readonly error: unknown;
  readonly addresses: readonly Address[];
  /** Time until the next attempt; `undefined` = there will be none. */
  readonly retryMs: number | undefined;
}

/** A socket that was not used for so long is closed, milliseconds. */
const IDLE_MS = 5_000;

/** The sweep of one network namespace, with a socket of its own, so that nothing waits behind a transaction. */
export function openConnectionSweep(
  native: Native,
  netnsPath: string,
  signal: AbortSignal,
  onFailure: SweepOptions['onFailure'],
): ConnectionSweep {
  let socket: NetlinkSocket | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isBusy = false;
  const close = (): void => {
    clearTimeout(timer);
    socket?.close();
    socket = undefined;
  };
  const remove: SweepOptions['remove'] = async (addresses) => {
    clearTimeout(timer);
    isBusy = true;
    socket ??= NetlinkSocket.open(native, { protocol: NETLINK_NETFILTER, netnsPath });
    try {
      await deleteConnections(socket, addresses);
    } catch (error) {
      close();
      throw error;
    } finally {
      isBusy = false;
    }
    // Closing blocks until the kernel's readers have gone on, 5 to 20 ms: not after every pod.
    if (signal.aborted) close();
    else timer = setTimeout(close, IDLE_MS).unref();
  };
  signal.addEventListener('abort', () => {
    if (!isBusy) close();
  });
  const wait: SweepOptions['wait'] = (ms) =>
    delay(ms, undefined, { signal }).catch(() => undefined);
  return new ConnectionSweep({ remove, wait, onFailure });
}

/** What an operator has to know. */
export function printSweepFailure({ error, addresses, retryMs }: SweepFailure): string {
  const reason = error instanceof Error ? error.message : String(error);
  const next =
    retryMs === undefined
      ? `remove them by hand: conntrack -D -s ADDRESS, and -d`
      : `next attempt in ${retryMs} ms`;
  return `connections of ${addresses.map(printAddress).join(', ')} are still tracked: ${reason}; ${next}`;
}

export class ConnectionSweep {
  readonly #options: SweepOptions;
  #queue: Address[] = [];
  #running: Promise<void> | undefined;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** Returns at once. */
  add(addresses: readonly Address[]): void {
    if (addresses.length === 0) return;
    this.#queue.push(...addresses);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when everything added is gone, or given up. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (this.#queue.length > 0) {
      const addresses = this.#queue;
      this.#queue = [];
      try {
        await this.#options.remove(addresses);
        failures = 0;
      } catch (error) {
        const retryMs = RETRY_MS[failures++];
        this.#options.onFailure({ error, addresses, retryMs });
        if (retryMs === undefined) failures = 0;
        else {
          this.#queue.unshift(...addresses);
          await this.#options.wait(retryMs);
        }
      }
    }
  }
}
