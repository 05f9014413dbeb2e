/** A fresh network namespace with an nf_tables socket and the nft command in it, for one test each. */
import type { ExecutionContext } from 'ava';
import type { CommitResult } from '../../../agent/netlink/request.ts';
import { NetlinkSocket } from '../../../agent/netlink/socket.ts';
import { NETLINK_NETFILTER } from '../../../agent/netlink/uapi.generated.ts';
import { testAddon } from '../../support/addon.ts';
import { kernelTest } from '../../support/needs.ts';
import { openNetns, type Netns } from '../../support/netns.ts';
import { requireSystemTool } from '../../support/tools.ts';

export interface Lab {
  readonly netns: Netns;
  readonly socket: NetlinkSocket;
  /** Runs the real nft inside; throws with its words. */
  readonly nft: (args: readonly string[], input?: string) => Promise<string>;
}

/** Declares a kernel test; the namespace and the socket end with it. */
export function inLab(title: string, run: (t: ExecutionContext, lab: Lab) => Promise<void>): void {
  kernelTest(title, ['netns', 'nft', 'addon'], async (t) => {
    const netns = await openNetns();
    const nft = requireSystemTool('nft');
    const socket = NetlinkSocket.open(testAddon(), {
      protocol: NETLINK_NETFILTER,
      netnsPath: netns.path,
    });
    try {
      await run(t, { netns, socket, nft: (args, input) => netns.run(nft, args, input) });
    } finally {
      socket.close();
      await netns.close();
    }
  });
}

/** One text per refusal, for assertions that show them. */
export function refusalsOf(result: CommitResult): string[] {
  if (result.ok) return [];
  return result.refusals.map(
    ({ index, op, errnoName, extAck }) =>
      `${index ?? '-'} ${op?.op ?? 'batch'} ${errnoName}${extAck === undefined ? '' : `: ${extAck}`}`,
  );
}
