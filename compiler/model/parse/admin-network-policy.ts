/**
 * AdminNetworkPolicy and BaselineAdminNetworkPolicy, v1alpha1, which clusters without ClusterNetworkPolicy still have. Comes in: the
 * object's `spec`; goes out: a `Policy` in an admin tier, so that a policy means the same before and after its migration.
 */
import type { Policy } from '../policy.ts';
import { readPriority, readRange } from './cluster-network-policy.ts';
import { type ClusterRuleStyle, readClusterPolicy } from './cluster-policy.ts';
import type { PortEntry } from './expand.ts';
import type { Metadata } from './metadata.ts';
import { MAX_PORT, readPortName, toRange } from './ports.ts';
import { readTransport } from './protocol.ts';
import {
  type Cursor,
  fail,
  fieldOf,
  isAbsent,
  readFields,
  readInteger,
  requirePresent,
  show,
  warn,
} from './reader.ts';

const ADMIN_STYLE: ClusterRuleStyle = {
  actions: { Allow: 'allow', Deny: 'deny', Pass: 'pass' },
  portsField: 'ports',
  readPort,
};

const BASELINE_STYLE: ClusterRuleStyle = {
  ...ADMIN_STYLE,
  actions: { Allow: 'allow', Deny: 'deny' },
};

export function parseAdminNetworkPolicy(spec: Cursor, meta: Metadata): Policy {
  const fields = readFields(spec, ['priority', 'subject', 'ingress', 'egress'], 'scope');
  const order = readPriority(fields.priority);
  const head = { policyKind: 'AdminNetworkPolicy', tier: 'kube-admin', order } as const;
  return readClusterPolicy(fields, meta, head, ADMIN_STYLE);
}

/** There is one in a cluster, so it has no priority: it comes after everything else in its tier. */
export function parseBaselineAdminNetworkPolicy(spec: Cursor, meta: Metadata): Policy {
  if (meta.name !== 'default') {
    const text = `${show(meta.name)} should be "default", the only one of its kind; it is used all the same`;
    warn(meta.nameAt, 'name-style', text);
  }
  const fields = readFields(spec, ['subject', 'ingress', 'egress'], 'scope');
  const head = {
    policyKind: 'BaselineAdminNetworkPolicy',
    tier: 'kube-baseline',
    order: undefined,
  } as const;
  return readClusterPolicy(fields, meta, head, BASELINE_STYLE);
}

function readPort(at: Cursor): PortEntry | undefined {
  const fields = readFields(at, ['portNumber', 'portRange', 'namedPort'], 'strict');
  const given = Object.values(fields).filter((field) => !isAbsent(field));
  if (given.length !== 1) {
    return fail(at, 'port-invalid', 'expected exactly one of portNumber, portRange and namedPort');
  }
  if (!isAbsent(fields.namedPort)) {
    const name = readPortName(fields.namedPort);
    return name === undefined ? undefined : { protocol: undefined, port: { kind: 'named', name } };
  }
  return isAbsent(fields.portNumber)
    ? readPortRange(fields.portRange)
    : readPortNumber(fields.portNumber);
}

function readPortNumber(at: Cursor): PortEntry {
  const fields = readFields(at, ['protocol', 'port'], 'strict');
  requirePresent(fields.port, 'the port');
  const port = readInteger(fields.port, 1, MAX_PORT);
  const range = port === undefined ? undefined : toRange(fields.port, port, port);
  return { protocol: readTransport(fields.protocol), port: range };
}

function readPortRange(at: Cursor): PortEntry {
  return { protocol: readTransport(fieldOf(at, 'protocol')), port: readRange(at, 'protocol') };
}
