/**
 * EndpointSlices as members of a service. Readiness does not count. A slice of no service, or of host names, is of no use and
 * has no value. Source: specification section 1.13.
 */
import type { ServiceEndpoints } from '../cluster.ts';
import { ADDRESS_EFFECT } from './endpoint-parts.ts';
import type { Metadata } from './metadata.ts';
import { isDnsSubdomain } from './names.ts';
import { readAddress, uniqueAddresses } from './nets.ts';
import { MAX_PORT } from './ports.ts';
import { TRANSPORTS, readTransport } from './protocol.ts';
import {
  type Cursor,
  attempt,
  child,
  fail,
  fieldOf,
  readEach,
  readFields,
  readInteger,
  readList,
  show,
} from './reader.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';

export function parseEndpointSlice(root: Cursor, meta: Metadata): ServiceEndpoints | undefined {
  const service = meta.labels.get(SERVICE_NAME);
  const fields = readFields(root, ['addressType', 'endpoints', 'ports'], 'open');
  if (service === undefined || service === '' || fields.addressType.value === 'FQDN')
    return undefined;
  if (!isDnsSubdomain(service)) {
    const at = child(meta.labelsAt, SERVICE_NAME, service);
    return fail(at, 'bad-name', `${show(service)} is not the name of a service`);
  }
  return {
    kind: 'ServiceEndpoints',
    namespace: meta.namespace,
    name: meta.name,
    service,
    addresses: uniqueAddresses(
      readList(fields.endpoints).flatMap((endpoint) =>
        readEach(fieldOf(endpoint, 'addresses'), ADDRESS_EFFECT, readAddress),
      ),
    ),
    ports: readEach(fields.ports, 'this port is left out', readPort),
  };
}

type ServicePort = ServiceEndpoints['ports'][number];

/** Nothing for a port without number: it says "all ports", which destinations cannot be matched by. */
function readPort(at: Cursor): ServicePort | undefined {
  const fields = readFields(at, ['protocol', 'port'], 'open');
  const protocol = attempt(fields.protocol, 'it is taken for TCP', readTransport) ?? 'TCP';
  const port = readInteger(fields.port, 1, MAX_PORT);
  return port === undefined ? undefined : { protocol: TRANSPORTS[protocol], port };
}
