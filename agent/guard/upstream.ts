/**
 * Whether this host could still reach where its policies come from. Comes in: the API server's address as its clients have it. Goes out:
 * connections to it that the policies would deny. Failsafe ports count, so with the default ones an API server at 6443 is never denied.
 */
import { lookup } from 'node:dns/promises';
import type { Address } from '../../compiler/model/ip.ts';
import { toAddress } from '../../compiler/model/ip.ts';
import type { HostNetwork } from '../endpoints/placement.ts';
import type { Connection } from '../netlink/connections.ts';
import { findDenied } from './denied.ts';
import type { DeniedConnection } from './denied.ts';
import type { Judge, Reach } from './judge.ts';
import { tcpConnection } from './operator.ts';

/** Of a connection that is only thought of. */
const SOURCE_PORT = 40_000;

const DEFAULT_PORT: Readonly<Record<string, number>> = { 'https:': 443, 'http:': 80 };

export interface UpstreamParts {
  readonly judge: Judge;
  readonly network: HostNetwork;
  readonly reach: Reach;
}

/** Empty also where the name has no address now: then nothing can be said. */
export async function findDeniedUpstream(
  { judge, network, reach }: UpstreamParts,
  server: URL,
): Promise<readonly DeniedConnection[]> {
  const port = server.port === '' ? (DEFAULT_PORT[server.protocol] ?? 0) : Number(server.port);
  const connections: Connection[] = [];
  for (const address of await addressesOf(server.hostname)) {
    const own = ownAddress(network, await reach(address), address);
    if (own !== undefined) connections.push(tcpConnection(own, SOURCE_PORT, address, port));
  }
  return findDenied(judge, connections);
}

async function addressesOf(hostname: string): Promise<readonly Address[]> {
  const literal = toAddress(hostname.replace(/^\[|\]$/g, ''));
  if (literal !== undefined) return [literal];
  const found = await lookup(hostname, { all: true }).catch(() => []);
  return found.flatMap(({ address }) => toAddress(address) ?? []);
}

/** What packets to it would have as their source, as near as can be said without sending one. */
function ownAddress(
  { addresses }: HostNetwork,
  ifname: string | undefined,
  { family }: Address,
): Address | undefined {
  const all = [...(addresses.get(ifname ?? '') ?? [])].flatMap((text) => toAddress(text) ?? []);
  return all.find((address) => address.family === family);
}
