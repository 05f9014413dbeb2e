/**
 * What policies would make of connections on this machine, by the oracle. Comes in: the objects, the machine's interfaces and routes. Goes
 * out: who would deny a packet if it were the first of its connection. Changes nothing, and asks no rule in the kernel.
 */
import type { Address } from '../../compiler/model/ip.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { evaluateFlow, findEnd } from '../../compiler/oracle/flow.ts';
import type { Flow } from '../../compiler/oracle/stage.ts';
import type { HostInterface, OracleConfig, World } from '../../compiler/oracle/world.ts';
import { printDecisive } from '../explain/print.ts';
import { sceneOf } from '../explain/scene.ts';
import type { Scene } from '../explain/scene.ts';
import type { Native } from '../native/native.ts';
import type { Connection } from '../netlink/connections.ts';
import { dumpLinks } from '../netlink/route.ts';
import { lookUpRoute } from '../netlink/route-lookup.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import type { Store } from '../store/store.ts';

const NETLINK_ROUTE = 0;

/** A packet that would not get through. */
export interface Denial {
  /** `GlobalNetworkPolicy services ingress[0] (tier default), policies/host.yaml:8`. */
  readonly by: string;
}

/** Interface by which an address is reached; `undefined` = by none. */
export type Reach = (address: Address) => Promise<string | undefined>;

export interface Judge {
  /** `undefined` = it would be allowed. */
  denialOf(connection: Connection): Promise<Denial | undefined>;
  /** Of an answer on a connection that stands: only what is judged without memory can deny it. */
  denialOfReply(connection: Connection): Promise<Denial | undefined>;
}

export interface JudgeParts {
  readonly store: Pick<Store, 'resources' | 'locate'>;
  readonly node: string;
  readonly oracle: OracleConfig;
  /** Of this machine. */
  readonly interfaces: readonly HostInterface[];
  readonly reach: Reach;
}

export function openJudge({ store, node, oracle: config, interfaces, reach }: JudgeParts): Judge {
  const scene = sceneOf(store, { config, node, live: { node, interfaces } });
  const judge = async (
    packet: Packet,
    zone: string | undefined,
    more: Partial<Flow>,
  ): Promise<Denial | undefined> => {
    const world = { ...narrow(scene, packet), node, interfaces, config };
    const from = findEnd(world, packet.saddr);
    const to = findEnd(world, packet.daddr);
    const isInside = from.kind === 'host' && to.kind === 'host';
    const inInterface = isInside
      ? 'lo'
      : from.kind === 'host'
        ? undefined
        : (zone ?? (await reach(packet.saddr)));
    const outInterface = isInside
      ? 'lo'
      : to.kind === 'host'
        ? undefined
        : (zone ?? (await reach(packet.daddr)));
    const flow = evaluateFlow(world, { from, to, packet, inInterface, outInterface, ...more });
    const last = flow.stages.at(-1);
    if (flow.verdict === 'allow' || last === undefined) return undefined;
    return { by: printDecisive(scene, { ...last, node }) };
  };
  return {
    denialOf: ({ sent, arrived, zone }) =>
      judge(arrived, zone, isTranslated(sent, arrived) ? { before: { packet: sent } } : {}),
    denialOfReply: ({ arrived, zone }) => judge(reversed(arrived), zone, { state: 'established' }),
  };
}

function isTranslated(sent: Packet, arrived: Packet): boolean {
  return sent.daddr.value !== arrived.daddr.value || sent.dport !== arrived.dport;
}

function reversed(packet: Packet): Packet {
  const { saddr: daddr, daddr: saddr, sport: dport, dport: sport } = packet;
  return { ...packet, saddr, daddr, sport, dport };
}

/** Without the workloads that have neither address: they play no part, and the oracle looks at everything for every rule. */
function narrow({ resources }: Scene, { saddr, daddr }: Packet): Pick<World, 'resources'> {
  const isNear = ({ family, value }: Address): boolean =>
    (family === saddr.family && value === saddr.value) ||
    (family === daddr.family && value === daddr.value);
  return {
    resources: resources.filter(
      (resource) => resource.kind !== 'WorkloadEndpoint' || resource.addresses.some(isNear),
    ),
  };
}

/** Asks the kernel, once per address. The caller closes it. Throws AgentError. */
export async function openReach(
  native: Native,
  netnsPath: string,
): Promise<{ readonly reach: Reach; readonly close: () => void }> {
  const socket = NetlinkSocket.open(native, { protocol: NETLINK_ROUTE, netnsPath });
  const names = new Map((await dumpLinks(socket)).map(({ index, name }) => [index, name]));
  const known = new Map<string, string | undefined>();
  const reach: Reach = async (address) => {
    const text = printAddress(address);
    if (!known.has(text)) {
      const index = await lookUpRoute(socket, address);
      known.set(text, index === undefined ? undefined : names.get(index));
    }
    return known.get(text);
  };
  return { reach, close: () => socket.close() };
}
