/** Labels, annotations and name prefixes with a meaning of their own. Source: specification sections 1.0.3 and 10. */

export const NAMESPACE_LABEL = 'projectcalico.org/namespace';
export const ORCHESTRATOR_LABEL = 'projectcalico.org/orchestrator';
export const SERVICE_ACCOUNT_LABEL = 'projectcalico.org/serviceaccount';

/** On namespaces and service accounts, so inherited with their prefix. */
export const NAME_LABEL = 'projectcalico.org/name';

/** In front of labels that endpoints inherit from their namespace and service account. */
export const NAMESPACE_PREFIX = 'pcns.';
export const SERVICE_ACCOUNT_PREFIX = 'pcsa.';

/** `true` on a policy: what it allows is logged too. On a profile, namespace or service account: all that its workloads are allowed. */
export const LOG_ALLOWED = 'picket/log-allowed';

/** Value of the orchestrator label of pods. */
export const KUBERNETES = 'k8s';

export function namespaceProfile(namespace: string): string {
  return `kns.${namespace}`;
}

export function serviceAccountProfile(namespace: string, name: string): string {
  return `ksa.${namespace}.${name}`;
}

/** Keys that nobody may forge on an endpoint of his own. */
export function isInheritedKey(key: string): boolean {
  return key.startsWith(NAMESPACE_PREFIX) || key.startsWith(SERVICE_ACCOUNT_PREFIX);
}
