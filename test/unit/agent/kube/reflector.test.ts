import test from 'ava';
import { Mirror } from '../../../support/api-server/mirror.ts';
import { ApiServer } from '../../../support/api-server/server.ts';
import type { ApiServerOptions, SeenRequest } from '../../../support/api-server/server.ts';

function pod(name: string, labels: object = {}): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
    status: { phase: 'Running', podIP: '10.0.0.1' },
  };
}

const PODS = '/Pod';

function keysOf(...names: readonly string[]): string[] {
  return names.map((name) => `/Pod/shop/${name}`);
}

async function withServer(
  use: (server: ApiServer) => Promise<void>,
  options: ApiServerOptions = {},
): Promise<void> {
  const server = await ApiServer.start(options);
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

function podRequests(server: ApiServer): SeenRequest[] {
  return server.requests.filter(({ path }) => path === '/api/v1/pods');
}

test('a streaming list is taken, then changes; nothing else is asked for', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'), pod('b'));
    await Mirror.with(server.kubeconfig(), async (mirror) => {
      await mirror.synced();
      t.deepEqual(mirror.keys(PODS), keysOf('a', 'b'));
      server.put(pod('c'), pod('a', { app: 'web' }));
      server.store.remove('v1', 'Pod', 'shop', 'b');
      await mirror.until('changes', () => mirror.keys(PODS).join() === keysOf('a', 'c').join());
      const { object, origin } = mirror.objects.get('/Pod/shop/a') ?? {};
      t.deepEqual((object as { metadata: { labels: object } }).metadata.labels, { app: 'web' });
      t.is(origin?.source, 'api pods shop/a');
      t.is(origin?.lineOf([]), undefined);
      t.is(podRequests(server).length, 1);
    });
  });
});
