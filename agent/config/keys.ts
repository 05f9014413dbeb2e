/** Every configuration key, one row each: type, default, meaning. Files, environment, `--help` and the printed default follow from it. */
import { DEFAULT_HOST_CONFIG } from '../../compiler/nft/host-config.ts';
import { FAILSAFE, MARK_BIT } from './host-values.ts';
import { DURATION, FLAG, PREFIX, integer, list, pattern, text, word } from './value-types.ts';
import type { ValueType } from './value-types.ts';

export interface ConfigKey<T> {
  readonly type: ValueType<T>;
  readonly default: T;
  /** One sentence or two, for the printed default file. */
  readonly doc: string;
  /** The command-line flag that says the same, where there is one. */
  readonly flag: string | undefined;
}

function key<T>(type: ValueType<T>, value: NoInfer<T>, doc: string, flag?: string): ConfigKey<T> {
  return { type, default: value, doc, flag };
}

/** IFNAMSIZ is 16 with NUL; a prefix leaves room for one character. */
const INTERFACE_PREFIX = pattern(
  /^[a-zA-Z0-9_.-]{1,14}$/,
  'the start of an interface name: 1 to 14 letters, digits, "_", "-" and "."',
);

const LISTEN_ADDRESS = pattern(
  /^$|^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]{2,39}\]):\d{1,5}$/,
  'an address and a port like 127.0.0.1:9099 or [::1]:9099, or nothing',
);

