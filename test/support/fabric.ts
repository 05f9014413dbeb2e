/**
 * A node in miniature, for judging packets by the real kernel:
 *
 *   wires namespace (no IP stack)         router namespace (what Picket governs)
 *     w1 ---------------------------------- cali... (workload's host side)
 *     w2 ---------------------------------- cali...
 *     x0 ---------------------------------- eth0    (default route: everything that is not here)
 *     h1 ---------------------------------- eth1... (more host interfaces, each with networks behind it)
 *
 * Workload ends answer nothing by themselves, so a test sees exactly what it sends. The router has static routes and
 * permanent neighbours, so no packet ever waits for a lookup. Specs and model Packets in, "it arrived" out.
 * Refuses to know: policies, and what rules are in the router.
 */
import { cidrContains, toAddress, toCidr, printAddress } from '../../compiler/model/ip.ts';
import type { Address, Cidr } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { openNetns, runIp, writeSysctls, type Netns } from './netns.ts';
import { buildFrame, buildIp, parseFrame, parseIp, readTag, type Dress } from './packets.ts';
import { Prober, type PortBytes } from './prober.ts';

export interface WorkloadSpec {
  /** Any name but `router` and `external`, and unlike those of host interfaces. */
  readonly name: string;
  /** Host side, in the router namespace. */
  readonly ifname: string;
  /** IPv4 and IPv6 without prefix length. */
  readonly addresses: readonly string[];
}

/** One more interface of the host itself, with its wire. */
export interface HostInterfaceSpec {
  /** Name of its far end as a place; any name but `router`, `external` and those of workloads. */
  readonly name: string;
  readonly ifname: string;
  /** Prefixes routed out of it, such as `198.51.100.0/24`; packets to them come out at `name`. */
  readonly nets: readonly string[];
  /** The router's addresses on it, without prefix length. */
  readonly addresses?: readonly string[];
}

export interface FabricOptions {
  readonly workloads: readonly WorkloadSpec[];
  readonly hostInterfaces?: readonly HostInterfaceSpec[];
  /** The router's own addresses, on `lo`. Default 192.0.2.1 and 2001:db8:ffff::1. */
  readonly routerAddresses?: readonly string[];
  /** The router's own addresses on its interface to the world. Default none. */
  readonly externalAddresses?: readonly string[];
  /** The router's interface to the world. Default `eth0`. */
  readonly externalIfname?: string;
}

/** One packet and the question whether it gets there. */
export interface Probe {
  /** Workload name, `external` (any address of the outside), or `router` (sent by the host itself). */
  readonly from: string;
  readonly packet: Packet;
  /** Where it should come out. Default: the owner of the destination address. */
  readonly to?: string;
  /** How it looks there, where address translation rewrites it. Default: as it was sent. */
  readonly arrivesAs?: Packet;
  readonly dress?: Omit<Dress, 'tag'>;
}

/** A place where packets go in and come out. `router` is not one: it is observed by raw sockets. */
interface Wire {
  readonly name: string;
  readonly port: number;
  readonly source: string;
  readonly destination: string;
}

/** `packet` is `undefined` where only the payload can be seen. */
interface Seen {
  readonly packet: Packet | undefined;
  readonly tag: number | undefined;
}

interface Place {
  readonly name: string;
  readonly read: (bytes: Buffer) => Seen | undefined;
}

/** Next hops, the same on every host interface: a neighbour of that name is behind each. */
const GATEWAYS = { 4: '169.254.1.1', 6: 'fe80::1' } as const;
const HOST_MAC = 'eeeeeeeeeeee';
const ORIGIN_PORTS = { 4: 1, 6: 2 } as const;
/** Ports from here on are wires (below 800) and then the router's raw sockets. */
const FIRST_WIRE_PORT = 3;
const FIRST_LOCAL_PORT = 800;

const ROUTER_SYSCTLS = {
  'ipv4/ip_forward': '1',
  'ipv4/conf/all/rp_filter': '0',
  'ipv4/conf/default/rp_filter': '0',
  'ipv4/conf/all/send_redirects': '0',
  'ipv4/conf/default/send_redirects': '0',
  'ipv6/conf/all/forwarding': '1',
  'ipv6/conf/all/accept_dad': '0',
  'ipv6/conf/default/accept_dad': '0',
};

