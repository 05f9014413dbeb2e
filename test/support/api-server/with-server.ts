/** A test server for the time of a test, and objects to fill it with. */
import { ApiServer } from './server.ts';
import type { ApiServerOptions, SeenRequest } from './server.ts';

export async function withServer(
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

/** `shop/<name>`, running on node n1. */
export function pod(name: string, labels: object = {}): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
    status: { phase: 'Running', podIP: '10.0.0.1' },
  };
}

/** Keys of pods as events have them. */
export function podKeys(...names: readonly string[]): string[] {
  return names.map((name) => `/Pod/shop/${name}`);
}

export function podRequests({ requests }: ApiServer): SeenRequest[] {
  return requests.filter(({ path }) => path === '/api/v1/pods');
}
