/** Nodes: labels, and every address that Kubernetes or Calico knows of them. Source: specification section 1.9. */
import type { Node } from '../cluster.ts';
import { type Address, toAddress } from '../ip.ts';
import { ADDRESS_EFFECT } from './endpoint-parts.ts';
import { type Metadata, readLabels, toLabels } from './metadata.ts';
import { readAddress, uniqueAddresses } from './nets.ts';
import { type Cursor, attempt, child, fail, fieldOf, readEach, readJson, show } from './reader.ts';

/** An address, some with the prefix length of the node's network. */
const ADDRESS_ANNOTATIONS = [
  'projectcalico.org/IPv4Address',
  'projectcalico.org/IPv6Address',
  'projectcalico.org/IPv4IPIPTunnelAddr',
  'projectcalico.org/IPv4VXLANTunnelAddr',
  'projectcalico.org/IPv6VXLANTunnelAddr',
  'projectcalico.org/IPv4WireguardInterfaceAddr',
  'projectcalico.org/IPv6WireguardInterfaceAddr',
];

const LABELS_ANNOTATION = 'projectcalico.org/labels';

const ADDRESS_TYPES: readonly unknown[] = ['InternalIP', 'ExternalIP'];

export function parseNode(root: Cursor, meta: Metadata): Node {
  const reported = readEach(fieldOf(fieldOf(root, 'status'), 'addresses'), ADDRESS_EFFECT, (at) =>
    ADDRESS_TYPES.includes(fieldOf(at, 'type').value)
      ? readAddress(fieldOf(at, 'address'))
      : undefined,
  );
  return {
    kind: 'Node',
    name: meta.name,
    labels: toLabels([...meta.labels, ...readCalicoLabels(meta)]),
    addresses: uniqueAddresses([...reported, ...readAnnotations(meta)]),
  };
}

function readAnnotations(meta: Metadata): readonly Address[] {
  return ADDRESS_ANNOTATIONS.flatMap((key) => {
    const text = meta.annotations.get(key);
    if (text === undefined || text === '') return [];
    const at = child(meta.annotationsAt, key, text);
    return attempt(at, ADDRESS_EFFECT, (field) => readNodeAddress(field, text)) ?? [];
  });
}

function readNodeAddress(at: Cursor, text: string): Address | undefined {
  const address = toAddress(text.replace(/\/\d+$/, ''));
  return address ?? fail(at, 'address-invalid', `${show(text)} is not an IP address`);
}

function readCalicoLabels(meta: Metadata): ReadonlyMap<string, string> {
  const text = meta.annotations.get(LABELS_ANNOTATION);
  if (text === undefined) return new Map();
  const at = child(meta.annotationsAt, LABELS_ANNOTATION, text);
  const read = attempt(at, 'these labels are left out', (field) =>
    readLabels({ ...field, value: readJson(text)?.value ?? text }),
  );
  return read ?? new Map();
}
