/** Host endpoints: interfaces of a node under policy. Source: specification section 1.6. */
import type { HostEndpoint } from '../cluster.ts';
import { ADDRESS_EFFECT, readInterfaceName, readProfileNames } from './endpoint-parts.ts';
import { type Metadata, toLabels } from './metadata.ts';
import { readRequiredName } from './names.ts';
import { readAddress, uniqueAddresses } from './nets.ts';
import { readEndpointPorts } from './ports.ts';
import { type Cursor, fail, isAbsent, readEach, readFields } from './reader.ts';

const FIELDS = ['node', 'interfaceName', 'expectedIPs', 'profiles', 'ports'] as const;

export function parseHostEndpoint(spec: Cursor, meta: Metadata): HostEndpoint {
  const fields = readFields(spec, FIELDS, 'scope');
  const interfaceName = readInterfaceName(fields.interfaceName, 'or-all');
  const expectedIPs = uniqueAddresses(readEach(fields.expectedIPs, ADDRESS_EFFECT, readAddress));
  const isNamed = !isAbsent(fields.interfaceName) && fields.interfaceName.value !== '';
  if (!isNamed && expectedIPs.length === 0) {
    const text = 'at least one of interfaceName or expectedIPs must be specified';
    fail(fields.interfaceName, 'interface-missing', text);
  }
  return {
    kind: 'HostEndpoint',
    name: meta.name,
    node: readRequiredName(fields.node, 'node must be specified: it') ?? '',
    labels: toLabels(meta.labels),
    interfaceName,
    expectedIPs,
    profiles: readProfileNames(fields.profiles),
    ports: readEndpointPorts(fields.ports),
  };
}
