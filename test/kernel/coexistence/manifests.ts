/** A node with two pods and policies for itself, all four kinds of them in use, so that also the one bit of the packet mark is. */

export const NODE = 'n1';

const pod = (name: string, address: string): string => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name}}}
spec: {nodeName: ${NODE}, containers: [{name: c, image: i}]}
status: {phase: Running, podIP: ${address}, podIPs: [{ip: ${address}}]}
`;

export const MANIFESTS = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
${pod('web', '10.0.0.1')}${pod('db', '10.0.0.2')}---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{ports: [{port: 8080}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: host, labels: {role: host}}
spec: {node: ${NODE}, interfaceName: eth0}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: host}
spec:
  selector: role == 'host'
  ingress: [{action: Allow, protocol: TCP, destination: {ports: [22, 80]}}]
  egress: [{action: Allow}]
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: unpublished}
spec:
  selector: role == 'host'
  preDNAT: true
  applyOnForward: true
  ingress:
    - {action: Deny, protocol: TCP, destination: {ports: [9090]}}
    - {action: Allow, protocol: TCP, destination: {ports: [80, 8080]}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: banned}
spec:
  selector: role == 'host'
  doNotTrack: true
  applyOnForward: true
  ingress: [{action: Deny, source: {nets: [203.0.113.66/32]}}]
`;

/** Closes what MANIFESTS opens. */
export const CLOSING = `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: closing}
spec:
  order: 1
  selector: app == 'web'
  types: [Ingress]
  ingress: [{action: Deny}]
`;
