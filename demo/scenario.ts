/**
 * What the demo shows: four workloads, the manifests that govern them, and, written by hand, who should reach whom.
 * Text and tables only. Refuses to know: how any of it is built, applied or measured.
 */

export interface DemoWorkload {
  readonly namespace: string;
  readonly name: string;
  /** IPv4, IPv6. */
  readonly addresses: readonly [string, string];
  /** It serves TCP and UDP on this port, on both addresses. */
  readonly port: number;
}

export const NODE_NAME = 'demo';

export const WORKLOADS: readonly DemoWorkload[] = [
  { namespace: 'shop', name: 'web', addresses: ['10.65.0.11', 'fd65::11'], port: 80 },
  { namespace: 'shop', name: 'api', addresses: ['10.65.0.12', 'fd65::12'], port: 8080 },
  { namespace: 'shop', name: 'db', addresses: ['10.65.0.13', 'fd65::13'], port: 5432 },
  { namespace: 'guests', name: 'intruder', addresses: ['10.65.0.66', 'fd65::66'], port: 6666 },
];

/** The policies in words, in the order in which they are asked. */
export const STORY: readonly string[] = [
  'block-intruder   global, order 10: whatever the intruder sends to the shop is logged, then denied',
  'web-public       Kubernetes: everybody may reach web on port 80 (but order 10 was asked before)',
  'api-from-web     Kubernetes: only web may reach api, on 8080',
  'db-from-api      Kubernetes: only api may reach db, by TCP on 5432; db itself may call nobody',
  'default-deny     global, order 2000: whatever nobody allowed is denied',
];

export type Transport = 'TCP' | 'UDP';

/** `client server transport` of every pair that should work; every other pair should not. */
const ALLOWED = new Set(['web api TCP', 'web api UDP', 'api db TCP', 'api web TCP', 'api web UDP']);

/** Whether the policies below mean that it works. By hand: this is what the demo is checked against. */
export function isExpected(client: string, server: string, transport: Transport): boolean {
  return ALLOWED.has(`${client} ${server} ${transport}`);
}

/** Rules by the names of their counters in the kernel, `<direction>/<policy id>/<rule index>`, that only log. */
export const LOG_RULES: ReadonlySet<string> = new Set(['ingress/gnp/block-intruder/0']);

/** File name to YAML. */
export const MANIFESTS: Readonly<Record<string, string>> = {
  'cluster.yaml': [...namespaces(), ...WORKLOADS.map(podManifest)].join('---\n'),
  'kubernetes.yaml': `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web-public, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - ports:
        - { protocol: TCP, port: 80 }
        - { protocol: UDP, port: 80 }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: api-from-web, namespace: shop }
spec:
  podSelector: { matchLabels: { app: api } }
  ingress:
    - from:
        - podSelector: { matchLabels: { app: web } }
      ports:
        - { protocol: TCP, port: 8080 }
        - { protocol: UDP, port: 8080 }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db-from-api, namespace: shop }
spec:
  podSelector: { matchLabels: { app: db } }
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector: { matchLabels: { app: api } }
      ports:
        - { protocol: TCP, port: 5432 }
`,
  'global.yaml': `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: block-intruder }
spec:
  order: 10
  namespaceSelector: kubernetes.io/metadata.name == 'shop'
  types: [Ingress]
  ingress:
    - action: Log
      source: { selector: app == 'intruder' }
    - action: Deny
      source: { selector: app == 'intruder' }
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: default-deny }
spec:
  order: 2000
  selector: all()
  types: [Ingress]
  ingress:
    - action: Deny
`,
};

function namespaces(): string[] {
  return ['shop', 'guests'].map(
    (name) => `apiVersion: v1
kind: Namespace
metadata:
  name: ${name}
  labels: { kubernetes.io/metadata.name: ${name} }
`,
  );
}

function podManifest(workload: DemoWorkload): string {
  return `apiVersion: v1
kind: Pod
metadata:
  name: ${workload.name}
  namespace: ${workload.namespace}
  labels: { app: ${workload.name} }
spec:
  nodeName: ${NODE_NAME}
  containers:
    - { name: ${workload.name}, image: example.invalid/${workload.name} }
status:
  phase: Running
  podIP: ${workload.addresses[0]}
  podIPs: [{ ip: ${workload.addresses[0]} }, { ip: '${workload.addresses[1]}' }]
`;
}
