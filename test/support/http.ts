/** HTTP as probes and Prometheus speak it, and ports for them. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface Fetched {
  readonly status: number;
  readonly body: string;
}

/** `127.0.0.1:PORT` that nobody listens at now. */
export async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `127.0.0.1:${port}`;
}

export async function get(address: string, path: string): Promise<Fetched> {
  const response = await fetch(`http://${address}${path}`);
  return { status: response.status, body: await response.text() };
}
