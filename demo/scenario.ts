/**
 * What the demo shows: four workloads, what the policies of manifests/ mean for them, in words, and, written by hand, who should reach
 * whom. Text and tables only. Refuses to know: how any of it is built, applied or measured.
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

/** Whether the policies mean that it works. By hand: this is what the demo is checked against. */
export function isExpected(client: string, server: string, transport: Transport): boolean {
  return ALLOWED.has(`${client} ${server} ${transport}`);
}

/** Rules by the names of their counters in the kernel, `<direction>/<policy id>/<rule index>`, that only log. */
export const LOG_RULES: ReadonlySet<string> = new Set(['ingress/gnp/block-intruder/0']);
