/** Stored profiles: rules after all tiers, and labels that endpoints inherit. Source: specification section 1.8. */
import type { Profile } from '../cluster.ts';
import { MAX_RULES, readRules } from './calico-rule.ts';
import { type Metadata, readLabels, toLabels } from './metadata.ts';
import { type Cursor, fail, readFields, readList } from './reader.ts';

/** Always present, and never from a manifest. */
const DEFAULT_ALLOW = 'projectcalico-default-allow';

export function parseProfile(spec: Cursor, meta: Metadata): Profile {
  const { name } = meta;
  if (name === DEFAULT_ALLOW) {
    fail(meta.nameAt, 'profile-built-in', 'this profile is built in and cannot be changed');
  }
  const fields = readFields(spec, ['ingress', 'egress', 'labelsToApply'], 'scope');
  const [ingress, egress] = [
    readList(fields.ingress, MAX_RULES),
    readList(fields.egress, MAX_RULES),
  ];
  return {
    kind: 'Profile',
    name,
    ingress: readRules(ingress, { direction: 'ingress', namespace: undefined }),
    egress: readRules(egress, { direction: 'egress', namespace: undefined }),
    labelsToApply: toLabels(readLabels(fields.labelsToApply)),
  };
}
