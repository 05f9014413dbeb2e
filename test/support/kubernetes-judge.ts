/**
 * What Kubernetes' own API text says about a packet at a pod: NetworkPolicy and ClusterNetworkPolicy as they are written in manifests,
 * pods and namespaces beside them. Shares nothing with the parser, the model's rules and the oracle but addresses and packets, so it
 * judges all of them. Only valid objects; every namespace is known; nobody but pods has labels.
 */
import { cidrContains } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { address, cidr } from './world.ts';

type Labels = Readonly<Record<string, string>>;
export type Direction = 'ingress' | 'egress';
export type TransportName = 'TCP' | 'UDP' | 'SCTP';

export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    readonly values?: readonly string[];
  }[];
}

export interface JudgedPod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly ips: readonly string[];
  readonly ports: readonly {
    readonly name: string;
    readonly containerPort: number;
    readonly protocol: TransportName;
  }[];
}

export interface KnpRule {
  readonly peers?: readonly {
    readonly podSelector?: LabelSelector;
    readonly namespaceSelector?: LabelSelector;
    readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
  }[];
  readonly ports?: readonly {
    readonly protocol?: TransportName;
    readonly port?: number | string;
    readonly endPort?: number;
  }[];
}

export interface Knp {
  readonly namespace: string;
  readonly name: string;
  readonly podSelector: LabelSelector;
  readonly policyTypes?: readonly ('Ingress' | 'Egress')[];
  readonly ingress?: readonly KnpRule[];
  readonly egress?: readonly KnpRule[];
}

export interface PodsPeer {
  readonly namespaceSelector: LabelSelector;
  readonly podSelector: LabelSelector;
}

interface PortBox {
  readonly destinationPort?: {
    readonly number?: number;
    readonly range?: { readonly start: number; readonly end: number };
  };
}

export interface CnpRule {
  readonly action: 'Accept' | 'Deny' | 'Pass';
  readonly peers: readonly {
    readonly namespaces?: LabelSelector;
    readonly pods?: PodsPeer;
    readonly networks?: readonly string[];
  }[];
  readonly protocols?: readonly {
    readonly tcp?: PortBox;
    readonly udp?: PortBox;
    readonly sctp?: PortBox;
    readonly destinationNamedPort?: string;
  }[];
}

export interface Cnp {
  readonly name: string;
  readonly tier: 'Admin' | 'Baseline';
  readonly priority: number;
  readonly subject: { readonly namespaces?: LabelSelector; readonly pods?: PodsPeer };
  readonly ingress?: readonly CnpRule[];
  readonly egress?: readonly CnpRule[];
}

export interface Cluster {
  readonly namespaces: Readonly<Record<string, Labels>>;
  readonly pods: readonly JudgedPod[];
  readonly knps: readonly Knp[];
  readonly cnps: readonly Cnp[];
}

/** A packet that `pod` sends or gets. */
interface Question {
  readonly cluster: Cluster;
  readonly pod: JudgedPod;
  readonly direction: Direction;
  readonly packet: Packet;
}

const NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** Admin policies by priority, then NetworkPolicies, then baseline policies; else allowed. */
export function judge(question: Question): 'allow' | 'deny' {
  const admin = judgeTier(question, 'Admin');
  if (admin !== 'undecided') return admin;
  const governing = question.cluster.knps.filter((policy) => governsByKnp(question, policy));
  if (governing.length > 0) {
    const allows = governing.some((policy) =>
      (policy[question.direction] ?? []).some((rule) => knpRuleAllows(question, policy, rule)),
    );
    return allows ? 'allow' : 'deny';
  }
  return judgeTier(question, 'Baseline') === 'deny' ? 'deny' : 'allow';
}

function judgeTier(question: Question, tier: Cnp['tier']): 'allow' | 'deny' | 'undecided' {
  const { cluster, pod, direction } = question;
  const ordered = cluster.cnps
    .filter((policy) => policy.tier === tier && isSubject(cluster, policy, pod))
    .toSorted((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1));
  for (const policy of ordered) {
    const hit = policy[direction]?.find((rule) => cnpRuleMatches(question, rule));
    if (hit?.action === 'Accept') return 'allow';
    if (hit?.action === 'Deny') return 'deny';
    if (hit?.action === 'Pass') return 'undecided';
  }
  return 'undecided';
}

function isSubject(cluster: Cluster, { subject }: Cnp, pod: JudgedPod): boolean {
  if (subject.pods !== undefined) return isAmong(cluster, subject.pods, pod);
  return selects(subject.namespaces ?? {}, cluster.namespaces[pod.namespace] ?? {});
}

