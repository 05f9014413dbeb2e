/** The few values that random worlds are made of. Small on purpose: rules, endpoints and packets must meet. */
import { NODE } from './world.ts';

/** The first is the node that judges. */
export const NODES = [NODE, 'node-b'] as const;

export const NAMESPACES = ['shop', 'pay'] as const;
export const SERVICE_ACCOUNTS = ['front', 'back'] as const;
export const SERVICES = ['web', 'api'] as const;
export const TIERS = ['default', 't1', 't2', 'kube-admin', 'kube-baseline', 'ghost'] as const;

/** Names that sort differently alone and with `/` behind them. */
export const POLICY_NAMES = ['a', 'a-b', 'a.b', 'b', 'c'] as const;

/** `env` is what namespaces and service accounts carry. */
export const LABEL_KEYS = ['app', 'env'] as const;
export const LABEL_VALUES = ['a', 'ab', ''] as const;

/** The first five of each family are those that workloads take; the rest belongs to sets, the host or nobody. */
export const ADDRESSES: readonly string[] = [
  '10.0.0.1',
  '10.0.0.2',
  '10.0.0.3',
  '10.0.0.4',
  '10.0.1.1',
  '192.168.0.1',
  '203.0.113.9',
  '255.255.255.255',
  'fd00::1',
  'fd00::2',
  'fd00::3',
  'fd00::4',
  'fd00:0:0:1::1',
  '2001:db8::1',
  // The IPv4 address 10.0.0.1 as a number, in the other family.
  '::a00:1',
];

/** Overlapping, nested, equal; both families; both ends of the space. */
export const NETS: readonly string[] = [
  '0.0.0.0/0',
  '10.0.0.0/8',
  '10.0.0.0/30',
  '10.0.0.2/32',
  '10.0.0.2/31',
  '128.0.0.0/1',
  '203.0.113.0/24',
  '::/0',
  'fd00::/64',
  'fd00::/8',
  'fd00::2/128',
  '::/96',
];

export const PORT_NAMES = ['http', 'dns'] as const;
export const PORTS = [0, 53, 80, 81, 65_535] as const;

/** TCP, UDP, SCTP, ICMP, ICMPv6, UDP-Lite, GRE, IPIP. */
export const PROTOCOLS = [6, 17, 132, 1, 58, 136, 47, 4] as const;

/** The host's interfaces: its own addresses there, and who else is behind. Interfaces that random host endpoints name. */
export const HOST_INTERFACES = [
  { name: 'eth0', own: ['192.168.0.1', '2001:db8::1'], behind: ['203.0.113.9', '2001:db8:9::9'] },
  { name: 'eth1', own: ['192.168.1.1', 'fd99::1'], behind: ['198.51.100.7', '2001:db8:2::7'] },
  { name: 'eth2', own: [], behind: ['198.51.200.7', '2001:db8:3::7'] },
] as const;
