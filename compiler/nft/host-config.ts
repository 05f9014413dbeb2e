/** What of host policy is configuration: failsafe ports, the accept mark, encapsulation between nodes. Specification sections 6.1 to 6.3. */
import type { Cidr, Family } from '../model/ip.ts';

/** A port that host policy never closes. */
export interface Failsafe {
  /** 6 or 17. */
  readonly protocol: number;
  readonly port: number;
  /** Only for peers in this prefix; `undefined` = for everybody. */
  readonly net: Cidr | undefined;
}

/** What nodes of one cluster send each other beside policy. All off = nothing is rendered. */
export interface Encapsulation {
  /** IP in IP, protocol 4. */
  readonly ipip: boolean;
  /** UDP to BaseConfig.vxlanPort. */
  readonly vxlan: boolean;
  /** UDP ports; `undefined` = not used. */
  readonly wireguardPorts: Readonly<Record<Family, number | undefined>>;
  /** Peers beside the cluster's nodes. */
  readonly externalNodes: readonly Cidr[];
}

export interface HostConfig {
  /** Ports of the host that stay reachable. */
  readonly failsafeInbound: readonly Failsafe[];
  /** Ports that the host can always reach. */
  readonly failsafeOutbound: readonly Failsafe[];
  /**
   * One bit of the packet mark, used only while a host endpoint has untracked or pre-DNAT policy: set on what that accepts, so that later
   * stages of host policy do too.
   */
  readonly acceptMark: number;
  readonly encapsulation: Encapsulation;
}

const [TCP, UDP] = [6, 17] as const;

function everybody(protocol: number, ...ports: readonly number[]): Failsafe[] {
  return ports.map((port) => ({ protocol, port, net: undefined }));
}

/** BGP, etcd, Typha, the Kubernetes API server, and etcd of Calico's own. */
const CLUSTER_PORTS = everybody(TCP, 179, 2379, 2380, 5473, 6443, 6666, 6667);

/** Specification section 6.1. */
export const DEFAULT_HOST_CONFIG: HostConfig = {
  failsafeInbound: [...everybody(TCP, 22), ...everybody(UDP, 68), ...CLUSTER_PORTS],
  failsafeOutbound: [...everybody(UDP, 53, 67), ...CLUSTER_PORTS],
  acceptMark: 0x1000_0000,
  encapsulation: {
    ipip: false,
    vxlan: false,
    wireguardPorts: { 4: undefined, 6: undefined },
    externalNodes: [],
  },
};