function isAmong(cluster: Cluster, peer: PodsPeer, pod: JudgedPod): boolean {
  return (
    selects(peer.namespaceSelector, cluster.namespaces[pod.namespace] ?? {}) &&
    selects(peer.podSelector, pod.labels)
  );
}

function cnpRuleMatches(question: Question, rule: CnpRule): boolean {
  const { cluster } = question;
  const [other, at] = [otherPod(question), otherAddress(question)];
  const isPeer = rule.peers.some(({ namespaces, pods, networks }) => {
    if (networks !== undefined) return networks.some((net) => cidrContains(cidr(net), at));
    if (other === undefined) return false;
    if (pods !== undefined) return isAmong(cluster, pods, other);
    return selects(namespaces ?? {}, cluster.namespaces[other.namespace] ?? {});
  });
  if (!isPeer) return false;
  if (rule.protocols === undefined || rule.protocols.length === 0) return true;
  return rule.protocols.some(({ tcp, udp, sctp, destinationNamedPort }) => {
    if (destinationNamedPort !== undefined) return hasNamedPort(question, destinationNamedPort);
    return (
      isInBox(question, 'TCP', tcp) ||
      isInBox(question, 'UDP', udp) ||
      isInBox(question, 'SCTP', sctp)
    );
  });
}

function isInBox({ packet }: Question, protocol: TransportName, box: PortBox | undefined): boolean {
  if (box === undefined || packet.protocol !== NUMBERS[protocol]) return false;
  if (box.destinationPort === undefined) return true;
  const { number, range } = box.destinationPort;
  const dport = packet.dport ?? 0;
  return range === undefined ? dport === number : range.start <= dport && dport <= range.end;
}

function governsByKnp({ pod, direction }: Question, policy: Knp): boolean {
  if (policy.namespace !== pod.namespace || !selects(policy.podSelector, pod.labels)) return false;
  const assumed = policy.egress === undefined || policy.egress.length === 0 ? [] : ['Egress'];
  const types = policy.policyTypes?.length ? policy.policyTypes : ['Ingress', ...assumed];
  return types.some((type) => type.toLowerCase() === direction);
}

function knpRuleAllows(question: Question, policy: Knp, { peers, ports }: KnpRule): boolean {
  const { cluster, packet } = question;
  const [other, at] = [otherPod(question), otherAddress(question)];
  const isPeer =
    peers === undefined ||
    peers.length === 0 ||
    peers.some(({ ipBlock, podSelector, namespaceSelector }) => {
      if (ipBlock !== undefined) {
        const isExcepted = ipBlock.except?.some((net) => cidrContains(cidr(net), at)) === true;
        return cidrContains(cidr(ipBlock.cidr), at) && !isExcepted;
      }
      if (other === undefined || !selects(podSelector ?? {}, other.labels)) return false;
      if (namespaceSelector === undefined) return other.namespace === policy.namespace;
      return selects(namespaceSelector, cluster.namespaces[other.namespace] ?? {});
    });
  if (!isPeer) return false;
  if (ports === undefined || ports.length === 0) return true;
  return ports.some(({ protocol = 'TCP', port, endPort }) => {
    if (packet.protocol !== NUMBERS[protocol]) return false;
    if (port === undefined) return true;
    if (typeof port === 'string') return hasNamedPort(question, port);
    const dport = packet.dport ?? 0;
    return port <= dport && dport <= (endPort ?? port);
  });
}

/** The pod that the packet goes to calls its destination port so. */
function hasNamedPort(question: Question, name: string): boolean {
  const { direction, pod, packet } = question;
  const destination = direction === 'ingress' ? pod : otherPod(question);
  return (
    destination?.ports.some(
      (port) =>
        port.name === name &&
        NUMBERS[port.protocol] === packet.protocol &&
        port.containerPort === packet.dport,
    ) === true
  );
}

function otherAddress({ direction, packet }: Question): Address {
  return direction === 'ingress' ? packet.saddr : packet.daddr;
}

function otherPod(question: Question): JudgedPod | undefined {
  const at = otherAddress(question);
  return question.cluster.pods.find(({ ips }) =>
    ips.some((ip) => address(ip).family === at.family && address(ip).value === at.value),
  );
}

function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Labels,
): boolean {
  const hasAll = Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
  return (
    hasAll &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
      }
    })
  );
}
