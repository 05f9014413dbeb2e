/**
 * What protects a host whose state is lost, until the agent has compiled its policies: only failsafe ports, what keeps the network itself
 * alive, and answers to what the host begins. Written as policy, so that nothing but the compiler knows how a host is governed.
 */
import { Engine } from '../engine/engine.ts';
import type { EngineConfig } from '../engine/engine.ts';
import { FakeDataplane } from '../dataplane/fake.ts';
import { operationsTo, settledTable } from '../state/batch.ts';
import type { NftOp } from '../../compiler/nft/program.ts';
import type { RawEvent } from '../watch/event.ts';

const NODE = 'fallback';

/** Errors and echo; neighbours, routers and multicast listeners of IPv6. */
const ICMP_TYPES = [3, 8, 11, 12];
const ICMPV6_TYPES = [1, 2, 3, 4, 128, 130, 131, 132, 133, 134, 135, 136, 143];

const allow = (protocol: string, more: object): object => ({ action: 'Allow', protocol, ...more });

const ICMP = [
  ...ICMP_TYPES.map((type) => allow('ICMP', { icmp: { type } })),
  ...ICMPV6_TYPES.map((type) => allow('ICMPv6', { icmp: { type } })),
];

/** DHCP, both families, from server to client and back. */
const udp = (ports: readonly number[]): object => allow('UDP', { destination: { ports } });

const OBJECTS = [
  {
    apiVersion: 'projectcalico.org/v3',
    kind: 'HostEndpoint',
    metadata: { name: NODE, labels: { fallback: 'true' } },
    spec: { node: NODE, interfaceName: '*' },
  },
  {
    apiVersion: 'projectcalico.org/v3',
    kind: 'GlobalNetworkPolicy',
    metadata: { name: NODE },
    spec: {
      selector: "has(fallback) && fallback == 'true'",
      types: ['Ingress', 'Egress'],
      ingress: [...ICMP, udp([68, 546])],
      egress: [allow('ICMP', {}), allow('ICMPv6', {}), udp([67, 547])],
    },
  },
];

/** One transaction, whatever is in the kernel. `config` has the failsafe ports; its node plays no part. */
export async function fallbackOperations(config: EngineConfig): Promise<readonly NftOp[]> {
  const engine = new Engine({ ...config, node: NODE }, new FakeDataplane());
  const events = OBJECTS.map((object): RawEvent => {
    const key = `projectcalico.org/${object.kind}//${NODE}`;
    return { op: 'put', key, object, origin: BUILT_IN };
  });
  engine.take(events);
  await engine.apply();
  return operationsTo(settledTable(engine.table));
}

const BUILT_IN: Extract<RawEvent, { op: 'put' }>['origin'] = {
  source: 'built in',
  lineOf: () => undefined,
};