const CONFIG_KEYS = {
  node: key(
    text('the name of this node'),
    '',
    'Name of this node: pods whose spec.nodeName equals it are governed here. Empty: the name of the host, in lower case, up to ' +
      'its first dot.',
    '--node',
  ),
  manifests: key(
    text('a directory'),
    '/etc/picket/policies',
    'Directory of YAML or JSON manifests, read with its subdirectories.',
    '--manifests',
  ),
  kubeconfig: key(
    text('a file'),
    '',
    'Kubeconfig of the API server whose objects are followed, besides those in the directory of manifests. Empty: none.',
    '--kubeconfig',
  ),
  inCluster: key(
    FLAG,
    false,
    'Follow the API server of the cluster in which we run as a pod, with the service account of the pod.',
    '--in-cluster',
  ),
  runDirectory: key(
    text('a directory'),
    '/run/picket',
    'Directory of the control socket and of what need not survive a reboot. Made when it is missing. Read at the start only.',
  ),
  stateDirectory: key(
    text('a directory'),
    '/var/lib/picket',
    'Directory of the last good state, which is loaded at boot. Made when it is missing. Read at the start only.',
  ),
  netns: key(
    text('a file like /run/netns/NAME'),
    '',
    'Network namespace to work in, as a file like /run/netns/NAME. Empty: our own. Read at the start only.',
    '--netns',
  ),
  healthAddress: key(
    LISTEN_ADDRESS,
    '127.0.0.1:9099',
    'Where probes ask /livez and /readyz?verbose. Whoever can connect learns what they say. Empty: not served.',
  ),
  metricsAddress: key(
    LISTEN_ADDRESS,
    '127.0.0.1:9091',
    'Where Prometheus asks /metrics; may be the same as healthAddress. Empty: not served.',
  ),
  ruleMetrics: key(
    FLAG,
    false,
    'Metrics of packets and bytes for each rule of each policy in force here, at most 5000 rules.',
  ),
  confirmHostPolicyChanges: key(
    DURATION,
    0,
    'When picket run changes what governs this host itself, and nobody says picket confirm for so long (like 60s or 5m), the rules ' +
      'before are put back, and stay until the policies are changed again. Empty: no change needs to be confirmed.',
  ),
  interfacePrefixes: key(
    list(INTERFACE_PREFIX),
    ['cali'],
    'Interfaces whose names start so belong to workloads. Without a known endpoint they are closed, both ways. ' +
      "The first one is also the start of the interface names that are expected for pods, as in Calico's hash.",
  ),
  endpointToHostAction: key(
    word('Accept', 'Drop', 'Return'),
    'Accept',
    "What its own egress policy has allowed a workload to send to this host. Calico's built-in default is Drop, its manifests say Accept. " +
      'Return: host policy judges next; where there is none, it is accepted.',
  ),
  denyAction: key(
    word('Drop', 'Reject'),
    'Drop',
    'What denied packets meet. Reject tells the sender with an ICMP error.',
  ),
  disableConntrackInvalidCheck: key(
    FLAG,
    false,
    'Judge packets that connection tracking calls invalid by policy, instead of denying them.',
  ),
  allowVxlanPacketsFromWorkloads: key(
    FLAG,
    false,
    'Let policy decide on VXLAN packets of workloads, instead of denying them.',
  ),
  allowIpipPacketsFromWorkloads: key(
    FLAG,
    false,
    'Let policy decide on IP-in-IP packets of workloads, instead of denying them.',
  ),
  vxlanPort: key(integer(1, 65_535), 4789, 'UDP port of VXLAN.'),
  workloadSourceSpoofing: key(
    word('Disabled', 'Any'),
    'Disabled',
    'Any: pods may also send from the prefixes of their annotation cni.projectcalico.org/allowedSourcePrefixes.',
  ),
  filterPriority: key(
    integer(-199, 1_000),
    0,
    'Added to the priority of every filter hook. Below 0 we judge before, above 0 after other tables at "filter".',
  ),
  serviceLoopPrevention: key(
    word('Drop', 'Reject', 'Disabled'),
    'Drop',
    'What forwarded packets to serviceCidrs meet that no service has taken: they would bounce between this node and its router.',
  ),
  serviceCidrs: key(
    list(PREFIX),
    [],
    'Cluster, external and load-balancer prefixes of services, for serviceLoopPrevention. Empty: nothing is done.',
  ),
  failsafeInboundHostPorts: key(
    list(FAILSAFE),
    DEFAULT_HOST_CONFIG.failsafeInbound,
    'Ports of this host that host policy never closes; with a prefix, only for peers in it. [] is none: then nothing protects you ' +
      'from locking yourself out.',
  ),
  failsafeOutboundHostPorts: key(
    list(FAILSAFE),
    DEFAULT_HOST_CONFIG.failsafeOutbound,
    'Ports that this host can always reach, whatever host policy says; with a prefix, only of peers in it. [] is none.',
  ),
  acceptMark: key(
    MARK_BIT,
    DEFAULT_HOST_CONFIG.acceptMark,
    'The one bit of the packet mark that is used while a host endpoint of this node has untracked or pre-DNAT policy. Choose one that ' +
      'nobody else uses; the other bits are left alone.',
  ),
  ipipEnabled: key(
    FLAG,
    false,
    'Nodes may exchange IP in IP, whatever host policy says; from everybody else it is denied.',
  ),
  vxlanEnabled: key(
    FLAG,
    false,
    'Nodes may exchange VXLAN (vxlanPort), whatever host policy says; from everybody else it is denied.',
  ),
  wireguardPort: key(
    integer(0, 65_535),
    0,
    'UDP port of WireGuard over IPv4 that host policy leaves open. 0 is none.',
  ),
  wireguardPortV6: key(
    integer(0, 65_535),
    0,
    'UDP port of WireGuard over IPv6 that host policy leaves open. 0 is none.',
  ),
  externalNodes: key(
    list(PREFIX),
    [],
    'Where nodes are beside the addresses of Node objects, for ipipEnabled and vxlanEnabled.',
  ),
  flowLogVerdicts: key(
    list(word('deny', 'allow')),
    ['deny'],
    'Packets that flow logs tell of: [deny], [deny, allow], or []. Rules of action Log are logged in any case. Counters are exact for all.',
  ),
  flowLogRate: key(
    integer(0, 1_000_000),
    10,
    'Packets a second that each rule logs at most, once flowLogBurst is used up. What is not logged is counted and told in the next ' +
      'record. 0: no limit.',
  ),
  flowLogBurst: key(integer(1, 1_000_000), 50, 'Packets that each rule logs at once.'),
  flowLogGroup: key(
    integer(1, 65_535),
    5,
    'NFLOG group that packets are logged to. The agent is its only reader.',
  ),
  flowLogFlushSeconds: key(
    integer(1, 3_600),
    5,
    'Packets of the same rule, addresses, protocol and destination port in so many seconds are one record. After as long without ' +
      'any packet to tell of, the next one is told of at once.',
  ),
  flowLogOutputs: key(
    list(word('stdout', 'file', 'journald', 'otlp')),
    ['stdout'],
    'Where records go, besides "picket flows": JSON lines on standard output or in flowLogFile, the journal with fields, an OTLP collector.',
  ),
  flowLogFile: key(
    text('a file'),
    '/var/log/picket/flows.jsonl',
    'File of the output "file". Its directory has to be there.',
  ),
  flowLogFileMegabytes: key(
    integer(1, 100_000),
    10,
    'Size at which flowLogFile is put aside, in MiB.',
  ),
  flowLogFileCount: key(integer(0, 1_000), 5, 'Files put aside that are kept: FILE.1, FILE.2, …'),
  flowLogOtlpEndpoint: key(
    pattern(
      /^(https?:\/\/[^\s@]+)?$/,
      'an address like http://collector:4318, without credentials',
    ),
    '',
    'Base address of the collector for the output "otlp"; /v1/logs is appended. Where its certificate is of a CA of your own, the ' +
      'environment variable NODE_EXTRA_CA_CERTS names the file of that CA.',
  ),
  flowLogKeep: key(
    integer(0, 1_000_000),
    10_000,
    'Newest records that are kept in memory for "picket flows".',
  ),
} as const satisfies Record<string, ConfigKey<unknown>>;

export type ConfigName = keyof typeof CONFIG_KEYS;

/** Every key with its checked value. */
export type Config = {
  readonly [K in ConfigName]: (typeof CONFIG_KEYS)[K] extends ConfigKey<infer T> ? T : never;
};

export const CONFIG_NAMES = Object.keys(CONFIG_KEYS) as readonly ConfigName[];

/** A row as code that does not care for its type sees it. */
export function rowOf(name: ConfigName): ConfigKey<unknown> {
  return CONFIG_KEYS[name];
}

export const DEFAULT_CONFIG = Object.freeze(
  Object.fromEntries(CONFIG_NAMES.map((name) => [name, rowOf(name).default])),
) as unknown as Config;

/** `PICKET_VXLAN_PORT` for `vxlanPort`. */
export function variableOf(name: ConfigName): string {
  return `PICKET_${name.replace(/[A-Z]/g, '_$&').toUpperCase()}`;
}