const WIRES_SYSCTLS = {
  'ipv6/conf/all/disable_ipv6': '1',
  'ipv6/conf/default/disable_ipv6': '1',
};

/** Namespaces, wires and the prober; `close` ends all three. */
export class Fabric {
  /** The namespace to hand to Picket: its `path`. */
  readonly router: Netns;
  readonly #wiresNs: Netns;
  readonly #prober: Prober;
  readonly #wires = new Map<string, Wire>();
  readonly #places = new Map<number, Place>();
  readonly #owners = new Map<string, string>();
  /** What is behind host interfaces but the external one. */
  readonly #networks: { readonly cidr: Cidr; readonly name: string }[] = [];
  readonly #localPorts = new Map<string, number>();
  #nextTag = 1;

  private constructor(router: Netns, wiresNs: Netns, prober: Prober) {
    this.router = router;
    this.#wiresNs = wiresNs;
    this.#prober = prober;
  }

  /** Builds everything; about 0.1 s for a dozen workloads. */
  static async create(options: FabricOptions): Promise<Fabric> {
    const fabric = new Fabric(await openNetns(), await openNetns(), await Prober.start());
    try {
      await fabric.#setUp(options);
    } catch (error) {
      await fabric.close();
      throw error;
    }
    return fabric;
  }

