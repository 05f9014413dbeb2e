/** Clusters of any size as manifest objects, deterministic: the same numbers give the same objects. */
import type { RawEvent } from '../agent/watch/event.ts';

export interface ClusterSize {
  readonly localPods: number;
  readonly remotePods: number;
  readonly policies: number;
}

export const NODE = 'bench';

/** Pods share so many `app` labels; every policy is about one of them. */
const APPS = 200;
const NAMESPACE = 'bench';

export function cluster({ localPods, remotePods, policies }: ClusterSize): RawEvent[] {
  const local = Array.from({ length: localPods }, (_, i) =>
    pod(`local-${i}`, i, NODE, `10.1.${i >> 8}.${i & 255}`),
  );
  const remote = Array.from({ length: remotePods }, (_, i) =>
    pod(`remote-${i}`, i, 'other', `10.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`),
  );
  return [
    put('Namespace', NAMESPACE, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE },
    }),
    ...Array.from({ length: policies }, (_, i) => policy(i)),
    ...local,
    ...remote,
  ];
}

export function pod(name: string, index: number, node: string, ip: string): RawEvent {
  const labels = { app: `app-${index % APPS}`, role: `role-${index % 20}` };
  return put('Pod', name, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, labels },
    spec: { nodeName: node, containers: [] },
    status: { phase: 'Running', podIPs: [{ ip }] },
  });
}

/** Three rules: two peers by label, one by CIDR. */
function policy(index: number): RawEvent {
  const name = `policy-${index}`;
  return put('NetworkPolicy', name, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      order: 100 + index,
      selector: `app == 'app-${index % APPS}'`,
      types: ['Ingress'],
      ingress: [
        {
          action: 'Allow',
          protocol: 'TCP',
          source: { selector: `app == 'app-${(index + 1) % APPS}'` },
          destination: { ports: [80, 443, '8000:8100'] },
        },
        { action: 'Deny', protocol: 'UDP', source: { selector: `role == 'role-${index % 20}'` } },
        { action: 'Allow', source: { nets: [`172.16.${index & 255}.0/24`] } },
      ],
    },
  });
}

/** A set of `count` single addresses and a policy that uses it. */
export function bigSet(count: number): RawEvent[] {
  const nets = Array.from(
    { length: count },
    (_, i) => `100.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`,
  );
  return [
    put('NetworkSet', 'big', {
      apiVersion: 'projectcalico.org/v3',
      kind: 'NetworkSet',
      metadata: { name: 'big', namespace: NAMESPACE, labels: { app: 'app-1' } },
      spec: { nets },
    }),
  ];
}

function put(kind: string, name: string, object: unknown): RawEvent {
  return {
    op: 'put',
    key: `${kind}/${name}`,
    object,
    origin: { source: 'bench', lineOf: () => undefined },
  };
}
