/**
 * Domain values as manifests that parse to them, or to something near: for tests that give random worlds to the whole agent. Whoever compares
 * parses the manifest again, so that what a manifest cannot say does not matter. Kinds of Kubernetes policies become Calico's.
 */
import type { Resource, NamedPort } from '../../compiler/model/cluster.ts';
import { printAddress, printCidr } from '../../compiler/model/ip.ts';
import type {
  EntityMatch,
  Policy,
  PortMatch,
  ProtocolMatch,
  Rule,
} from '../../compiler/model/policy.ts';
import type { Selector } from '../../compiler/model/selector.ts';
import { printSelector } from '../../compiler/model/selector-text.ts';
import type { ManifestObject } from './api-server/object-store.ts';
import { v3 } from './raw-events.ts';

const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' };

/** `undefined` for what comes from no object of its own. */
export function manifestOf(resource: Resource): ManifestObject | undefined {
  return objectOf(resource) as ManifestObject | undefined;
}

function objectOf(resource: Resource): object | undefined {
  switch (resource.kind) {
    case 'Policy':
      return policyObject(resource);
    case 'Tier': {
      const { name, order, defaultAction } = resource;
      return v3('Tier', name, { order, defaultAction: title(defaultAction) });
    }
    case 'Profile':
      return profileObject(resource.name, resource.labelsToApply, resource);
    case 'WorkloadEndpoint':
      return podObject(resource);
    case 'HostEndpoint': {
      const { node, interfaceName, expectedIPs, profiles, ports } = resource;
      const addresses = expectedIPs.map(printAddress);
      const spec = { node, interfaceName, expectedIPs: addresses, profiles };
      return v3(
        'HostEndpoint',
        resource.name,
        { ...spec, ports: ports.map(printNamed) },
        resource.labels,
      );
    }
    case 'NetworkSet': {
      const { namespace, name, labels, nets } = resource;
      const { 'projectcalico.org/namespace': _, ...own } = labels;
      const spec = { nets: nets.map(printCidr) };
      return namespace === undefined
        ? v3('GlobalNetworkSet', name, spec, own)
        : v3('NetworkSet', `${namespace}/${name}`, spec, own);
    }
    case 'ServiceEndpoints': {
      const { namespace, name, service, addresses, ports } = resource;
      return {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { namespace, name, labels: { 'kubernetes.io/service-name': service } },
        addressType: 'IPv4',
        endpoints: [
          { addresses: addresses.filter(({ family }) => family === 4).map(printAddress) },
        ],
        ports: ports.map(({ protocol, port }) => ({ protocol: PROTOCOL_NAMES[protocol], port })),
      };
    }
    case 'Node': {
      const addresses = resource.addresses.map((at) => ({
        type: 'InternalIP',
        address: printAddress(at),
      }));
      const metadata = { name: resource.name, labels: resource.labels };
      return { apiVersion: 'v1', kind: 'Node', metadata, status: { addresses } };
    }
    case 'Service':
    case 'FelixConfiguration':
      return undefined;
  }
}

function policyObject(policy: Policy): object {
  const { namespace, name, tier, order, types, preDnat, doNotTrack, applyOnForward } = policy;
  const kind = `${policy.staged ? 'Staged' : ''}${namespace === undefined ? 'Global' : ''}NetworkPolicy`;
  const isOfHost = preDnat || doNotTrack;
  const spec = {
    tier,
    order,
    selector: text(policy.selector),
    serviceAccountSelector: text(policy.serviceAccountSelector),
    types: types.filter((type) => !(preDnat && type === 'egress')).map(title),
    ingress: policy.ingress.map(printRule),
    ...(preDnat ? {} : { egress: policy.egress.map(printRule) }),
    ...(namespace === undefined ? { namespaceSelector: text(policy.namespaceSelector) } : {}),
    ...(applyOnForward ? { applyOnForward, preDNAT: preDnat, doNotTrack } : {}),
    ...(isOfHost ? { serviceAccountSelector: undefined, namespaceSelector: undefined } : {}),
  };
  return v3(kind, namespace === undefined ? name : `${namespace}/${name}`, spec);
}

