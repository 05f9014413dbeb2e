/** The kernel's other netlink protocols that Picket speaks: connection tracking, routes and interfaces, logged packets. */
import { LOG_GROUP } from '../../compiler/nft/logging.ts';
import type { BaseConfig } from '../../compiler/nft/base.ts';
import { readHostNetwork } from '../endpoints/host-network.ts';
import { deleteConnections } from '../netlink/conntrack.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NETLINK_NETFILTER } from '../netlink/uapi.generated.ts';
import { probeFeatures } from './features.ts';
import { ok, warning } from './finding.ts';
import type { CheckContext, Finding, Probe } from './finding.ts';

/** An address that no connection has: 240.0.0.0/4 is reserved for ever. */
const NOBODY = { family: 4, value: 0xfffffffen } as const;

/** `base` as the configuration says it; `isAgentRunning`: a `picket run` is there, which may hold the group. */
export function protocolProbes(base: BaseConfig, isAgentRunning: boolean): readonly Probe[] {
  return [
    {
      name: 'nf_tables',
      run: (context) => withSocket(context, (socket) => probeFeatures(socket, base, LOG_GROUP)),
    },
    {
      name: 'connection tracking',
      run: (context) =>
        withSocket(context, async (socket) => {
          await deleteConnections(socket, [NOBODY]);
          return [ok('connections can be deleted')];
        }),
    },
    {
      name: 'interfaces and routes',
      run: async ({ native, config }) => {
        const { links } = await readHostNetwork(native, config.netns);
        return [
          ok(`both can be read; ${links.size} ${links.size === 1 ? 'interface' : 'interfaces'}`),
        ];
      },
    },
    {
      name: 'NFLOG group',
      run: ({ read }) => [judgeLogGroup(read('/proc/net/netfilter/nfnetlink_log'), isAgentRunning)],
    },
  ];
}

async function withSocket(
  { native, config }: CheckContext,
  use: (socket: NetlinkSocket) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const socket = NetlinkSocket.open(native, {
    protocol: NETLINK_NETFILTER,
    netnsPath: config.netns,
  });
  try {
    return await use(socket);
  } finally {
    socket.close();
  }
}

/** `groups`: a line per group that somebody listens to, `GROUP PORTID …`. Source: seq_show in net/netfilter/nfnetlink_log.c. */
export function judgeLogGroup(groups: string | undefined, isAgentRunning: boolean): Finding {
  const lines = groups?.split('\n').map((line) => line.trim().split(/\s+/)) ?? [];
  const holder = lines.find(([group]) => group === String(LOG_GROUP))?.[1];
  if (holder === undefined) return ok(`group ${LOG_GROUP} is free`);
  if (isAgentRunning) return ok(`group ${LOG_GROUP} is taken, as it is while picket run is there`);
  return warning(
    `group ${LOG_GROUP} is taken by the netlink port ${holder} (often its process id): flows would not be seen`,
    `find out who reads NFLOG group ${LOG_GROUP} (ulogd?) and give it another`,
  );
}
