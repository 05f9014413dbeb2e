/**
 * Objects of the API to what policy reads of them, so that memory and work grow with that and not with what pods carry. Comes in: a
 * decoded object; goes out: a smaller one, of the same shape. What has an unexpected shape stays as it is: the parser reports it.
 */

export type JsonObject = Readonly<Record<string, unknown>>;

/** `undefined` = such an object is not read. `metadata` is trimmed already. */
export type Trim = (object: JsonObject, metadata: JsonObject) => JsonObject | undefined;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const METADATA = [
  'name',
  'namespace',
  'uid',
  'labels',
  'creationTimestamp',
  'deletionTimestamp',
] as const;

/** Only annotations that are read somewhere; no managedFields. */
export function trimMetadata(metadata: JsonObject): JsonObject {
  const { annotations } = metadata;
  return {
    ...pick(metadata, METADATA),
    ...(isJsonObject(annotations) ? { annotations: trimAnnotations(annotations) } : {}),
  };
}

const ANNOTATION_DOMAINS = ['picket/', 'projectcalico.org/', 'vpc.amazonaws.com/'];

function trimAnnotations(annotations: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(annotations).filter(([key]) =>
      ANNOTATION_DOMAINS.some((domain) => key.includes(domain)),
    ),
  );
}

export const trimMetadataOnly: Trim = (_object, metadata) => ({ metadata });

/** Calico's API server shows these profiles; they are made from namespaces and service accounts. */
const DERIVED_PROFILE = /^(?:kns|ksa)\./;

export const trimPolicy: Trim = ({ kind, spec }, metadata) => {
  if (kind === 'Profile' && DERIVED_PROFILE.test(String(metadata['name']))) return undefined;
  if (kind === 'WorkloadEndpoint' && isOfPod(spec)) return undefined;
  return { metadata, ...(spec === undefined ? {} : { spec }) };
};

function isOfPod(spec: unknown): boolean {
  return isJsonObject(spec) && spec['orchestrator'] === 'k8s';
}

export const trimPod: Trim = ({ spec, status }, metadata) => ({
  metadata,
  spec: isJsonObject(spec)
    ? {
        ...pick(spec, ['nodeName', 'hostNetwork', 'serviceAccountName', 'serviceAccount']),
        containers: mapList(spec['containers'], trimContainer),
        ...(spec['initContainers'] === undefined
          ? {}
          : { initContainers: mapList(spec['initContainers'], trimContainer) }),
      }
    : spec,
  status: isJsonObject(status) ? pick(status, ['phase', 'podIP', 'podIPs']) : status,
});

function trimContainer(container: JsonObject): JsonObject {
  const { ports } = container;
  if (ports === undefined) return {};
  return { ports: mapList(ports, (port) => pick(port, ['name', 'containerPort', 'protocol'])) };
}

export const trimNode: Trim = ({ status }, metadata) => ({
  metadata,
  status: isJsonObject(status) ? pick(status, ['addresses']) : status,
});

/** Readiness is not read, so its changes cost nothing. */
export const trimEndpointSlice: Trim = ({ addressType, endpoints, ports }, metadata) => ({
  metadata,
  addressType,
  endpoints: mapList(endpoints, (endpoint) => pick(endpoint, ['addresses'])),
  ports: mapList(ports, (port) => pick(port, ['protocol', 'port'])),
});

/** Levels of lists and objects in one another; policies have less than ten. */
const MAX_DEPTH = 64;

/** Deeper than anything that is read, so that nothing that recurses runs out of stack. */
export function isTooDeep(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth >= MAX_DEPTH || Object.values(value).some((each) => isTooDeep(each, depth + 1));
}

function pick(object: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(
    names.filter((name) => object[name] !== undefined).map((name) => [name, object[name]]),
  );
}

function mapList(list: unknown, map: (item: JsonObject) => JsonObject): unknown {
  if (!Array.isArray(list)) return list;
  return list.map((item: unknown) => (isJsonObject(item) ? map(item) : item));
}
