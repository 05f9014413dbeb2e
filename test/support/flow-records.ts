/** Flow records for tests of where they go. */
import type { FlowRecord } from '../../agent/flowlog/record.ts';

/** A denied flow of `shop/web` to `shop/db`. */
export const DENIED: FlowRecord = {
  schema: 'picket.flow/v1',
  ts: '2026-01-02T03:04:06.000Z',
  node: 'n1',
  verdict: 'deny',
  direction: 'ingress',
  hook: 'forward',
  proto: 'tcp',
  src: { ip: '10.0.0.1', port: 40_000, kind: 'pod', namespace: 'shop', name: 'web' },
  dst: {
    ip: '10.0.0.2',
    port: 5_432,
    kind: 'pod',
    namespace: 'shop',
    name: 'db',
    service: { namespace: 'shop', name: 'db' },
  },
  policy: { kind: 'NetworkPolicy', namespace: 'shop', name: 'db', tier: 'default', rule: 0 },
  staged: [],
  count: 3,
  firstTs: '2026-01-02T03:04:05.000Z',
  lastTs: '2026-01-02T03:04:05.500Z',
  suppressed: 12,
  ruleId: 'Di/np/shop/db/0#0123456789',
};

/** Records that are told apart by `count`. */
export function numbered(first: number, last: number): FlowRecord[] {
  const numbers = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return numbers.map((count) => ({ ...DENIED, count }));
}
