/** NetworkSet and GlobalNetworkSet: named prefixes with labels. Source: specification section 1.5. */
import type { NetworkSet } from '../cluster.ts';
import { type Metadata, toLabels } from './metadata.ts';
import { readNet, uniqueNets } from './nets.ts';
import { type Cursor, child, readEach, readFields, warn } from './reader.ts';
import { NAMESPACE_LABEL, namespaceProfile } from './well-known.ts';

export function parseNetworkSet(spec: Cursor, meta: Metadata): NetworkSet {
  const { nets } = readFields(spec, ['nets'], 'scope');
  const namespace = meta.namespace === '' ? undefined : meta.namespace;
  return {
    kind: 'NetworkSet',
    namespace,
    name: meta.name,
    labels: toLabels(readSetLabels(meta, namespace)),
    profiles: namespace === undefined ? [] : [namespaceProfile(namespace)],
    nets: uniqueNets(readEach(nets, 'this entry is left out', (at) => readNet(at, 'set'))),
  };
}

/** A set without namespace must not pass for one that has it. */
function readSetLabels(meta: Metadata, namespace: string | undefined): Map<string, string> {
  const labels = new Map(meta.labels);
  const forged = labels.get(NAMESPACE_LABEL);
  if (forged !== undefined && forged !== namespace) {
    const at = child(meta.labelsAt, NAMESPACE_LABEL, forged);
    warn(at, 'label-reserved', `the label ${NAMESPACE_LABEL} is reserved; it is not used`);
  }
  if (namespace === undefined) labels.delete(NAMESPACE_LABEL);
  else labels.set(NAMESPACE_LABEL, namespace);
  return labels;
}
