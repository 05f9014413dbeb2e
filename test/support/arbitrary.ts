/**
 * fast-check generators of worlds and packets: small pools, so that things collide. Values are what parsing may produce: port
 * numbers only beside TCP, UDP or SCTP, names unique per kind, selectors with sorted value lists.
 */
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type {
  HostEndpoint,
  Labels,
  NamedPort,
  NetworkSet,
  Node,
  Profile,
  Resource,
  ServiceEndpoints,
  Tier,
  WorkloadEndpoint,
} from '../../compiler/model/cluster.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Policy } from '../../compiler/model/policy.ts';
import {
  arbitraryHostPolicies,
  arbitraryLabels,
  arbitraryPolicies,
  arbitraryRules,
} from './arbitrary-policy.ts';
import {
  ADDRESSES,
  HOST_INTERFACES,
  LABEL_VALUES,
  NAMESPACES,
  NETS,
  NODES,
  PORT_NAMES,
  PORTS,
  PROTOCOLS,
  SERVICE_ACCOUNTS,
  SERVICES,
  TIERS,
} from './pools.ts';
import { address, cidr, namespace, networkSet, serviceAccount, workload } from './world.ts';

/** Values of a pool, as addresses, by family. */
const ADDRESS_POOL: Readonly<Record<Family, readonly Address[]>> = {
  4: ADDRESSES.filter((text) => !text.includes(':')).map(address),
  6: ADDRESSES.filter((text) => text.includes(':')).map(address),
};

const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 132, 136]);

/** Nobody's profile, a profile with rules of its own, and the built-in one are mixed in. */
const EXTRA_PROFILES = [
  'custom',
  'custom',
  'custom',
  'missing',
  'projectcalico-default-allow',
] as const;

/** All resources of a cluster in random order; at most one per kind and name. */
export const arbitraryResources: Arbitrary<readonly Resource[]> = fc
  .tuple(
    arbitraryNamespaces(),
    fc.uniqueArray(arbitraryWorkload(), {
      minLength: 2,
      maxLength: 8,
      selector: (endpoint) => endpoint.id,
    }),
    fc.uniqueArray(arbitraryHostEndpoint(), { maxLength: 4, selector: (host) => host.name }),
    fc.uniqueArray(arbitraryNetworkSet(), { maxLength: 3, selector: (set) => set.name }),
    fc.uniqueArray(arbitraryTier(), { maxLength: 4, selector: (tier) => tier.name }),
    arbitraryPolicies({ maxLength: 9 }),
    fc.uniqueArray(arbitraryServiceEndpoints(), { maxLength: 3, selector: (slice) => slice.name }),
  )
  .chain((parts) => {
    const all: readonly Resource[] = parts.flat();
    return fc.shuffledSubarray([...all], { minLength: all.length, maxLength: all.length });
  });

/** The same with more that governs the host's interfaces. */
export const arbitraryHostResources: Arbitrary<readonly Resource[]> = fc
  .tuple(
    arbitraryResources,
    arbitraryHostPolicies({ maxLength: 4 }),
    fc.uniqueArray(arbitraryHostEndpoint(), { maxLength: 3, selector: (host) => host.name }),
    fc.array(arbitraryNode(), { maxLength: 1 }),
  )
  .map(([all, policies, hosts, nodes]) => [
    ...all,
    ...policies,
    ...nodes,
    ...hosts.map((host) => ({ ...host, name: `${host.name}-more`, node: NODES[0] })),
  ]);

/** A packet of `family`, mostly between addresses that something in the pools knows. */
export function arbitraryPacket(family: Family): Arbitrary<Packet> {
  const pool = fc.constantFrom(...ADDRESS_POOL[family]);
  const port = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...PORTS) },
    { weight: 1, arbitrary: fc.nat(65_535) },
  );
  return fc
    .record({
      saddr: pool,
      daddr: pool,
      protocol: fc.constantFrom(6, 6, 6, 6, 17, 17, ...PROTOCOLS, family === 4 ? 1 : 58),
      sport: port,
      dport: port,
      icmpType: fc.constantFrom(3, 8, 128),
      icmpCode: fc.constantFrom(0, 1),
    })
    .map((parts) => ({ family, ...parts, ...absentParts(parts.protocol) }));
}

/** Fields that a packet of the protocol has not. */
function absentParts(protocol: number): Partial<Packet> {
  return {
    ...(WITH_PORTS.has(protocol) ? {} : { sport: undefined, dport: undefined }),
    ...(protocol === 1 || protocol === 58 ? {} : { icmpType: undefined, icmpCode: undefined }),
  };
}

/** Profiles of the namespaces and service accounts, some of them missing, and `custom`; one may want what is allowed logged. */
function arbitraryNamespaces(): Arbitrary<Profile[]> {
  const labels = fc.record({ env: fc.constantFrom(...LABEL_VALUES) }, { requiredKeys: [] });
  const namespaces = NAMESPACES.map((ns) => labels.map((own) => namespace(ns, own as Labels)));
  const accounts = NAMESPACES.flatMap((ns) =>
    SERVICE_ACCOUNTS.map((name) => labels.map((own) => serviceAccount(ns, name, own as Labels))),
  );
  const custom = fc
    .record({
      ingress: arbitraryRules({ maxLength: 3 }),
      egress: arbitraryRules({ maxLength: 3 }),
      labelsToApply: arbitraryLabels,
    })
    .map((parts): Profile => ({ kind: 'Profile', name: 'custom', ...parts }));
  return fc
    .tuple(...namespaces, ...accounts, custom)
    .chain((profiles) => {
      const index = fc.nat(profiles.length * 4);
      return fc.tuple(fc.constant(profiles), index, index);
    })
    .map(([profiles, missing, logged]) =>
      profiles
        .map((each, index) => (index === logged % 8 ? { ...each, logAllowed: true } : each))
        .filter((_, index) => index !== missing),
    );
}

