/**
 * Pods as workload endpoints. Comes in: a Pod, whole or trimmed; goes out: an endpoint, inactive while the pod has no network
 * of its own. Does not know interfaces: the agent finds them. Source: specification section 10.
 */
import type { NamedPort, WorkloadEndpoint } from '../cluster.ts';
import type { Address, Cidr } from '../ip.ts';
import { ADDRESS_EFFECT, type PodContext, allowSources, readOwnLabels } from './endpoint-parts.ts';
import { type Metadata, toLabels } from './metadata.ts';
import { readName } from './names.ts';
import { readAddress, readHostNet, uniqueAddresses } from './nets.ts';
import { MAX_PORT, PORT_EFFECT, readPortName } from './ports.ts';
import { TRANSPORTS, readTransport } from './protocol.ts';
import {
  type Cursor,
  attempt,
  child,
  fieldOf,
  isAbsent,
  readBoolean,
  readEach,
  readFields,
  readInteger,
  readJson,
  readList,
  readString,
} from './reader.ts';
import {
  KUBERNETES,
  NAMESPACE_LABEL,
  ORCHESTRATOR_LABEL,
  SERVICE_ACCOUNT_LABEL,
  namespaceProfile,
  serviceAccountProfile,
} from './well-known.ts';

const SPEC_FIELDS = [
  'nodeName',
  'hostNetwork',
  'serviceAccountName',
  'serviceAccount',
  'containers',
  'initContainers',
] as const;

const POD_IP = 'cni.projectcalico.org/podIP';
const POD_IPS = 'cni.projectcalico.org/podIPs';
const AWS_POD_IPS = 'vpc.amazonaws.com/pod-ips';
const SOURCE_PREFIXES = 'cni.projectcalico.org/allowedSourcePrefixes';

const FINISHED_PHASES = ['Failed', 'Succeeded', 'Completed'];

export function parsePod(root: Cursor, meta: Metadata, context: PodContext): WorkloadEndpoint {
  const spec = readFields(fieldOf(root, 'spec'), SPEC_FIELDS, 'open');
  const status = readFields(fieldOf(root, 'status'), ['phase', 'podIP', 'podIPs'], 'open');
  const { namespace, name } = meta;
  const node = readName(spec.nodeName) ?? '';
  const hostNetwork = readBoolean(spec.hostNetwork) ?? false;
  const active = node !== '' && !hostNetwork && !isFinished(meta, readString(status.phase) ?? '');
  const account = readName(spec.serviceAccountName) ?? readName(spec.serviceAccount);
  return {
    kind: 'WorkloadEndpoint',
    id: `${namespace}/${name}`,
    node,
    namespace,
    name,
    labels: toLabels(readPodLabels(meta, account)),
    profiles: [
      namespaceProfile(namespace),
      ...(account === undefined ? [] : [serviceAccountProfile(namespace, account)]),
    ],
    addresses: active ? readPodAddresses(status, meta) : [],
    interfaceName: undefined,
    ports: [...readContainers(spec.containers), ...readContainers(spec.initContainers)],
    allowedSourcePrefixes: readSourcePrefixes(meta, context),
    active,
    createdMs: meta.createdMs,
    isPod: true,
  };
}

/** While it only terminates, a pod keeps its addresses; the network plugin says when they are gone. */
function isFinished({ annotations, isDeleting }: Metadata, phase: string): boolean {
  if (FINISHED_PHASES.includes(phase)) return true;
  return isDeleting && (annotations.get(POD_IP) === '' || annotations.get(AWS_POD_IPS) === '');
}

function readPodLabels(meta: Metadata, serviceAccount: string | undefined): Map<string, string> {
  const labels = readOwnLabels(meta);
  labels.set(NAMESPACE_LABEL, meta.namespace);
  labels.set(ORCHESTRATOR_LABEL, KUBERNETES);
  if (serviceAccount !== undefined) labels.set(SERVICE_ACCOUNT_LABEL, serviceAccount);
  else labels.delete(SERVICE_ACCOUNT_LABEL);
  return labels;
}

type StatusFields = Readonly<Record<'podIP' | 'podIPs', Cursor>>;

/** Of the first source that names any; annotations come before the kubelet's status is written. */
function readPodAddresses(status: StatusFields, meta: Metadata): readonly Address[] {
  const fromList = readList(status.podIPs).map((entry) => fieldOf(entry, 'ip'));
  const fromAnnotations = [POD_IPS, POD_IP, AWS_POD_IPS].map((key) =>
    (meta.annotations.get(key) ?? '')
      .split(',')
      .map((part) => child(meta.annotationsAt, key, part.trim())),
  );
  for (const source of [fromList, [status.podIP], ...fromAnnotations]) {
    const given = source.filter((at) => !isAbsent(at) && at.value !== '');
    const addresses = given.flatMap((at) => attempt(at, ADDRESS_EFFECT, readPodAddress) ?? []);
    if (given.length > 0) return uniqueAddresses(addresses);
  }
  return [];
}

/** The network plugin writes prefixes, the kubelet addresses. */
function readPodAddress(at: Cursor): Address | undefined {
  return typeof at.value === 'string' && at.value.includes('/') ? readHostNet(at) : readAddress(at);
}

function readContainers(at: Cursor): readonly NamedPort[] {
  return readList(at).flatMap((container) =>
    readEach(fieldOf(container, 'ports'), PORT_EFFECT, readContainerPort),
  );
}

/** Ports without name or number are of no use to policies. */
function readContainerPort(at: Cursor): NamedPort | undefined {
  const fields = readFields(at, ['name', 'containerPort', 'protocol'], 'open');
  if (isAbsent(fields.name) || fields.name.value === '') return undefined;
  const name = readPortName(fields.name);
  const port = readInteger(fields.containerPort, 0, MAX_PORT) ?? 0;
  const protocol = readTransport(fields.protocol);
  if (name === undefined || port === 0 || protocol === undefined) return undefined;
  return { name, protocol: TRANSPORTS[protocol], port };
}

/** DEVIATION: Calico ignores a pod whose prefixes it does not accept; here such a pod is only refused the prefixes. */
function readSourcePrefixes(meta: Metadata, context: PodContext): readonly Cidr[] {
  const text = meta.annotations.get(SOURCE_PREFIXES);
  if (text === undefined) return [];
  const at = child(meta.annotationsAt, SOURCE_PREFIXES, text);
  const value = readJson(text)?.value;
  return allowSources({ ...at, value: value ?? text }, context);
}
