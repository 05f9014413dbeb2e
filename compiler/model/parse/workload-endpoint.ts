/** Workload endpoints that no Pod stands for: VMs, and other orchestrators' containers. Source: specification section 1.7. */
import type { WorkloadEndpoint } from '../cluster.ts';
import {
  ADDRESS_EFFECT,
  type PodContext,
  allowSources,
  readInterfaceName,
  readOwnLabels,
  readProfileNames,
} from './endpoint-parts.ts';
import { type Metadata, toLabels } from './metadata.ts';
import { readName, readRequiredName } from './names.ts';
import { readHostNet, uniqueAddresses } from './nets.ts';
import { readEndpointPorts } from './ports.ts';
import { type Cursor, fail, isAbsent, readEach, readFields, readString, warn } from './reader.ts';
import { NAMESPACE_LABEL, ORCHESTRATOR_LABEL, SERVICE_ACCOUNT_LABEL } from './well-known.ts';

const FIELDS = [
  'orchestrator',
  'workload',
  'node',
  'containerID',
  'pod',
  'endpoint',
  'serviceAccountName',
  'ipNetworks',
  'ipNATs',
  'ipv4Gateway',
  'ipv6Gateway',
  'profiles',
  'interfaceName',
  'mac',
  'ports',
  'allowSpoofedSourcePrefixes',
  'qosControls',
] as const;

type Fields = Readonly<Record<(typeof FIELDS)[number], Cursor>>;

export function parseWorkloadEndpoint(
  spec: Cursor,
  meta: Metadata,
  context: PodContext,
): WorkloadEndpoint {
  const fields = readFields(spec, FIELDS, 'scope');
  const { namespace, name } = meta;
  const addresses = readEach(fields.ipNetworks, ADDRESS_EFFECT, readHostNet);
  if (isAbsent(fields.interfaceName) || fields.interfaceName.value === '') {
    reportNoInterface(fields.interfaceName, addresses.length > 0);
  }
  return {
    kind: 'WorkloadEndpoint',
    id: `${namespace}/${name}`,
    node: readRequiredName(fields.node, 'the node') ?? '',
    namespace,
    name,
    labels: toLabels(readEndpointLabels(meta, fields)),
    profiles: readProfileNames(fields.profiles),
    addresses: uniqueAddresses(addresses),
    interfaceName: readInterfaceName(fields.interfaceName),
    ports: readEndpointPorts(fields.ports),
    allowedSourcePrefixes: allowSources(fields.allowSpoofedSourcePrefixes, context),
    active: true,
    createdMs: meta.createdMs,
    isPod: false,
  };
}

/** DEVIATION: Calico drops every such endpoint; one that has addresses can be governed by them. */
function reportNoInterface(at: Cursor, hasAddresses: boolean): void {
  const text = 'the endpoint has no interfaceName';
  if (hasAddresses) warn(at, 'interface-missing', `${text}; it is known by its addresses only`);
  else fail(at, 'interface-missing', `${text} and no ipNetworks`);
}

function readEndpointLabels(meta: Metadata, fields: Fields): Map<string, string> {
  const labels = readOwnLabels(meta);
  labels.set(NAMESPACE_LABEL, meta.namespace);
  setOrDelete(labels, ORCHESTRATOR_LABEL, readString(fields.orchestrator));
  setOrDelete(labels, SERVICE_ACCOUNT_LABEL, readName(fields.serviceAccountName));
  return labels;
}

function setOrDelete(labels: Map<string, string>, key: string, value: string | undefined): void {
  if (value === undefined || value === '') labels.delete(key);
  else labels.set(key, value);
}
