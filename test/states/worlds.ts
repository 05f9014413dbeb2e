/** Named worlds: what comes, changes and goes in a cluster, in lists of states. One row per story. */
import { namespaceObject, pod, serviceAccountObject, v3 } from '../support/raw-events.ts';
import type { State, World } from '../support/states.ts';

const WEB = { labels: { app: 'web' } };
const REMOTE = { node: 'node-b' };

const shop = namespaceObject('shop', { team: 'blue' });
const web1 = pod('shop/web-1', ['10.1.0.1', '2001:db8:1::1'], WEB);
const web2 = pod('shop/web-2', ['10.1.0.2'], { labels: { app: 'web', slot: '2' } });
const client = pod('shop/client', ['10.2.0.1', '2001:db8:2::1'], {
  ...REMOTE,
  labels: { app: 'client' },
});
const BASE: State = [shop, web1, web2, client];

const fromClients = { action: 'Allow', source: { selector: "app == 'client'" } };
const fromList = { action: 'Allow', source: { selector: "list == 'l'" } };
const passFromClients = { action: 'Pass', source: { selector: "app == 'client'" } };
const logAll = { action: 'Log' };
const denyAll = { action: 'Deny' };

function policy(name: string, spec: object): object {
  return v3('GlobalNetworkPolicy', name, { selector: "app == 'web'", types: ['Ingress'], ...spec });
}

function tier(name: string, order: number, defaultAction = 'Deny'): object {
  return v3('Tier', name, { order, defaultAction });
}

function list(name: string, nets: readonly string[], labels = { list: 'l' }): object {
  return v3('GlobalNetworkSet', name, { nets }, labels);
}

function kubernetesPolicy(name: string, spec: object): object {
  const metadata = { name, namespace: 'shop' };
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec };
}

function tap(id: string, interfaceName: string, address: string, labels = {}): object {
  const spec = {
    orchestrator: 'openstack',
    workload: 'w',
    node: 'node-a',
    endpoint: 'eth0',
    interfaceName,
    ipNetworks: [`${address}/32`],
    profiles: ['vm', 'vm'],
  };
  return v3('WorkloadEndpoint', id, spec, labels);
}

const usesList = policy('web', { ingress: [fromList] });
const inTier = (order: number): object =>
  policy('early.web', { tier: 'early', order, ingress: [fromClients] });

const UNTRACKED = { doNotTrack: true, applyOnForward: true };
const LONG = 'a-very-long-name-'.repeat(9);

