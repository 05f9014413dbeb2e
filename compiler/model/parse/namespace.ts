/** A namespace is the profile of its pods: allow everything, and lend them its labels. Source: specification section 1.8. */
import type { Profile } from '../cluster.ts';
import type { Rule } from '../policy.ts';
import { type Metadata, toLabels } from './metadata.ts';
import { ANY_MATCH } from './rule-parts.ts';
import { NAME_LABEL, NAMESPACE_PREFIX, namespaceProfile } from './well-known.ts';

const ALLOW_ALL: readonly Rule[] = [
  { action: 'allow', index: 0, name: undefined, match: ANY_MATCH },
];

export function parseNamespace({ name, labels }: Metadata): Profile {
  const inherited = new Map([...labels, [NAME_LABEL, name]]);
  return {
    kind: 'Profile',
    name: namespaceProfile(name),
    ingress: ALLOW_ALL,
    egress: ALLOW_ALL,
    labelsToApply: toLabels([...inherited].map(([key, value]) => [NAMESPACE_PREFIX + key, value])),
  };
}
