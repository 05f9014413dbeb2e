import test from 'ava';
import { REAL_TIMING } from '../../../../agent/kube/timing.ts';
import type { Timing } from '../../../../agent/kube/timing.ts';
import { Mirror } from '../../../support/api-server/mirror.ts';
import {
  BUILT_IN,
  CLUSTER_POLICY,
  calicoResources,
} from '../../../support/api-server/resources.ts';
import { pod, withServer } from '../../../support/api-server/with-server.ts';

const V1 = 'crd.projectcalico.org/v1';
const V3 = 'projectcalico.org/v3';

function tier(apiVersion: string, name: string): Record<string, unknown> {
  return { apiVersion, kind: 'Tier', metadata: { name }, spec: { order: 5 } };
}

test.serial(
  'every resource that is served is read, whole or trimmed to what policy reads',
  async (t) => {
    await withServer(async (server) => {
      server.store.serve([...CLUSTER_POLICY, ...calicoResources(V3)]);
      const annotations = {
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
        'cni.projectcalico.org/podIP': '10.0.0.1/32',
      };
      server.put(
        {
          ...pod('a'),
          metadata: { name: 'a', namespace: 'shop', labels: { app: 'x' }, annotations },
          spec: {
            nodeName: 'n1',
            hostNetwork: false,
            serviceAccountName: 'sa',
            volumes: [{ name: 'v' }],
            containers: [
              { name: 'c', image: 'i', ports: [{ name: 'http', containerPort: 80, hostPort: 1 }] },
              { name: 'd', env: [{ name: 'E' }] },
            ],
          },
        },
        {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: 'shop' },
          spec: { finalizers: [] },
        },
        {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: { name: 's', namespace: 'shop' },
          addressType: 'IPv4',
          endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: true } }],
          ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
        },
        {
          apiVersion: 'networking.k8s.io/v1',
          kind: 'NetworkPolicy',
          metadata: { name: 'np', namespace: 'shop' },
          spec: { podSelector: {} },
          status: {},
        },
        tier(V3, 'first'),
        {
          apiVersion: 'policy.networking.k8s.io/v1alpha2',
          kind: 'ClusterNetworkPolicy',
          metadata: { name: 'cnp' },
          spec: { tier: 'Admin', priority: 1 },
        },
      );
      await Mirror.with(server.kubeconfig(), async (mirror) => {
        await mirror.synced();
        const seen = Object.fromEntries(
          [...mirror.objects].map(([key, { object }]) => {
            const { metadata, ...rest } = object as { metadata: Record<string, unknown> };
            const { uid, creationTimestamp, ...meta } = metadata;
            t.is(typeof uid, 'string');
            t.is(creationTimestamp, '2026-11-20T10:00:00Z');
            return [key, { ...rest, metadata: meta }];
          }),
        );
        t.deepEqual(seen, {
          '/Pod/shop/a': {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: {
              name: 'a',
              namespace: 'shop',
              labels: { app: 'x' },
              annotations: { 'cni.projectcalico.org/podIP': '10.0.0.1/32' },
            },
            spec: {
              nodeName: 'n1',
              hostNetwork: false,
              serviceAccountName: 'sa',
              containers: [{ ports: [{ name: 'http', containerPort: 80 }] }, {}],
            },
            status: { phase: 'Running', podIP: '10.0.0.1' },
          },
          '/Namespace//shop': { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
          'discovery.k8s.io/EndpointSlice/shop/s': {
            apiVersion: 'discovery.k8s.io/v1',
            kind: 'EndpointSlice',
            metadata: { name: 's', namespace: 'shop' },
            addressType: 'IPv4',
            endpoints: [{ addresses: ['10.0.0.1'] }],
            ports: [{ port: 80, protocol: 'TCP' }],
          },
          'networking.k8s.io/NetworkPolicy/shop/np': {
            apiVersion: 'networking.k8s.io/v1',
            kind: 'NetworkPolicy',
            metadata: { name: 'np', namespace: 'shop' },
            spec: { podSelector: {} },
          },
          'projectcalico.org/Tier//first': {
            apiVersion: V3,
            kind: 'Tier',
            metadata: { name: 'first' },
            spec: { order: 5 },
          },
          'policy.networking.k8s.io/ClusterNetworkPolicy//cnp': {
            apiVersion: 'policy.networking.k8s.io/v1alpha2',
            kind: 'ClusterNetworkPolicy',
            metadata: { name: 'cnp' },
            spec: { tier: 'Admin', priority: 1 },
          },
        });
      });
    });
  },
);

for (const hasAggregatedDiscovery of [true, false]) {
  const how = hasAggregatedDiscovery ? 'aggregated' : 'plain';
  test.serial(`resources come and go while the agent runs: ${how} discovery`, async (t) => {
    await withServer(
      async (server) => {
        await Mirror.with(server.kubeconfig(), async (mirror) => {
          await mirror.synced();
          const custom = calicoResources(V3);
          server.store.serve(custom);
          server.put(tier(V3, 'late'));
          await mirror.until('the tier', () => mirror.objects.has('projectcalico.org/Tier//late'));
          t.true(mirror.isSynced);
          server.store.withdraw(custom);
          server.cutConnections();
          await mirror.until(
            'it is gone',
            () => mirror.keys('projectcalico.org/Tier').length === 0,
          );
          await mirror.until('no issue', () => mirror.issues.length === 0);
        });
      },
      { hasAggregatedDiscovery },
    );
  });
}

