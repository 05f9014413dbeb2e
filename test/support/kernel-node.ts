/**
 * A node under test: pods on a fabric, the engine and the kernel's real dataplane in its router namespace. Manifest objects in, real
 * packets judged. Refuses to know: what the objects mean.
 */
import type { Dataplane } from '../../agent/dataplane/dataplane.ts';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import { readHostNetwork } from '../../agent/endpoints/host-network.ts';
import { caliInterfaceName } from '../../agent/endpoints/placement.ts';
import type { HostNetwork } from '../../agent/endpoints/placement.ts';
import { Engine } from '../../agent/engine/engine.ts';
import type { ApplyReport } from '../../agent/engine/engine.ts';
import { loadNative } from '../../agent/native/native.ts';
import type { RawEvent } from '../../agent/watch/event.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import type { BaseConfig } from '../../compiler/nft/base.ts';
import { resourceKey } from '../../compiler/model/parse/resource.ts';
import type { ParseContext } from '../../compiler/model/parse/resource.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { Fabric } from './fabric.ts';
import type { HostInterfaceSpec } from './fabric.ts';
import { NODE, address } from './world.ts';

export interface PodSpec {
  /** In namespace `shop`; also its label `app`. */
  readonly name: string;
  /** IPv4 and IPv6, in either order. */
  readonly addresses: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly phase?: string;
  readonly created?: string;
  /** Host side of its wire; default Calico's name. */
  readonly ifname?: string;
}

export interface KernelNodeOptions {
  readonly pods: readonly PodSpec[];
  readonly hostInterfaces?: readonly HostInterfaceSpec[] | undefined;
  readonly base?: Partial<BaseConfig> | undefined;
  readonly parse?: ParseContext | undefined;
  /** Stands between the engine and the kernel, for faults. */
  readonly between?: ((dataplane: Dataplane) => Dataplane) | undefined;
}

export class KernelNode {
  readonly fabric: Fabric;
  readonly engine: Engine;
  readonly dataplane: NetlinkDataplane;

  private constructor(fabric: Fabric, dataplane: NetlinkDataplane, engine: Engine) {
    this.fabric = fabric;
    this.dataplane = dataplane;
    this.engine = engine;
  }

  /** Pods wired and known, nothing applied yet. */
  static async open(options: KernelNodeOptions): Promise<KernelNode> {
    const { pods, hostInterfaces = [] } = options;
    const workloads = pods.map((pod) => ({
      name: pod.name,
      ifname: pod.ifname ?? ifnameOf(pod.name),
      addresses: pod.addresses,
    }));
    const fabric = await Fabric.create({ workloads, hostInterfaces });
    const dataplane = new NetlinkDataplane(loadNative(), fabric.router.path);
    return new KernelNode(fabric, dataplane, newEngine(dataplane, options));
  }

  /** The agent starts again, knowing these pods; fabric and kernel stay. Closing the first node is enough. */
  static reopen({ fabric, dataplane }: KernelNode, pods: readonly PodSpec[]): KernelNode {
    return new KernelNode(fabric, dataplane, newEngine(dataplane, { pods }));
  }

  put(...objects: readonly object[]): void {
    this.engine.take(objects.map(putEvent));
  }

  remove(...objects: readonly object[]): void {
    this.engine.take(objects.map((object) => ({ op: 'delete', key: keyOf(object) })));
  }

  /** With links and routes as they are now, or as somebody has followed them. */
  async apply(network?: HostNetwork): Promise<ApplyReport> {
    const { path } = this.fabric.router;
    this.engine.setNetwork(network ?? (await readHostNetwork(loadNative(), path)));
    return this.engine.apply();
  }

  /** Sends one packet and says whether it arrived where its destination is. */
  async passes(from: string, packet: Packet, dress: Dress = {}): Promise<boolean> {
    const [arrived] = await this.fabric.probe([{ from, packet, dress }]);
    return arrived === true;
  }

  async close(): Promise<void> {
    this.dataplane.close();
    await this.fabric.close();
  }
}

function newEngine(
  dataplane: NetlinkDataplane,
  { pods, base, parse = {}, between = (same) => same }: KernelNodeOptions,
): Engine {
  const config = { node: NODE, base: { ...DEFAULT_BASE_CONFIG, ...base }, parse };
  const engine = new Engine(config, between(dataplane));
  engine.take([namespaceObject(), ...pods.map(podObject)].map(putEvent));
  return engine;
}

type Dress = NonNullable<Parameters<Fabric['probe']>[0][number]['dress']>;

export async function withNode(
  options: KernelNodeOptions,
  run: (node: KernelNode) => Promise<void>,
): Promise<void> {
  const node = await KernelNode.open(options);
  try {
    await run(node);
  } finally {
    await node.close();
  }
}

/** Calico's interface of the pod in namespace `shop`. */
export function ifnameOf(pod: string): string {
  return caliInterfaceName('cali', 'shop', pod);
}

export function podObject(pod: PodSpec): object {
  const { name, annotations = {}, created = '2026-01-01T00:00:00Z' } = pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      labels: { app: name },
      annotations,
      creationTimestamp: created,
    },
    spec: { nodeName: NODE },
    status: {
      phase: pod.phase ?? 'Running',
      podIPs: pod.addresses.map((ip) => ({ ip })),
    },
  };
}

function namespaceObject(): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
}

/** GlobalNetworkPolicy. */
export function globalPolicy(name: string, spec: object): object {
  const apiVersion = 'projectcalico.org/v3';
  return { apiVersion, kind: 'GlobalNetworkPolicy', metadata: { name }, spec };
}

/** HostEndpoint of this node with the label `host: <name>`. */
export function hostEndpoint(name: string, spec: object, labels: object = {}): object {
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'HostEndpoint',
    metadata: { name, labels: { host: name, ...labels } },
    spec: { node: NODE, ...spec },
  };
}

export function putEvent(object: object): RawEvent {
  const origin = { source: 'test', lineOf: () => undefined };
  return { op: 'put', key: keyOf(object), object, origin };
}

function keyOf(object: object): string {
  const key = resourceKey(object);
  if (!('key' in key)) throw new TypeError(key.issue.message);
  return key.key;
}

export interface PacketSpec {
  readonly from: string;
  readonly to: string;
  /** Number; default TCP. */
  readonly protocol?: number;
  readonly sport?: number;
  readonly dport?: number;
  /** Type and code for ICMP; default an echo request. */
  readonly icmp?: readonly [number, number];
}

/** A packet by addresses; from port 40000 to port 80 unless said otherwise. */
export function packetOf({ from, to, protocol = 6, sport, dport, icmp }: PacketSpec): Packet {
  const [saddr, daddr] = [address(from), address(to)];
  const hasPorts = [6, 17, 132, 136].includes(protocol);
  const isIcmp = protocol === (saddr.family === 4 ? 1 : 58);
  const [type, code] = icmp ?? [saddr.family === 4 ? 8 : 128, 0];
  return {
    family: saddr.family,
    saddr,
    daddr,
    protocol,
    sport: hasPorts ? (sport ?? 40_000) : undefined,
    dport: hasPorts ? (dport ?? 80) : undefined,
    icmpType: isIcmp ? type : undefined,
    icmpCode: isIcmp ? code : undefined,
  };
}

/** The answer's addresses and ports. */
export function reversed(packet: Packet): Packet {
  const { saddr, daddr, sport, dport } = packet;
  return { ...packet, saddr: daddr, daddr: saddr, sport: dport, dport: sport };
}