  /** Plugs workloads in, as a CNI does. */
  async addWorkloads(specs: readonly WorkloadSpec[]): Promise<void> {
    const wires = specs.map((spec) => ({ spec, wire: this.#newWire(spec.name) }));
    await this.#plug(wires.map(({ spec, wire }) => ({ ifname: spec.ifname, wire })));
    const lines = wires.flatMap(({ spec, wire }) => this.#workloadLines(spec, wire));
    await runIp(this.router, lines);
  }

  /** More interfaces of the host itself, each with the networks behind it. */
  async addHostInterfaces(specs: readonly HostInterfaceSpec[]): Promise<void> {
    const wires = specs.map((spec) => ({ spec, wire: this.#newWire(spec.name) }));
    await this.#plug(wires.map(({ spec, wire }) => ({ ifname: spec.ifname, wire })));
    await runIp(
      this.router,
      wires.flatMap(({ spec, wire }) => this.#networkLines(spec, wire)),
    );
  }

  /** An interface is gone, then there again under its name, as when a driver restarts. Its addresses are gone. */
  async replugHostInterface(
    spec: HostInterfaceSpec,
    whileGone?: () => Promise<void>,
  ): Promise<void> {
    const wire = await this.#replug(spec, whileGone);
    await runIp(this.router, this.#networkLines(spec, wire));
  }

  /** The same for a workload's, as when its network is made anew. */
  async replugWorkload(spec: WorkloadSpec, whileGone?: () => Promise<void>): Promise<void> {
    const wire = await this.#replug(spec, whileGone);
    await runIp(this.router, this.#workloadLines(spec, wire));
  }

  /** Addresses and routes as they should be, after anything that took some of them away. */
  async restoreHostInterface(spec: HostInterfaceSpec): Promise<void> {
    await runIp(this.router, this.#networkLines(spec, this.#wire(spec.name)));
  }

  async #replug(
    { name, ifname }: WorkloadSpec | HostInterfaceSpec,
    whileGone: () => Promise<void> = async () => {},
  ): Promise<Wire> {
    const wire = this.#wire(name);
    await runIp(this.router, [`link del ${ifname}`]);
    await whileGone();
    await this.#plug([{ ifname, wire }]);
    return wire;
  }

  /** Neighbours and routes of a workload, as lines for `ip -batch`. */
  #workloadLines({ name, ifname, addresses }: WorkloadSpec, wire: Wire): string[] {
    return addresses.flatMap((address) => {
      const canonical = printAddress(requireAddress(address));
      this.#owners.set(canonical, name);
      return [
        `neigh add ${canonical} lladdr ${colons(wire.source)} dev ${ifname} nud permanent`,
        `route add ${canonical} dev ${ifname}`,
      ];
    });
  }

  /** Addresses, neighbours and routes of a host interface, as lines for `ip -batch`. */
  #networkLines({ name, ifname, nets, addresses = [] }: HostInterfaceSpec, wire: Wire): string[] {
    const own = addresses.map((text) => printAddress(requireAddress(text)));
    for (const address of own) this.#owners.set(address, 'router');
    return [
      ...own.map((address) => `addr replace ${address} dev ${ifname}`),
      ...Object.values(GATEWAYS).map(
        (gateway) =>
          `neigh replace ${gateway} lladdr ${colons(wire.source)} dev ${ifname} nud permanent`,
      ),
      ...nets.map((text) => {
        const cidr = requireCidr(text);
        this.#networks.push({ cidr, name });
        return `route replace ${text} via ${GATEWAYS[cidr.family]} dev ${ifname} onlink`;
      }),
    ];
  }

  /**
   * Sends every probe, in order, and says for each whether it came out at `to` with its header fields unchanged. Complete
   * when it resolves: nothing is waited for by the clock.
   */
  async probe(probes: readonly Probe[]): Promise<boolean[]> {
    const places = await this.observe(probes);
    return probes.map((probe, i) => (places[i] ?? []).includes(this.#destination(probe)));
  }

  /** Like `probe`, but names every place where each packet came out. */
  async observe(probes: readonly Probe[]): Promise<string[][]> {
    await this.#openLocalPorts(probes);
    const sent = probes.map((probe) => ({ probe, tag: this.#nextTag++ }));
    const byTag = new Map(sent.map(({ probe, tag }) => [tag, probe.arrivesAs ?? probe.packet]));
    const arrivals = new Map<number, string[]>(sent.map(({ tag }) => [tag, []]));
    const bytes = sent.map(({ probe, tag }) => this.#encode(probe, tag));
    for (const arrival of await this.#prober.exchange(bytes)) {
      const place = this.#places.get(arrival.port);
      const got = place?.read(Buffer.from(arrival.bytes));
      const expected = got?.tag === undefined ? undefined : byTag.get(got.tag);
      if (place === undefined || got?.tag === undefined || expected === undefined) continue;
      if (got.packet === undefined || isSamePacket(expected, got.packet))
        arrivals.get(got.tag)?.push(place.name);
    }
    return sent.map(({ tag }) => arrivals.get(tag) ?? []);
  }

  /** Empties the router's connection table, so that the next packets are new connections. */
  async forgetConnections(): Promise<void> {
    await this.#prober.command(`forget ${this.router.path}`);
  }

  /** Ends the prober and both namespaces. Safe to call twice. */
  async close(): Promise<void> {
    await this.#prober.close();
    await this.#wiresNs.close();
    await this.router.close();
  }

  async #setUp(options: FabricOptions): Promise<void> {
    await writeSysctls(this.router, ROUTER_SYSCTLS);
    await writeSysctls(this.#wiresNs, WIRES_SYSCTLS);
    await runIp(this.#wiresNs, [
      'link add name s0 type veth peer name s1',
      'link set s0 up',
      'link set s1 up',
    ]);
    await this.#prober.command(`sentinel ${this.#wiresNs.path} s0 s1`);
    await this.#prober.command(`origin ${ORIGIN_PORTS[4]} ${this.router.path} 4`);
    await this.#prober.command(`origin ${ORIGIN_PORTS[6]} ${this.router.path} 6`);
    const own = options.routerAddresses ?? ['192.0.2.1', '2001:db8:ffff::1'];
    for (const address of own) this.#owners.set(printAddress(requireAddress(address)), 'router');
    await runIp(this.router, ['link set lo up', ...own.map((text) => `addr add ${text} dev lo`)]);
    await this.#addExternal(options.externalIfname ?? 'eth0', options.externalAddresses ?? []);
    await this.addHostInterfaces(options.hostInterfaces ?? []);
    await this.addWorkloads(options.workloads);
  }

  async #addExternal(ifname: string, own: readonly string[]): Promise<void> {
    const wire = this.#newWire('external');
    await this.#plug([{ ifname, wire }]);
    const addresses = own.map((text) => printAddress(requireAddress(text)));
    for (const address of addresses) this.#owners.set(address, 'router');
    await runIp(
      this.router,
      addresses.map((address) => `addr add ${address} dev ${ifname}`),
    );
    await runIp(
      this.router,
      Object.values(GATEWAYS).flatMap((gateway) => [
        `neigh add ${gateway} lladdr ${colons(wire.source)} dev ${ifname} nud permanent`,
        `route add default via ${gateway} dev ${ifname} onlink`,
      ]),
    );
  }

  #wire(name: string): Wire {
    const wire = this.#wires.get(name);
    if (wire === undefined) throw new Error(`no workload named ${name}`);
    return wire;
  }

  #newWire(name: string): Wire {
    if (this.#wires.has(name)) throw new Error(`two workloads named ${name}`);
    const port = FIRST_WIRE_PORT + this.#wires.size;
    const source = `0200000${port.toString(16).padStart(5, '0')}`;
    const wire = { name, port, source, destination: HOST_MAC };
    this.#wires.set(name, wire);
    this.#places.set(port, { name, read: parseFrame });
    return wire;
  }

  /** Makes the veth pairs and opens the far ends. */
  async #plug(plugs: readonly { readonly ifname: string; readonly wire: Wire }[]): Promise<void> {
    await runIp(
      this.router,
      plugs.map(
        ({ ifname, wire }) =>
          `link add name ${ifname} address ${colons(wire.destination)} type veth ` +
          `peer name w${wire.port} address ${colons(wire.source)} netns ${this.#wiresNs.pid}`,
      ),
    );
    await runIp(
      this.#wiresNs,
      plugs.map(({ wire }) => `link set w${wire.port} up`),
    );
    await runIp(
      this.router,
      plugs.map(({ ifname }) => `link set ${ifname} up`),
    );
    for (const { wire } of plugs) {
      await this.#prober.command(`wire ${wire.port} ${this.#wiresNs.path} w${wire.port}`);
    }
  }

  /** What reaches the router itself is seen by a raw socket per family and protocol, opened when first asked for. */
  async #openLocalPorts(probes: readonly Probe[]): Promise<void> {
    for (const probe of probes) {
      const { family, protocol } = probe.arrivesAs ?? probe.packet;
      const key = `${family} ${protocol}`;
      if (this.#destination(probe) !== 'router' || this.#localPorts.has(key)) continue;
      const port = FIRST_LOCAL_PORT + this.#localPorts.size;
      await this.#prober.command(`local ${port} ${this.router.path} ${key}`);
      this.#localPorts.set(key, port);
      this.#places.set(port, { name: 'router', read: family === 4 ? parseIp : readPayload });
    }
  }

  #destination(probe: Probe): string {
    if (probe.to !== undefined) return probe.to;
    const { daddr } = probe.arrivesAs ?? probe.packet;
    return this.#owners.get(printAddress(daddr)) ?? this.#networkOf(daddr) ?? 'external';
  }

  #networkOf(address: Address): string | undefined {
    return this.#networks.find(({ cidr }) => cidrContains(cidr, address))?.name;
  }

  #encode(probe: Probe, tag: number): PortBytes {
    const dress = { ...probe.dress, tag };
    if (probe.from === 'router') {
      return { port: ORIGIN_PORTS[probe.packet.family], bytes: buildIp(probe.packet, dress) };
    }
    const wire = this.#wire(probe.from);
    return { port: wire.port, bytes: buildFrame(probe.packet, wire, dress) };
  }
}

/** A raw IPv6 socket gives no IP header; the tag alone identifies the packet. */
function readPayload(payload: Buffer): Seen {
  return { packet: undefined, tag: readTag(payload) };
}

function isSamePacket(a: Packet, b: Packet): boolean {
  return (
    a.family === b.family &&
    a.saddr.value === b.saddr.value &&
    a.daddr.value === b.daddr.value &&
    a.protocol === b.protocol &&
    a.sport === b.sport &&
    a.dport === b.dport &&
    a.icmpType === b.icmpType &&
    a.icmpCode === b.icmpCode
  );
}

function requireAddress(text: string): Address {
  const address = toAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

function requireCidr(text: string): Cidr {
  const cidr = toCidr(text);
  if (cidr === undefined) throw new Error(`not a prefix: ${text}`);
  return cidr;
}

/** `0200000000ff` as `02:00:00:00:00:ff`. */
function colons(mac: string): string {
  return mac.replaceAll(/(..)(?!$)/g, '$1:');
}