test.serial(
  "of Calico's two groups the one where objects are stored is read, and stays",
  async (t) => {
    await withServer(async (server) => {
      server.store.serve([...calicoResources(V3), ...calicoResources(V1)]);
      server.put(tier(V3, 'shown'), tier(V1, 'stored'));
      await Mirror.with(server.kubeconfig(), async (mirror) => {
        await mirror.synced();
        t.deepEqual(mirror.keys('crd.projectcalico.org/Tier'), [
          'crd.projectcalico.org/Tier//stored',
        ]);
        t.deepEqual(mirror.keys('projectcalico.org/Tier'), []);
      });
    });
    await withServer(async (server) => {
      server.store.serve(calicoResources(V3));
      server.put(tier(V3, 'shown'));
      await Mirror.with(server.kubeconfig(), async (mirror) => {
        await mirror.synced();
        server.store.serve(calicoResources(V1));
        server.put(tier(V1, 'stored'), pod('later'));
        const looks = (): number => server.requests.filter(({ path }) => path === '/apis').length;
        const now = looks();
        await mirror.until('looks', () => looks() > now + 5);
        t.deepEqual(mirror.keys('projectcalico.org/Tier'), ['projectcalico.org/Tier//shown']);
        t.deepEqual(mirror.keys('crd.projectcalico.org/Tier'), []);
      });
    });
  },
);

test.serial(
  'what may not be read is told with the rule that is missing; policies block, services do not',
  async (t) => {
    await withServer(async (server) => {
      server.put(pod('a'));
      server.forbidden.add('services').add('networkpolicies');
      await Mirror.with(server.kubeconfig(), async (mirror) => {
        await mirror.until('pods', () => mirror.objects.has('/Pod/shop/a'));
        await mirror.until('two issues', () => mirror.issues.length === 2);
        t.false(mirror.isSynced);
        const [services = '', policies = ''] = mirror.issues.toSorted();
        t.true(
          services.startsWith(
            'api networking.k8s.io/networkpolicies: not readable, nothing is applied',
          ),
        );
        t.true(
          services.includes(
            '{apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: ["list", "watch"]}',
          ),
        );
        t.true(policies.startsWith('api services: not readable, the RBAC rule {apiGroups: [""]'));
        server.forbidden.delete('networkpolicies');
        await mirror.synced();
        server.forbidden.delete('services');
        await mirror.until('no issue', () => mirror.issues.length === 0);
        server.forbidden.add('pods');
        server.cutConnections();
        await mirror.until('an issue', () =>
          mirror.issues.some((text) => text.includes('api pods')),
        );
        t.true(mirror.isSynced);
        t.true(mirror.objects.has('/Pod/shop/a'));
      });
    });
  },
);

for (const hasAggregatedDiscovery of [true, false]) {
  const how = hasAggregatedDiscovery ? 'aggregated' : 'plain';
  test.serial(`policies in a version that is not read are told: ${how} discovery`, async (t) => {
    await withServer(
      async (server) => {
        const future = CLUSTER_POLICY.map((resource) => ({ ...resource, version: 'v7' }));
        server.store.serve(future);
        await Mirror.with(server.kubeconfig(), async (mirror) => {
          await mirror.until('issues', () => mirror.issues.length === 3);
          const [first = ''] = mirror.issues.toSorted();
          t.true(
            first.startsWith('api policy.networking.k8s.io/v7 adminnetworkpolicies: served in'),
          );
          await mirror.synced();
          server.store.serve(CLUSTER_POLICY);
          await mirror.until('no issue', () => mirror.issues.length === 0);
        });
      },
      { hasAggregatedDiscovery },
    );
  });
}

test.serial('without discovery nothing is complete: policies could be missing', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'));
    server.faults.add({ verb: 'discovery' }, { kind: 'status', code: 503 }, 4);
    await Mirror.with(server.kubeconfig(), async (mirror) => {
      await mirror.until('an issue', () => mirror.issues.some((text) => text.includes('503')));
      t.false(mirror.isSynced);
      await mirror.synced();
      t.is(server.faults.left, 0);
    });
  });
});

test.serial(
  'a server that takes requests and never answers is told of the first time',
  async (t) => {
    await withServer(async (server) => {
      server.put(pod('a'));
      const follow = async (mirror: Mirror): Promise<void> => {
        await mirror.synced();
        server.faults.add({ verb: 'discovery' }, { kind: 'hang' });
        const isTold = (): boolean => [...mirror.allIssues].some((text) => /no answer/.test(text));
        await mirror.until('an issue', isTold);
        await mirror.until('no issue', () => mirror.issues.length === 0);
        t.true(mirror.objects.has('/Pod/shop/a'));
      };
      await Mirror.with(server.kubeconfig(), follow, { limits: { answerMs: 400 } });
    });
  },
);

test.serial('a server that is gone is told of once, whatever was asked for', async (t) => {
  await withServer(async (server) => {
    let sleeps = 0;
    const sleep: Timing['sleep'] = (ms, signal) => {
      sleeps += 1;
      return REAL_TIMING.sleep(ms, signal);
    };
    const follow = async (mirror: Mirror): Promise<void> => {
      await mirror.synced();
      await server.kill();
      const end = sleeps + 20 * BUILT_IN.length;
      await mirror.until('many attempts', () => sleeps > end);
      const told = [...mirror.allIssues].filter((text) => text.includes('ECONNREFUSED'));
      t.is(told.length, 1);
    };
    await Mirror.with(server.kubeconfig(), follow, { timing: { ...REAL_TIMING, sleep } });
  });
});
