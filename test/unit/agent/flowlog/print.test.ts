import test from 'ava';
import { printCompact, printWide } from '../../../../agent/flowlog/print.ts';
import type { FlowRecord } from '../../../../agent/flowlog/record.ts';
import { DENIED } from '../../../support/flow-records.ts';

const { policy: _, ...UNDECIDED } = DENIED;

const ROWS: readonly { name: string; in: FlowRecord; out: string }[] = [
  {
    name: 'a policy rule',
    in: DENIED,
    out: '03:04:05 DENY  ingress shop/web -> shop/db tcp/5432 by NetworkPolicy shop/db rule 0 (tier default) x3 (+12 suppressed)',
  },
  {
    name: 'at a host endpoint',
    in: { ...DENIED, count: 1, suppressed: 0, hostEndpoint: { name: 'eth0', stage: 'forward' } },
    out: '03:04:05 DENY  ingress shop/web -> shop/db tcp/5432 at host endpoint eth0 (forward) by NetworkPolicy shop/db rule 0 (tier default)',
  },
  {
    name: 'an implicit deny',
    in: {
      ...UNDECIDED,
      count: 1,
      suppressed: 0,
      implicit: { reason: 'end-of-tier', tier: 'default', selectedBy: ['np/shop/db', 'gnp/all'] },
    },
    out: '03:04:05 DENY  ingress shop/web -> shop/db tcp/5432 by end of tier default: selected by np/shop/db, gnp/all, no rule matched',
  },
  {
    name: 'an implicit deny where many policies select, of a protocol without a name',
    in: {
      ...UNDECIDED,
      count: 1,
      suppressed: 0,
      proto: '47',
      dst: { kind: 'pod', namespace: 'shop', name: 'db' },
      implicit: {
        reason: 'no-profile',
        selectedBy: Array.from({ length: 12 }, (_, index) => `pro/p${index}`),
        selectedByOmitted: 30,
      },
    },
    out:
      '03:04:05 DENY  ingress shop/web -> shop/db protocol 47 by no-profile: selected by ' +
      'pro/p0, pro/p1, pro/p2, pro/p3, pro/p4, pro/p5, pro/p6, pro/p7, pro/p8, pro/p9 and 32 more, no rule matched',
  },
  {
    name: 'a built-in deny of ICMP between unknown ends',
    in: {
      ...UNDECIDED,
      direction: 'egress',
      count: 1,
      suppressed: 0,
      proto: 'icmp',
      icmp: { type: 8, code: 0 },
      src: { kind: 'external', ip: '198.51.100.1' },
      dst: { kind: 'network-set', ip: '203.0.113.9', name: 'office' },
      implicit: { reason: 'unknown-interface', selectedBy: [] },
    },
    out: '03:04:05 DENY  egress  198.51.100.1 -> 203.0.113.9 (office) icmp 8/0 by unknown-interface',
  },
  {
    name: 'a rule that is gone, a packet that is cut',
    in: { ...UNDECIDED, count: 1, suppressed: 0, partial: true, dst: { kind: 'external' } },
    out: '03:04:05 DENY  ingress shop/web -> ? tcp (partial) by a rule that is gone (Di/np/shop/db/0#0123456789)',
  },
  {
    name: 'a forged address',
    in: {
      ...UNDECIDED,
      count: 1,
      suppressed: 0,
      direction: 'egress',
      implicit: { reason: 'anti-spoofing', selectedBy: [] },
    },
    out: '03:04:05 DENY  egress  shop/web (as 10.0.0.1) -> shop/db tcp/5432 by anti-spoofing',
  },
  {
    name: 'staged policies',
    in: {
      ...DENIED,
      verdict: 'allow',
      count: 1,
      suppressed: 0,
      staged: [
        { policy: 'snp/shop/x', tier: 'default', action: 'deny', rule: 2 },
        { policy: 'sgnp/y', tier: 'default', action: 'deny' },
      ],
    },
    out: '03:04:05 ALLOW ingress shop/web -> shop/db tcp/5432 by NetworkPolicy shop/db rule 0 (tier default) [staged snp/shop/x: would deny by rule 2] [staged sgnp/y: would deny at the end of its tier]',
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.is(printCompact(row.in), row.out);
  });
}

test('what another table logs to our group is one line, and moves no cursor', (t) => {
  const foreign: FlowRecord = { ...UNDECIDED, ruleId: 'x\n03:04:06 ALLOW \u001b[2J\u009b' };
  const shown = String.raw`x\n03:04:06 ALLOW \u001b[2J\u009b`;
  t.true(printCompact(foreign).includes(`(${shown})`));
  t.true(printWide(foreign).endsWith(shown));
});

test('wide has interfaces, addresses, ports, the service, the node and the rule id', (t) => {
  t.is(
    printWide({ ...DENIED, inputInterface: 'cali1', outputInterface: 'cali2' }),
    '2026-01-02T03:04:05.500Z n1 DENY  ingress/forward in cali1 out cali2 pod shop/web 10.0.0.1:40000 -> pod shop/db 10.0.0.2:5432 (svc shop/db) ' +
      'tcp/5432 by NetworkPolicy shop/db rule 0 (tier default) x3 (+12 suppressed) first 03:04:05.000 Di/np/shop/db/0#0123456789',
  );
});