export const WORLDS: readonly World[] = [
  { name: 'pods come and go', states: [BASE, [shop, web1, client], [shop, web2], [shop], BASE] },
  {
    name: 'a policy comes, changes and goes',
    states: [
      BASE,
      [...BASE, policy('web', { ingress: [fromClients] })],
      [...BASE, policy('web', { ingress: [logAll, fromClients, denyAll] })],
      [...BASE, policy('web', { ingress: [], types: ['Ingress', 'Egress'] })],
      BASE,
    ],
  },
  {
    name: 'a tier is missing, appears, moves, changes its end and goes',
    states: [
      [...BASE, inTier(1), usesList],
      [...BASE, inTier(1), usesList, tier('early', 10)],
      [...BASE, inTier(1), usesList, tier('early', 10, 'Pass')],
      [...BASE, inTier(1), usesList, tier('early', 2_000_000, 'Pass')],
      [...BASE, inTier(1), usesList, tier('early', 2_000_000), tier('default', 1_000_000)],
      [...BASE, inTier(1), usesList],
    ],
  },
  {
    name: 'policies change places in a tier',
    states: [
      [...BASE, tier('early', 10), inTier(1), policy('early.b', { tier: 'early', order: 2 })],
      [...BASE, tier('early', 10), inTier(3), policy('early.b', { tier: 'early', order: 2 })],
      [...BASE, tier('early', 10), inTier(3), policy('early.b', { tier: 'early' })],
    ],
  },
  {
    name: 'a profile is missing, appears, changes rules and labels, and goes',
    states: [
      [shop, web1, tap('shop/vm', 'tap0', '10.1.0.50')],
      [
        shop,
        web1,
        tap('shop/vm', 'tap0', '10.1.0.50'),
        v3('Profile', 'vm', { ingress: [fromClients], egress: [{ action: 'Allow' }] }),
        client,
      ],
      [
        shop,
        web1,
        tap('shop/vm', 'tap0', '10.1.0.50'),
        v3('Profile', 'vm', { egress: [denyAll], labelsToApply: { app: 'web' } }),
        policy('web', { ingress: [fromClients] }),
        client,
      ],
      [web1, tap('shop/vm', 'tap0', '10.1.0.50')],
    ],
  },
  {
    name: 'a namespace and a service account are relabelled and go',
    states: [
      [...BASE, namespacePolicy(), robot({}), serviceAccountObject('ops/robot')],
      [
        namespaceObject('shop', { team: 'red' }),
        web1,
        web2,
        client,
        namespacePolicy(),
        robot({}),
        namespaceObject('ops', { team: 'blue' }),
        serviceAccountObject('ops/robot', { kind: 'bot' }),
      ],
      [web1, web2, client, namespacePolicy(), robot({ kind: 'bot' })],
    ],
  },
  {
    name: 'a newer pod takes an address over and gives it back',
    states: [
      [...BASE, policy('web', { ingress: [fromClients] })],
      [
        ...BASE,
        policy('web', { ingress: [fromClients] }),
        pod('shop/new', ['10.1.0.1'], { created: '2026-02-01T00:00:00Z' }),
        pod('shop/thief', ['10.2.0.1'], { ...REMOTE, created: '2026-02-01T00:00:00Z' }),
      ],
      [
        ...BASE,
        policy('web', { ingress: [fromClients] }),
        pod('shop/new', ['10.1.0.1'], { created: '2026-02-01T00:00:00Z', phase: 'Succeeded' }),
      ],
      [...BASE, pod('shop/new', ['10.1.0.1', '10.1.0.2'], { created: '2026-02-01T00:00:00Z' })],
      BASE,
    ],
  },
  {
    name: 'network sets overlap, contain each other, are alike and cover everything',
    states: [
      [...BASE, usesList, list('a', ['10.0.0.0/8', '192.0.2.1']), list('b', ['10.0.0.0/8'])],
      [...BASE, usesList, list('a', ['10.0.0.0/8', '10.1.0.0/16']), list('b', ['10.1.2.0/24'])],
      [...BASE, usesList, list('a', ['10.1.2.3', '10.1.2.3/32']), list('b', ['10.1.2.0/24'])],
      [...BASE, usesList, list('a', ['0.0.0.0/0', '::/0']), list('b', ['10.1.2.0/24', '::1'])],
      [...BASE, usesList, list('b', ['10.1.2.0/24', '10.1.3.0/24', '10.1.2.0/23', '::/1'])],
      [...BASE, usesList, list('b', ['10.1.2.99/24'], { list: 'other' })],
    ],
  },
  {
    name: 'prefixes of a set come and go: its rules change shape',
    states: [
      [...BASE, policy('web', { ingress: [fromList, notFromList()] }), list('a', ['10.9.0.1'])],
      [
        ...BASE,
        policy('web', { ingress: [fromList, notFromList()] }),
        list('a', ['10.9.0.1', '10.8.0.0/16']),
      ],
      [
        ...BASE,
        policy('web', { ingress: [fromList, notFromList()] }),
        list('a', ['2001:db8::/32']),
      ],
      [...BASE, policy('web', { ingress: [fromList, notFromList()] })],
      [
        ...BASE,
        policy('log', { ingress: [{ ...fromList, action: 'Log' }] }),
        list('a', ['10.8.0.0/16']),
      ],
    ],
  },
  {
    name: 'Pass appears in and goes from a policy that several programs share',
    states: [
      [...BASE, tier('early', 10), inTier(1), slotOnly(), usesList],
      [...BASE, tier('early', 10), passing([passFromClients]), slotOnly(), usesList],
      [...BASE, tier('early', 10), passing([fromClients, passFromClients]), slotOnly()],
      [...BASE, tier('early', 10), passing([]), slotOnly(), usesList],
      [...BASE, passing([passFromClients]), usesList],
    ],
  },
  {
    name: 'policies are staged, enforced and staged again',
    states: [
      [...BASE, policy('web', { ingress: [fromClients] })],
      [...BASE, v3('StagedGlobalNetworkPolicy', 'web', { selector: 'all()', ingress: [denyAll] })],
      [
        ...BASE,
        policy('web', { ingress: [fromClients] }),
        v3('StagedGlobalNetworkPolicy', 'web', { selector: 'all()', ingress: [denyAll] }),
      ],
      [...BASE, policy('web', { ingress: [fromClients], doNotTrack: true, applyOnForward: true })],
      [...BASE, policy('web', { ingress: [denyAll] })],
    ],
  },
  {
    name: 'names that are too long, and alike but for their ends',
    states: [
      [...BASE, policy(`${LONG}a`, { ingress: [fromClients] })],
      [
        ...BASE,
        policy(`${LONG}a`, { ingress: [denyAll] }),
        policy(`${LONG}b`, { ingress: [logAll] }),
      ],
      [
        ...BASE,
        pod(`shop/${LONG}c`, ['10.1.0.7'], WEB),
        policy(`${LONG}b`, { ingress: [denyAll] }),
      ],
    ],
  },
  {
    name: 'endpoints move from interface to interface, and trade them',
    states: [
      [shop, tap('shop/a', 'tap0', '10.1.0.50'), tap('shop/b', 'tap1', '10.1.0.51')],
      [shop, tap('shop/a', 'tap1', '10.1.0.50'), tap('shop/b', 'tap0', '10.1.0.51')],
      [shop, tap('shop/a', 'tap1', '10.1.0.51'), tap('shop/b', 'tap0', '10.1.0.50')],
      [shop, tap('shop/a', 'tap2', '10.1.0.50'), tap('shop/b', 'tap2', '10.1.0.50')],
      [shop, tap('shop/b', 'tap2', '10.1.0.50')],
    ],
  },
  {
    name: 'host endpoints come to stages and leave them, and a policy changes its kind',
    states: [
      BASE,
      [...BASE, host('eth0')],
      [...BASE, host('eth0'), host('all', '*'), hostPolicy({}), usesList],
      [...BASE, host('eth0'), host('all', '*'), hostPolicy({ applyOnForward: true }), usesList],
      [...BASE, host('all', '*'), hostPolicy({ preDNAT: true, applyOnForward: true })],
      [...BASE, host('eth0'), host('all', '*'), hostPolicy(UNTRACKED), tier('default', 1_000_000)],
      [...BASE, host('eth0', 'eth1'), host('eth2', 'eth0'), hostPolicy(UNTRACKED)],
      [...BASE, hostPolicy({ selector: 'all()' })],
    ],
  },
  {
    name: 'Kubernetes policies with named ports',
    states: [
      [...BASE, kubernetesPolicy('np', portsNamed('http')), named('http', 8080)],
      [...BASE, kubernetesPolicy('np', portsNamed('http')), named('http', 8081)],
      [...BASE, kubernetesPolicy('np', portsNamed('metrics')), named('metrics', 9090)],
      [...BASE, kubernetesPolicy('np', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })],
    ],
  },
];

