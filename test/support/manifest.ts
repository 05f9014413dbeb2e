/** Short ways to write manifests and to read what parsing them gave. */
import { printPath } from '../../compiler/model/issue.ts';
import type { Issue } from '../../compiler/model/issue.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import type { Policy, Rule } from '../../compiler/model/policy.ts';
import { parseResource, type ParseContext } from '../../compiler/model/parse/resource.ts';

/** Kinds of `projectcalico.org/v3` that have no namespace. */
const CLUSTER_KINDS = ['Tier', 'Profile', 'HostEndpoint'];

/** `kind` of `projectcalico.org/v3`, named `p` (in namespace `ns`). */
export function calico(kind: string, spec: unknown, metadata: object = {}): object {
  const isCluster = kind.includes('Global') || CLUSTER_KINDS.includes(kind);
  const name = isCluster ? { name: 'p' } : { name: 'p', namespace: 'ns' };
  return { apiVersion: 'projectcalico.org/v3', kind, metadata: { ...name, ...metadata }, spec };
}

/** `networking.k8s.io/v1` NetworkPolicy `p` in namespace `ns`. */
export function kubernetesPolicy(spec: unknown): object {
  const metadata = { name: 'p', namespace: 'ns' };
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec };
}

/** `error net-invalid spec.ingress[0].source.nets[1]`, one per finding. */
export function briefIssues(object: unknown, context: ParseContext = {}): readonly string[] {
  return parseResource(object, context).issues.map(briefIssue);
}

export function briefIssue({ severity, code, path }: Issue): string {
  return `${severity} ${code} ${printPath(path)}`.trim();
}

/** The value, which must be a policy. */
export function parsePolicy(object: unknown): Policy {
  const { value, issues } = parseResource(object, {});
  if (value?.kind !== 'Policy')
    throw new Error(`no policy: ${JSON.stringify(issues.map(briefIssue))}`);
  return value;
}

/** Without prototypes and frozenness, which `deepEqual` would compare. */
export function plain<T>(value: T): T {
  return structuredClone(value);
}

/** The value as plain data. */
export function parsePlain(object: unknown, context: ParseContext = {}): Resource | undefined {
  return plain(parseResource(object, context).value);
}

/** The only rule of a NetworkPolicy in which it is the only ingress (or egress) rule. */
export function parseOneRule(rule: unknown, direction: 'ingress' | 'egress' = 'ingress'): Rule {
  const [only] = parsePolicy(calico('NetworkPolicy', { [direction]: [rule] }))[direction];
  if (only === undefined) throw new Error('no rule');
  return only;
}
