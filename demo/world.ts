/**
 * The demo's machines: one router namespace and, per workload, a namespace with an ordinary IP stack behind a veth pair,
 * wired as Calico wires pods. Workloads in, namespaces out. Refuses to know: policies.
 */
import { sha1Hex } from '../compiler/hash.ts';
import { openNetns, runIp, writeSysctls, type Netns } from '../test/support/netns.ts';
import type { DemoWorkload } from './scenario.ts';

export interface World {
  readonly router: Netns;
  /** By workload name. */
  readonly pods: ReadonlyMap<string, Netns>;
}

/** Every host side has the same address, so that every pod can have the same gateway. */
const HOST_MAC = 'ee:ee:ee:ee:ee:ee';
const GATEWAYS = ['169.254.1.1', 'fe80::ecee:eeff:feee:eeee'] as const;

/** Namespaces vanish by themselves when this process ends. */
export async function buildWorld(workloads: readonly DemoWorkload[]): Promise<World> {
  const router = await openNetns();
  await writeSysctls(router, {
    'ipv4/ip_forward': '1',
    'ipv6/conf/all/forwarding': '1',
    'ipv6/conf/default/accept_dad': '0',
  });
  await runIp(router, ['link set lo up']);
  const pods = new Map<string, Netns>();
  for (const [index, workload] of workloads.entries()) {
    pods.set(workload.name, await plugIn(router, workload, index));
  }
  return { router, pods };
}

/** Calico's name for the host side of a pod's interface (specification section 10.2). */
export function interfaceName(workload: DemoWorkload): string {
  return `cali${sha1Hex(`${workload.namespace}.${workload.name}`).slice(0, 11)}`;
}

async function plugIn(router: Netns, workload: DemoWorkload, index: number): Promise<Netns> {
  const pod = await openNetns();
  const name = interfaceName(workload);
  const mac = `02:00:00:00:00:${(index + 16).toString(16)}`;
  const [v4, v6] = workload.addresses;
  await writeSysctls(pod, { 'ipv6/conf/default/accept_dad': '0' });
  await runIp(router, [
    `link add name ${name} address ${HOST_MAC} type veth peer name eth0 address ${mac} netns ${pod.pid}`,
    `link set ${name} up`,
  ]);
  await runIp(pod, [
    'link set lo up',
    'link set eth0 up',
    `addr add ${v4}/32 dev eth0`,
    `addr add ${v6}/128 dev eth0 nodad`,
    ...GATEWAYS.map((gateway) => `neigh add ${gateway} lladdr ${HOST_MAC} dev eth0 nud permanent`),
    `route add ${GATEWAYS[0]} dev eth0`,
    ...GATEWAYS.map((gateway) => `route add default via ${gateway} dev eth0`),
  ]);
  await runIp(
    router,
    workload.addresses.flatMap((address) => [
      `neigh add ${address} lladdr ${mac} dev ${name} nud permanent`,
      `route add ${address} dev ${name}`,
    ]),
  );
  return pod;
}