function host(name: string, interfaceName = name): object {
  return v3('HostEndpoint', name, { node: 'node-a', interfaceName }, { host: 'yes' });
}

function hostPolicy(spec: object): object {
  return policy('host', { selector: "host == 'yes'", ingress: [fromClients, fromList], ...spec });
}

function namespacePolicy(): object {
  return policy('ns', {
    namespaceSelector: "team == 'blue'",
    ingress: [
      { action: 'Allow', source: { namespaceSelector: "team == 'red'" } },
      { action: 'Deny', source: { serviceAccounts: { selector: "kind == 'bot'" } } },
    ],
  });
}

function robot(labels: Readonly<Record<string, string>>): object {
  return pod('ops/robot', ['10.2.0.9'], { ...REMOTE, labels, serviceAccount: 'robot' });
}

function notFromList(): object {
  return { action: 'Deny', source: { notSelector: "list == 'l'" } };
}

function passing(ingress: readonly object[]): object {
  return policy('early.web', { tier: 'early', order: 1, ingress });
}

/** Governs web-2 only, so that the pods' programs differ after the early tier. */
function slotOnly(): object {
  return policy('only', { selector: "slot == '2'", ingress: [denyAll] });
}

function portsNamed(port: string): object {
  return {
    podSelector: {},
    ingress: [{ from: [{ podSelector: {} }], ports: [{ port, protocol: 'TCP' }] }],
  };
}

function named(name: string, containerPort: number): object {
  const base = pod('shop/api', ['10.1.0.30']) as { spec: object };
  const containers = [{ name: 'c', image: 'i', ports: [{ name, containerPort, protocol: 'TCP' }] }];
  return { ...base, spec: { ...base.spec, containers } };
}
