/** A service account is a profile without rules, which lends its labels to its pods. Source: specification section 1.8. */
import type { Profile } from '../cluster.ts';
import { type Metadata, toLabels } from './metadata.ts';
import { NAME_LABEL, SERVICE_ACCOUNT_PREFIX, serviceAccountProfile } from './well-known.ts';

export function parseServiceAccount({ namespace, name, labels }: Metadata): Profile {
  const inherited = new Map([...labels, [NAME_LABEL, name]]);
  return {
    kind: 'Profile',
    name: serviceAccountProfile(namespace, name),
    ingress: [],
    egress: [],
    labelsToApply: toLabels(
      [...inherited].map(([key, value]) => [SERVICE_ACCOUNT_PREFIX + key, value]),
    ),
  };
}
