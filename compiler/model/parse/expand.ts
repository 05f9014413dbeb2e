/**
 * One Kubernetes rule to several rules of ours: every protocol with every peer. Comes in: its ports and peers, already checked;
 * goes out: rules in Calico's order. Knows none of the Kubernetes kinds. Source: specification sections 5.1 and 5.2.
 */
import {
  type Action,
  ANY_ENTITY,
  type Direction,
  type EntityMatch,
  type PortMatch,
  type Rule,
} from '../policy.ts';
import { compareUtf8 } from '../text-order.ts';
import { TRANSPORTS, type TransportName } from './protocol.ts';
import { ANY_MATCH } from './rule-parts.ts';

/** `port` absent = all ports of the protocol; `protocol` absent = any that has ports (only for port names). */
export interface PortEntry {
  readonly protocol: TransportName | undefined;
  readonly port: PortMatch | undefined;
}

export interface KubernetesRule {
  readonly action: Action;
  readonly index: number;
  readonly name: string | undefined;
  readonly direction: Direction;
  /** Empty = any protocol and port. */
  readonly ports: readonly PortEntry[];
  /** Alternatives; never empty: `ANY_ENTITY` is the peer that everyone is. */
  readonly peers: readonly EntityMatch[];
}

export function expandRule(rule: KubernetesRule): readonly Rule[] {
  const { action, index, name } = rule;
  return toPasses(rule.ports).flatMap(({ protocol, ports }) =>
    rule.peers.map((peer) => ({
      action,
      index,
      name,
      match: {
        ...ANY_MATCH,
        protocol:
          protocol === undefined ? undefined : { number: TRANSPORTS[protocol], family: undefined },
        source: rule.direction === 'ingress' ? peer : ANY_ENTITY,
        destination: { ...(rule.direction === 'ingress' ? ANY_ENTITY : peer), ports },
      },
    })),
  );
}

interface Pass {
  readonly protocol: TransportName | undefined;
  /** Empty = all. */
  readonly ports: readonly PortMatch[];
}

/** By protocol name, no protocol first. */
function toPasses(entries: readonly PortEntry[]): readonly Pass[] {
  if (entries.length === 0) return [{ protocol: undefined, ports: [] }];
  const byProtocol = Map.groupBy(entries, ({ protocol }) => protocol);
  return [...byProtocol]
    .sort(([a], [b]) => compareUtf8(a ?? '', b ?? ''))
    .map(([protocol, group]) => ({ protocol, ports: mergePorts(group) }));
}

/** An entry for all ports absorbs the others. Two or more numbers are joined to ranges, behind the names. */
function mergePorts(entries: readonly PortEntry[]): readonly PortMatch[] {
  const ports = entries.flatMap(({ port }) => port ?? []);
  if (ports.length < entries.length) return [];
  const ranges = ports.filter((port) => port.kind === 'range');
  const numbers = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  if (numbers < 2) return ports;
  return [...ports.filter((port) => port.kind === 'named'), ...joinRanges(ranges)];
}

type PortRange = Extract<PortMatch, { kind: 'range' }>;

function joinRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const joined: PortRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const previous = joined.at(-1);
    if (previous === undefined || range.first > previous.last + 1) joined.push(range);
    else joined.splice(-1, 1, { ...previous, last: Math.max(previous.last, range.last) });
  }
  return joined;
}
