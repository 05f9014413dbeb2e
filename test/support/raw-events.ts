/** Manifest objects as sources deliver them, in short form. Objects in, raw events out; nothing is checked. */
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import type { Dataplane } from '../../agent/dataplane/dataplane.ts';
import { Engine } from '../../agent/engine/engine.ts';
import type { RawEvent } from '../../agent/watch/event.ts';
import { resourceKey } from '../../compiler/model/parse/resource.ts';
import { NODE } from './world.ts';

/** An engine for NODE with the default configuration. */
export function openEngine(dataplane: Dataplane): Engine {
  return new Engine({ node: NODE, base: DEFAULT_BASE_CONFIG, parse: {} }, dataplane);
}

const ORIGIN = { source: 'test', lineOf: () => undefined };

/** Throws on an object that names nothing. */
export function keyOf(object: unknown): string {
  const identity = resourceKey(object);
  if ('issue' in identity) throw new TypeError(identity.issue.message);
  return identity.key;
}

export function put(object: object): RawEvent {
  return { op: 'put', key: keyOf(object), object, origin: ORIGIN };
}

export function remove(object: object): RawEvent {
  return { op: 'delete', key: keyOf(object) };
}

type Labels = Readonly<Record<string, string>>;

export interface PodPart {
  readonly node?: string;
  readonly labels?: Labels;
  readonly serviceAccount?: string;
  /** ISO time of creation. */
  readonly created?: string;
  readonly phase?: string;
}

/** `ns/name`, running on NODE unless `part` says otherwise. */
export function pod(id: string, ips: readonly string[], part: PodPart = {}): object {
  const [namespace, name] = id.split('/');
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: part.labels ?? {},
      creationTimestamp: part.created ?? '2026-01-01T00:00:00Z',
    },
    spec: {
      nodeName: part.node ?? NODE,
      serviceAccountName: part.serviceAccount ?? 'default',
      containers: [{ name: 'c', image: 'i' }],
    },
    status: {
      phase: part.phase ?? 'Running',
      podIP: ips[0],
      podIPs: ips.map((ip) => ({ ip })),
    },
  };
}

export function namespaceObject(name: string, labels: Labels = {}): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

export function serviceAccountObject(id: string, labels: Labels = {}): object {
  const [namespace, name] = id.split('/');
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace, labels } };
}

/** A `projectcalico.org/v3` object; `ns/name` for namespaced kinds. */
export function v3(kind: string, id: string, spec: object, labels: Labels = {}): object {
  const slash = id.indexOf('/');
  const metadata =
    slash < 0
      ? { name: id, labels }
      : { namespace: id.slice(0, slash), name: id.slice(slash + 1), labels };
  return { apiVersion: 'projectcalico.org/v3', kind, metadata, spec };
}
