/** HTTP as probes and Prometheus speak it, and ports for them. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface Fetched {
  readonly status: number;
  readonly body: string;
}

/** Of this process alone, so that nobody else can take a port of it: all of 127.0.0.0/8 is loopback. */
const OWN_HOST = `127.${64 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;

/** `127.x.y.z:PORT` that nobody listens at. */
export async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, OWN_HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `${OWN_HOST}:${port}`;
}

export async function get(address: string, path: string): Promise<Fetched> {
  const response = await fetch(`http://${address}${path}`);
  return { status: response.status, body: await response.text() };
}
