/** ClusterNetworkPolicy, v1alpha2. Comes in: the object's `spec`; goes out: a `Policy` in an admin tier. Source: specification 5.2. */
import type { Policy } from '../policy.ts';
import { type ClusterRuleStyle, readClusterPolicy } from './cluster-policy.ts';
import type { PortEntry } from './expand.ts';
import type { Metadata } from './metadata.ts';
import { MAX_PORT, readPortName, toRange } from './ports.ts';
import {
  type Cursor,
  fail,
  isAbsent,
  readFields,
  readInteger,
  readWord,
  requirePresent,
} from './reader.ts';

const FIELDS = ['tier', 'priority', 'subject', 'ingress', 'egress'] as const;

const TIERS = { Admin: 'kube-admin', Baseline: 'kube-baseline' } as const;

const STYLE: ClusterRuleStyle = {
  actions: { Accept: 'allow', Deny: 'deny', Pass: 'pass' },
  portsField: 'protocols',
  readPort: readProtocolEntry,
};

export function parseClusterNetworkPolicy(spec: Cursor, meta: Metadata): Policy {
  const fields = readFields(spec, FIELDS, 'scope');
  requirePresent(fields.tier, 'the tier');
  const tier = TIERS[readWord(fields.tier, ['Admin', 'Baseline'], 'exact') ?? 'Admin'];
  const head = {
    policyKind: 'KubernetesClusterNetworkPolicy',
    tier,
    order: readPriority(fields.priority),
  } as const;
  return readClusterPolicy(fields, meta, head, STYLE);
}

/** Lower goes first. Required, because no place in the order would be a guess. */
export function readPriority(at: Cursor): number | undefined {
  return requirePresent(at, 'the priority') ? readInteger(at, 0, MAX_PRIORITY) : undefined;
}

const MAX_PRIORITY = 1000;

/** Exactly one of the protocols, or a port name of whatever protocol. */
function readProtocolEntry(at: Cursor): PortEntry | undefined {
  const fields = readFields(at, ['tcp', 'udp', 'sctp', 'destinationNamedPort'], 'strict');
  const given = Object.values(fields).filter((field) => !isAbsent(field));
  if (given.length !== 1) {
    return fail(
      at,
      'protocol-invalid',
      'expected exactly one of tcp, udp, sctp and destinationNamedPort',
    );
  }
  if (!isAbsent(fields.destinationNamedPort)) {
    const name = readPortName(fields.destinationNamedPort);
    return name === undefined ? undefined : { protocol: undefined, port: { kind: 'named', name } };
  }
  if (!isAbsent(fields.tcp)) return { protocol: 'TCP', port: readDestination(fields.tcp) };
  if (!isAbsent(fields.udp)) return { protocol: 'UDP', port: readDestination(fields.udp) };
  return { protocol: 'SCTP', port: readDestination(fields.sctp) };
}

/** Absent = all ports. */
function readDestination(at: Cursor): PortEntry['port'] {
  const { destinationPort } = readFields(at, ['destinationPort'], 'strict');
  if (isAbsent(destinationPort)) return undefined;
  const { number, range } = readFields(destinationPort, ['number', 'range'], 'strict');
  if (isAbsent(number) === isAbsent(range)) {
    return fail(destinationPort, 'port-invalid', 'expected exactly one of number and range');
  }
  return isAbsent(number) ? readRange(range) : readPortNumber(number);
}

function readPortNumber(at: Cursor): PortEntry['port'] {
  const port = readInteger(at, 1, MAX_PORT);
  return port === undefined ? undefined : toRange(at, port, port);
}

/** `{start, end}`, both included, of an object that may have the other fields named. */
export function readRange(at: Cursor, ...others: readonly 'protocol'[]): PortEntry['port'] {
  const { start, end } = readFields(at, ['start', 'end', ...others], 'strict');
  requirePresent(start, 'the first port');
  requirePresent(end, 'the last port');
  const first = readInteger(start, 1, MAX_PORT);
  const last = readInteger(end, 1, MAX_PORT);
  return first === undefined || last === undefined ? undefined : toRange(at, first, last);
}
