/** Names of interfaces by their kernel index, asked for when an index is not known. Comes in: indexes. Goes out: names, of links gone too. */
import type { Native } from '../native/native.ts';
import { dumpLinks } from '../netlink/route.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NETLINK_ROUTE } from '../netlink/uapi.generated.ts';

/** Links remembered; the kernel gives an index to one link only, until the numbers run out. */
const MAX_NAMES = 20_000;

export class InterfaceNames {
  readonly #native: Native;
  readonly #netnsPath: string;
  readonly #names = new Map<number, string>();
  #socket: NetlinkSocket | undefined;

  constructor(native: Native, netnsPath: string) {
    this.#native = native;
    this.#netnsPath = netnsPath;
  }

  /** Asks the kernel if one of these is not known. Rejects with AgentError. */
  async learn(indexes: Iterable<number>): Promise<void> {
    const isKnown = (index: number): boolean => this.#names.has(index);
    if ([...indexes].every(isKnown)) return;
    this.#socket ??= NetlinkSocket.open(this.#native, {
      protocol: NETLINK_ROUTE,
      netnsPath: this.#netnsPath,
    });
    for (const { index, name } of await dumpLinks(this.#socket)) {
      this.#names.delete(index);
      this.#names.set(index, name);
    }
    for (const index of this.#names.keys()) {
      if (this.#names.size <= MAX_NAMES) return;
      this.#names.delete(index);
    }
  }

  nameOf(index: number | undefined): string | undefined {
    return index === undefined ? undefined : this.#names.get(index);
  }

  close(): void {
    this.#socket?.close();
  }
}
