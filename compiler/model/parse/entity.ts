/**
 * One side of a Calico rule. Comes in: `source` or `destination` as written; goes out: an `EntityMatch`. Every condition that
 * cannot be read is an error of the whole rule. Refuses to know the other side and the protocol. Source: specification 1.14.
 */
import type { Cidr } from '../ip.ts';
import {
  ANY_ENTITY,
  type Direction,
  type EntityMatch,
  type ServiceAccountMatch,
} from '../policy.ts';
import { readName } from './names.ts';
import { readNets, uniqueNets } from './nets.ts';
import { readPorts } from './ports.ts';
import {
  type Cursor,
  fail,
  isAbsent,
  isObject,
  readFields,
  readList,
  requirePresent,
} from './reader.ts';
import { readSelector } from './selector-field.ts';

/** Where a rule stands. */
export interface RuleScope {
  readonly direction: Direction;
  /** The policy's; `undefined` for policies and profiles of the whole cluster. */
  readonly namespace: string | undefined;
}

export type Side = 'source' | 'destination';

/** Entries of one net list. */
const MAX_NETS = 256;

const FIELDS = [
  'nets',
  'notNets',
  'selector',
  'notSelector',
  'namespaceSelector',
  'serviceAccounts',
  'ports',
  'notPorts',
  'services',
] as const;

type EntityFields = Readonly<Record<(typeof FIELDS)[number], Cursor>>;

export function readEntity(at: Cursor, side: Side, scope: RuleScope): EntityMatch {
  if (isAbsent(at)) return ANY_ENTITY;
  const fields = readFields(at, FIELDS, 'strict');
  return {
    nets: uniqueNets(readNets(fields.nets, 'rule', MAX_NETS)),
    notNets: readNotNets(fields.notNets),
    selector: readSelector(fields.selector, 'never'),
    notSelector: readSelector(fields.notSelector, 'anywhere'),
    namespaceSelector: readSelector(fields.namespaceSelector, 'alone'),
    serviceAccounts: readServiceAccounts(fields.serviceAccounts),
    ports: readPorts(fields.ports),
    notPorts: readPorts(fields.notPorts),
    service: readServices(fields, side, scope),
  };
}

function readNotNets(at: Cursor): readonly Cidr[] {
  const nets = readNets(at, 'rule', MAX_NETS);
  if (nets.some(({ prefixLen }) => prefixLen === 0)) {
    fail(
      at,
      'net-excludes-all',
      'notNets must not contain 0.0.0.0/0 or ::/0, which leaves no address',
    );
  }
  return uniqueNets(nets);
}

function readServiceAccounts(at: Cursor): ServiceAccountMatch | undefined {
  if (isAbsent(at)) return undefined;
  const fields = readFields(at, ['names', 'selector'], 'strict');
  const names = readList(fields.names).flatMap((entry) => {
    if (!requirePresent(entry, 'the service account name')) return [];
    if (entry.value === '') fail(entry, 'bad-name', 'a service account name is empty');
    return readName(entry) ?? [];
  });
  const selector = readSelector(fields.selector, 'anywhere');
  if (names.length === 0 && selector === undefined) return undefined;
  return { names: [...new Set(names)], selector };
}

/** What `services` excludes, in the API's words. */
const SERVICES_CONFLICTS = [
  ['namespaceSelector', 'cannot specify NamespaceSelector and Services on the same rule'],
  ['serviceAccounts', 'cannot specify ServiceAccounts and Services on the same rule'],
  ['selector', 'cannot specify Selector/NotSelector and Services on the same rule'],
  ['notSelector', 'cannot specify Selector/NotSelector and Services on the same rule'],
  ['nets', 'cannot specify Nets/NotNets and Services on the same rule'],
  ['notNets', 'cannot specify Nets/NotNets and Services on the same rule'],
] as const;

function readServices(
  { services: at, ...others }: EntityFields,
  side: Side,
  scope: RuleScope,
): EntityMatch['service'] {
  if (isAbsent(at)) return undefined;
  const fields = readFields(at, ['name', 'namespace'], 'strict');
  for (const [field, text] of SERVICES_CONFLICTS) {
    if (isGiven(others[field])) fail(others[field], 'services-conflict', text);
  }
  for (const ports of side === 'destination' ? [others.ports, others.notPorts] : []) {
    if (isGiven(ports)) {
      fail(ports, 'services-conflict', 'ports and notPorts cannot be specified with services');
    }
  }
  if (side !== (scope.direction === 'ingress' ? 'source' : 'destination')) {
    const text =
      'services can only be used in the source of ingress and the destination of egress rules';
    fail(at, 'services-misplaced', text);
  }
  const name = readName(fields.name);
  if (isAbsent(fields.name) || fields.name.value === '') {
    fail(fields.name, 'missing', 'services must specify a service name');
  }
  const namespace = readName(fields.namespace) ?? scope.namespace;
  if (namespace === undefined) {
    const text = 'services must specify a namespace in a policy that has none';
    fail(fields.namespace, 'services-namespace', text);
  }
  return name === undefined || namespace === undefined ? undefined : { namespace, name };
}

/** Not absent, and not the empty value of its type. */
function isGiven({ value }: Cursor): boolean {
  if (value === undefined || value === null || value === '') return false;
  if (Array.isArray(value)) return value.length > 0;
  return !isObject(value) || Object.keys(value).length > 0;
}
