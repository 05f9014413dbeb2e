/**
 * A cluster as an API server sends it, deterministic: pods with everything that pods carry (about 8 KB of JSON), namespaces, and one
 * policy per namespace. Pod `i` is in namespace `i % namespaces`; those on NODE are spread over all pods and namespaces.
 */
import { createHash } from 'node:crypto';
import type { ManifestObject } from '../test/support/api-server/object-store.ts';

export const NODE = 'bench';

export interface KubeSize {
  readonly pods: number;
  readonly localPods: number;
  readonly namespaces: number;
  readonly policies: number;
}

/** What the issue names. */
export const KUBE_SIZE: KubeSize = {
  pods: 20_000,
  localPods: 100,
  namespaces: 2_000,
  policies: 2_000,
};

/** Namespaces of one team are let in to each other's pods. */
const TEAMS = 100;

const APPS = ['web', 'api', 'db', 'cache', 'worker'] as const;

export function* kubeObjects(size: KubeSize): Generator<ManifestObject> {
  for (let i = 0; i < size.namespaces; i += 1) yield namespaceOf(i);
  for (let i = 0; i < size.policies; i += 1) yield policyOf(i, 8080, undefined, size);
  for (let i = 0; i < size.pods; i += 1) yield podOf(i, 0, size);
}

function namespaceOf(index: number): ManifestObject {
  const name = `team-${index % TEAMS}-service-${index}`;
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      labels: { 'kubernetes.io/metadata.name': name, team: `team-${index % TEAMS}` },
      annotations: { 'example.com/owner': `team-${index % TEAMS}@example.com` },
    },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

function namespaceName(index: number): string {
  return `team-${index % TEAMS}-service-${index}`;
}

/** Namespace `index`: its web pods are reached from its own pods and from the team's api pods, and from `net` where given. */
export function policyOf(
  index: number,
  port: number,
  net: string | undefined,
  { namespaces }: KubeSize,
): ManifestObject {
  const teams = { matchLabels: { team: `team-${index % TEAMS}` } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: {
      name: 'default',
      namespace: namespaceName(index % namespaces),
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"kind":"…"}' },
    },
    spec: {
      podSelector: {},
      policyTypes: ['Ingress'],
      ingress: [
        { from: [{ podSelector: {} }] },
        {
          from: [
            { namespaceSelector: teams, podSelector: { matchLabels: { app: 'api' } } },
            ...(net === undefined ? [] : [{ ipBlock: { cidr: net } }]),
          ],
          ports: [
            { protocol: 'TCP', port },
            { protocol: 'TCP', port: 'metrics' },
          ],
        },
      ],
    },
  };
}

/** Indexes of the namespaces that have a pod on NODE. */
export function localNamespaces(size: KubeSize): number[] {
  return Array.from({ length: size.localPods }, (_, i) => localPod(i, size) % size.namespaces);
}

/** Index of the local pod `i`; spread over all namespaces. */
function localPod(i: number, { pods, localPods, namespaces }: KubeSize): number {
  const every = Math.max(1, Math.floor(pods / localPods));
  return i * every + Math.floor((i * every) / namespaces);
}

/**
 * `round` 0 is the first version; later ones differ in turn by what no policy reads (a condition), by a label, and by address, as a pod
 * that was made anew under its name.
 */
export function podOf(index: number, round: number, size: KubeSize): ManifestObject {
  const app = APPS[Math.floor(index / size.namespaces) % APPS.length] ?? 'web';
  const name = `${app}-${index}`;
  const namespace = namespaceName(index % size.namespaces);
  const moves = Math.floor((round + 1) / 3);
  const ip = `10.${64 + (moves % 8) * 4 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const labels = {
    app,
    'app.kubernetes.io/name': app,
    'app.kubernetes.io/instance': `${app}-${index % size.namespaces}`,
    'app.kubernetes.io/part-of': namespace,
    'app.kubernetes.io/managed-by': 'Helm',
    'pod-template-hash': digest(`${namespace}/${app}`, 10),
    version: `v${Math.floor((round + 2) / 3)}`,
  };
  const every = Math.max(1, Math.floor(size.pods / size.localPods));
  const isLocal = localPod(Math.floor(index / every), size) === index;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      generateName: `${app}-`,
      namespace,
      labels,
      annotations: annotationsOf(name, ip),
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${app}-${digest(app, 10)}`,
          uid: digest(name, 32),
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: managedFields(Object.keys(labels)),
    },
    spec: specOf(app, isLocal ? NODE : `node-${index % 200}`),
    status: statusOf(app, ip, round),
  };
}

function annotationsOf(name: string, ip: string): Record<string, string> {
  return {
    'checksum/config': digest(`config ${name}`, 64),
    'kubectl.kubernetes.io/restartedAt': '2026-11-20T10:00:00Z',
    'prometheus.io/scrape': 'true',
    'prometheus.io/port': '9090',
    'cni.projectcalico.org/containerID': digest(`container ${name}`, 64),
    'cni.projectcalico.org/podIP': `${ip}/32`,
    'cni.projectcalico.org/podIPs': `${ip}/32`,
  };
}

