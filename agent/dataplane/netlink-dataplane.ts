/** The dataplane that is the kernel: nf_tables over a netlink socket of its own. */
import type { NftOp } from '../../compiler/nft/program.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';
import type { Native } from '../native/native.ts';
import { commit, dumpTable } from '../netlink/request.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import type { CommitResult, Dataplane } from './dataplane.ts';

const NETLINK_NETFILTER = 12;

export class NetlinkDataplane implements Dataplane {
  readonly #socket: NetlinkSocket;

  /** Throws AgentError: no such namespace, no permission. */
  constructor(native: Native, netnsPath: string) {
    this.#socket = NetlinkSocket.open(native, { protocol: NETLINK_NETFILTER, netnsPath });
  }

  /** As the kernel stamps our changes in notifications. */
  get portId(): number {
    return this.#socket.portId;
  }

  commit(ops: readonly NftOp[]): Promise<CommitResult> {
    return commit(this.#socket, ops);
  }

  dump(): Promise<KernelTable | undefined> {
    return dumpTable(this.#socket);
  }

  close(): void {
    this.#socket.close();
  }
}
