/**
 * What is wrong with objects of the API, as Events on them. Comes in: what happens in the agent. Goes out: events to the sink. Objects from
 * the directory have nowhere to put an event.
 */
import { policyId } from '../../compiler/model/policy.ts';
import type { Refusal } from '../dataplane/dataplane.ts';
import type { Engine } from '../engine/engine.ts';
import { printRefusal } from '../engine/engine.ts';
import { ApiClient } from '../kube/client.ts';
import { EventSink } from '../kube/events.ts';
import type { ObjectReference } from '../kube/events.ts';
import type { KubernetesSource } from '../kube/kubernetes-source.ts';
import { isJsonObject } from '../kube/trim.ts';
import type { Log } from '../obs/log.ts';
import type { Agent } from '../runner/agent.ts';
import type { Finding } from '../store/store.ts';
import type { RawEvent } from '../watch/event.ts';
import { sourceKey } from '../watch/source.ts';

/** Kinds whose owners do not write policy, and that come in masses. */
const OTHERS = new Set(['Pod', 'Namespace', 'ServiceAccount', 'Node', 'Service', 'EndpointSlice']);

/** Until `signal` aborts. Nothing that is enforced waits for it. */
export function tellObjects(
  agent: Agent,
  { parts }: KubernetesSource,
  log: Log,
  signal: AbortSignal,
): void {
  const { access, timing, limits, node } = parts;
  const client = new ApiClient(access, limits);
  const onRefused = (message: string): void => log.warn(message);
  const sink = new EventSink({ client, timing, limits, node, onRefused });
  agent.state.objectEvents = sink;
  const references = new Map<string, ObjectReference>();
  agent.events.on('taken', ({ source, batch, findings }) => {
    if (source !== 'kubernetes') return;
    for (const event of batch.events) note(references, event);
    for (const finding of findings) {
      const object = references.get(finding.object);
      if (object === undefined || finding.severity !== 'error') continue;
      sink.report({ object, reason: 'InvalidPolicy', message: printFinding(finding) });
    }
  });
  agent.events.on('applied', ({ report }) => {
    for (const refusal of report.quarantined) {
      const object = objectOf(refusal, agent.engine, references);
      if (object === undefined) continue;
      const message = `enforced fail closed: ${printRefusal(refusal)}`;
      sink.report({ object, reason: 'RefusedByKernel', message });
    }
  });
  void sink.run(signal);
}

function note(references: Map<string, ObjectReference>, event: RawEvent): void {
  const [, kind = ''] = event.key.split('/', 2);
  if (OTHERS.has(kind)) return;
  const reference = event.op === 'put' ? referenceTo(event.object) : undefined;
  if (reference === undefined) references.delete(event.key);
  else references.set(event.key, reference);
}

/** As the API has it: Calico's own name may be another one. */
function referenceTo(object: unknown): ObjectReference | undefined {
  if (!isJsonObject(object) || !isJsonObject(object['metadata'])) return undefined;
  const { name, namespace, uid } = object['metadata'];
  const { apiVersion, kind } = object;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof name !== 'string') {
    return undefined;
  }
  return {
    apiVersion,
    kind,
    name,
    namespace: typeof namespace === 'string' ? namespace : '',
    uid: typeof uid === 'string' ? uid : undefined,
  };
}

/** `spec.ingress[0].protocol: …`, as in the log. */
function printFinding({ path, message }: Finding): string {
  return path === '' ? message : `${path}: ${message}`;
}

/** The policy that the refused rule is of, where it comes from the API. Rare, so it may be searched for. */
function objectOf(
  { op }: Refusal,
  { store }: Engine,
  references: ReadonlyMap<string, ObjectReference>,
): ObjectReference | undefined {
  const [id] = op?.origin.split(' ') ?? [];
  for (const [key, reference] of references) {
    const resource = store.resource(sourceKey('kubernetes', key));
    const isIt = resource?.kind === 'Policy' && policyId(resource) === id;
    // The same object on disk counts instead.
    if (isIt && store.resource(sourceKey('disk', key)) === undefined) return reference;
  }
  return undefined;
}