function profileObject(
  profile: string,
  labels: Readonly<Record<string, string>>,
  rules: { readonly ingress: readonly Rule[]; readonly egress: readonly Rule[] },
): object {
  const [, kind, namespace, account] = /^(kns|ksa)\.([^.]+)(?:\.(.+))?$/.exec(profile) ?? [];
  const own = Object.fromEntries(
    Object.entries(labels).flatMap(([key, value]) =>
      /^pc(ns|sa)\.projectcalico/.test(key) ? [] : [[key.replace(/^pc(ns|sa)\./, ''), value]],
    ),
  );
  if (kind === 'kns')
    return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: own } };
  if (kind === 'ksa') {
    const metadata = { namespace, name: account, labels: own };
    return { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
  }
  const spec = { ingress: rules.ingress.map(printRule), egress: rules.egress.map(printRule) };
  return v3('Profile', profile, { ...spec, labelsToApply: labels });
}

function podObject(endpoint: Extract<Resource, { kind: 'WorkloadEndpoint' }>): object {
  const { namespace, name, node, ports, addresses, active, createdMs } = endpoint;
  const labels = Object.entries(endpoint.labels).filter(
    ([key]) => !key.startsWith('projectcalico.org/'),
  );
  const creationTimestamp = new Date(Date.UTC(2026, 0, 1) + createdMs * 1000).toISOString();
  const containerPorts = ports.map((port) => ({
    name: port.name,
    protocol: PROTOCOL_NAMES[port.protocol],
    containerPort: port.port,
  }));
  const account = endpoint.labels['projectcalico.org/serviceaccount'];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: Object.fromEntries(labels), creationTimestamp },
    spec: {
      nodeName: node,
      ...(account === undefined ? {} : { serviceAccountName: account }),
      containers: [{ name: 'c', image: 'i', ports: containerPorts }],
    },
    status: {
      phase: active ? 'Running' : 'Succeeded',
      podIPs: addresses.map((at) => ({ ip: printAddress(at) })),
    },
  };
}

/** What an invalid rule has become is written as a rule that is invalid. */
function printRule({ action, name, match }: Rule): object {
  const head = {
    action: title(action),
    ...(name === undefined ? {} : { metadata: { annotations: { name } } }),
  };
  if (typeof match === 'string')
    return {
      ...head,
      protocol: match === 'everything' && action === 'allow' ? undefined : 'Nonsense',
    };
  const { ipVersion, protocol, notProtocol, icmp, notIcmp, source, destination } = match;
  return {
    ...head,
    ipVersion,
    protocol: printProtocol(protocol),
    notProtocol: printProtocol(notProtocol),
    icmp,
    notICMP: notIcmp,
    source: printEntity(source),
    destination: printEntity(destination),
  };
}

function printProtocol(protocol: ProtocolMatch | undefined): string | number | undefined {
  if (protocol?.family !== undefined) return protocol.family === 4 ? 'ICMP' : 'ICMPv6';
  return protocol && (PROTOCOL_NAMES[protocol.number] ?? protocol.number);
}

function printEntity(side: EntityMatch): object {
  return {
    nets: side.nets.map(printCidr),
    notNets: side.notNets.map(printCidr),
    selector: text(side.selector),
    notSelector: text(side.notSelector),
    namespaceSelector: text(side.namespaceSelector),
    serviceAccounts: side.serviceAccounts && {
      names: side.serviceAccounts.names,
      selector: text(side.serviceAccounts.selector),
    },
    ports: side.ports.map(printPort),
    notPorts: side.notPorts.map(printPort),
    services: side.service,
  };
}

function printPort(port: PortMatch): string | number {
  if (port.kind === 'named') return port.name;
  return port.first === port.last ? port.first : `${port.first}:${port.last}`;
}

function printNamed({ name, protocol, port }: NamedPort): object {
  return { name, protocol: PROTOCOL_NAMES[protocol], port };
}

function text(selector: Selector | undefined): string | undefined {
  return selector && printSelector(selector);
}

function title(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