function specOf(app: string, nodeName: string): object {
  return {
    volumes: ['config', 'data', 'kube-api-access'].map((name) => ({
      name,
      projected: {
        defaultMode: 420,
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
          { configMap: { name, items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        ],
      },
    })),
    containers: [containerOf(app, 8080, true), containerOf('sidecar', 15090, false)],
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    serviceAccountName: 'default',
    serviceAccount: 'default',
    nodeName,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    schedulerName: 'default-scheduler',
    tolerations: ['not-ready', 'unreachable'].map((key) => ({
      key: `node.kubernetes.io/${key}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 300,
    })),
    priority: 0,
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
  };
}

function containerOf(name: string, port: number, hasMetrics: boolean): object {
  return {
    name,
    image: `registry.example.com/shop/${name}@sha256:${digest(name, 64)}`,
    args: ['--config=/etc/config/config.yaml', '--log-level=info'],
    ports: [
      { name: hasMetrics ? 'http' : 'proxy', containerPort: port, protocol: 'TCP' },
      ...(hasMetrics ? [{ name: 'metrics', containerPort: 9090, protocol: 'TCP' }] : []),
    ],
    env: Array.from({ length: 8 }, (_, i) => ({
      name: `SETTING_${i}`,
      valueFrom: { configMapKeyRef: { name: 'settings', key: `setting-${i}` } },
    })),
    resources: {
      limits: { cpu: '1', memory: '512Mi' },
      requests: { cpu: '100m', memory: '128Mi' },
    },
    volumeMounts: ['config', 'data', 'kube-api-access'].map((mount) => ({
      name: mount,
      mountPath: `/var/run/${mount}`,
      readOnly: true,
    })),
    livenessProbe: probeOf('/livez'),
    readinessProbe: probeOf('/readyz'),
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
}

function probeOf(path: string): object {
  const numbers = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1 };
  return { httpGet: { path, port: 'http', scheme: 'HTTP' }, ...numbers, failureThreshold: 3 };
}

function statusOf(app: string, ip: string, round: number): object {
  const types = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady'];
  return {
    phase: 'Running',
    conditions: [...types, 'PodScheduled'].map((type) => ({
      type,
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: new Date(Date.UTC(2026, 10, 20) + round * 1000).toISOString(),
    })),
    hostIP: '192.0.2.10',
    hostIPs: [{ ip: '192.0.2.10' }],
    podIP: ip,
    podIPs: [{ ip }],
    startTime: '2026-11-20T10:00:00Z',
    containerStatuses: [app, 'sidecar'].map((name) => ({
      name,
      state: { running: { startedAt: '2026-11-20T10:00:05Z' } },
      lastState: {},
      ready: true,
      restartCount: 0,
      image: `registry.example.com/shop/${name}@sha256:${digest(name, 64)}`,
      imageID: `registry.example.com/shop/${name}@sha256:${digest(name, 64)}`,
      containerID: `containerd://${digest(`${name} ${ip}`, 64)}`,
      started: true,
    })),
    qosClass: 'Burstable',
  };
}

/** As the server keeps them: which manager set which field. */
function managedFields(labels: readonly string[]): object[] {
  const container = {
    '.': {},
    ...each(['args', 'env', 'image', 'imagePullPolicy', 'livenessProbe', 'name', 'ports']),
    ...each(['readinessProbe', 'resources', 'securityContext', 'volumeMounts']),
  };
  return [
    {
      manager: 'kube-controller-manager',
      operation: 'Update',
      apiVersion: 'v1',
      time: '2026-11-20T10:00:00Z',
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:metadata': { 'f:generateName': {}, 'f:labels': { '.': {}, ...each(labels) } },
        'f:spec': {
          'f:containers': { 'k:{"name":"main"}': container, 'k:{"name":"sidecar"}': container },
          ...each(['dnsPolicy', 'enableServiceLinks', 'restartPolicy', 'schedulerName', 'volumes']),
        },
      },
    },
    {
      manager: 'kubelet',
      operation: 'Update',
      apiVersion: 'v1',
      time: '2026-11-20T10:00:06Z',
      subresource: 'status',
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:status': {
          'f:conditions': Object.fromEntries(
            ['Initialized', 'Ready', 'ContainersReady'].map((type) => [
              `k:{"type":"${type}"}`,
              { '.': {}, ...each(['lastProbeTime', 'lastTransitionTime', 'status', 'type']) },
            ]),
          ),
          ...each(['containerStatuses', 'hostIP', 'hostIPs', 'phase', 'podIP', 'podIPs']),
        },
      },
    },
  ];
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

function each(keys: readonly string[]): object {
  return Object.fromEntries(keys.map((key) => [`f:${key}`, {}]));
}