function arbitraryWorkload(): Arbitrary<WorkloadEndpoint> {
  return fc
    .record({
      ns: fc.constantFrom(...NAMESPACES),
      name: fc.constantFrom('web', 'web-1', 'db', 'job', 'x'),
      node: fc.constantFrom(NODES[0], NODES[0], NODES[0], NODES[1]),
      labels: arbitraryLabels,
      account: fc.option(fc.constantFrom(...SERVICE_ACCOUNTS), { nil: undefined }),
      extra: fc.array(fc.constantFrom(...EXTRA_PROFILES), { maxLength: 1, size: 'small' }),
      extraFirst: fc.boolean(),
      addresses: fc.tuple(arbitraryOwn(4), arbitraryOwn(6)),
      ports: fc.array(arbitraryNamedPort(), { maxLength: 4 }),
      active: fc.constantFrom(true, true, true, true, false),
      createdMs: fc.nat(2),
    })
    .map(({ ns, name, account, extra, extraFirst, addresses, ...rest }) => {
      const base = workload(`${ns}/${name}`, [], {
        ...rest,
        addresses: addresses.flat(),
        ...(account === undefined ? {} : { serviceAccount: account }),
      });
      const profiles = extraFirst ? [...extra, ...base.profiles] : [...base.profiles, ...extra];
      return { ...base, profiles };
    });
}

/** Addresses of a workload: the first of the pool, so that workloads share some. */
function arbitraryOwn(family: Family): Arbitrary<Address[]> {
  const pool = fc.constantFrom(...ADDRESS_POOL[family].slice(0, 5));
  return fc.uniqueArray(pool, { maxLength: 2 });
}

function arbitraryNamedPort(): Arbitrary<NamedPort> {
  return fc.record({
    name: fc.constantFrom(...PORT_NAMES),
    protocol: fc.constantFrom(6, 6, 17, 132),
    port: fc.constantFrom(...PORTS),
  });
}

/** Named, found by address, wildcards; most of them shadow one another. */
function arbitraryHostEndpoint(): Arbitrary<HostEndpoint> {
  const own = HOST_INTERFACES.flatMap((each) => each.own).map(address);
  return fc.record({
    kind: fc.constant('HostEndpoint'),
    name: fc.constantFrom('a', 'b', 'c', 'host'),
    node: fc.constantFrom(NODES[0], NODES[0], NODES[0], NODES[1]),
    labels: arbitraryLabels,
    interfaceName: fc.constantFrom(undefined, undefined, '*', '*', 'eth0', 'eth1', 'eth2', 'lo'),
    expectedIPs: fc.array(fc.constantFrom(...own, ...own, ...ADDRESS_POOL[4], ...ADDRESS_POOL[6]), {
      maxLength: 2,
    }),
    profiles: fc.array(
      fc.constantFrom(
        'projectcalico-default-allow',
        'projectcalico-default-allow',
        'custom',
        'missing',
      ),
      { maxLength: 2 },
    ),
    ports: fc.array(arbitraryNamedPort(), { maxLength: 2 }),
  });
}

/** Another one, somewhere behind the host's interfaces. */
function arbitraryNode(): Arbitrary<Node> {
  const behind = HOST_INTERFACES.flatMap((each) => each.behind).map(address);
  return fc.subarray(behind, { maxLength: 3 }).map((addresses) => ({
    kind: 'Node',
    name: NODES[1],
    labels: {},
    addresses,
  }));
}

function arbitraryNetworkSet(): Arbitrary<NetworkSet> {
  return fc
    .record({
      ns: fc.option(fc.constantFrom(...NAMESPACES), { nil: undefined }),
      name: fc.constantFrom('s1', 's2', 's3'),
      nets: fc.array(fc.constantFrom(...NETS), { maxLength: 3 }),
      labels: arbitraryLabels,
    })
    .map(({ ns, name, nets, labels }) => ({
      ...networkSet(ns, name, [], labels),
      nets: nets.map(cidr),
    }));
}

/** `ghost` is never declared; the built-in ones sometimes are. */
function arbitraryTier(): Arbitrary<Tier> {
  return fc.record({
    kind: fc.constant('Tier'),
    name: fc.constantFrom(...TIERS.filter((name) => name !== 'ghost')),
    order: fc.constantFrom(1, 1, -1, 1_000_000, undefined),
    defaultAction: fc.constantFrom('pass', 'deny'),
  });
}

function arbitraryServiceEndpoints(): Arbitrary<ServiceEndpoints> {
  return fc.record({
    kind: fc.constant('ServiceEndpoints'),
    namespace: fc.constantFrom(...NAMESPACES),
    name: fc.constantFrom('slice-1', 'slice-2', 'slice-3'),
    service: fc.constantFrom(...SERVICES),
    addresses: fc.array(fc.constantFrom(...ADDRESS_POOL[4], ...ADDRESS_POOL[6]), { maxLength: 4 }),
    ports: fc.array(
      fc.record({ protocol: fc.constantFrom(6, 17), port: fc.constantFrom(...PORTS) }),
      { maxLength: 2 },
    ),
  });
}

/** What a generated policy set is made of, for statistics and pinned examples. */
export function policiesOf(resources: readonly Resource[]): readonly Policy[] {
  return resources.filter((resource) => resource.kind === 'Policy');
}
