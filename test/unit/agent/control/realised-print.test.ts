/** Where an endpoint is, as people read it. */
import test from 'ava';
import type { RealisedEndpoint } from '../../../../agent/control/realised-endpoints.ts';
import { printEndpoint } from '../../../../agent/control/realised-print.ts';

const HOST: RealisedEndpoint = {
  kind: 'host',
  name: 'nic',
  interfaces: [],
  absent: [],
  isWildcard: false,
  byAddress: false,
  addresses: [],
  labels: {},
  ingress: { tiers: [], profiles: [] },
  egress: { tiers: [], profiles: [] },
  stages: {},
  closed: [],
};

const rows: readonly {
  readonly name: string;
  readonly in: Partial<RealisedEndpoint>;
  readonly out: string;
}[] = [
  { name: 'no interface', in: {}, out: 'NO INTERFACE: it governs nothing now; no address' },
  { name: 'its own', in: { interfaces: ['eth0'] }, out: 'interface eth0; no address' },
  {
    name: 'one that is not there',
    in: { interfaces: ['eth0', 'eth1'], absent: ['eth1'] },
    out: 'interface eth0, eth1 (not there now); no address',
  },
  {
    name: 'the wildcard',
    in: { interfaces: ['eth0'], isWildcard: true },
    out: 'interface eth0, and every other one that appears; no address',
  },
  {
    name: 'the wildcard of nothing',
    in: { isWildcard: true },
    out: 'no interface now, and every other one that appears; no address',
  },
];

for (const row of rows) {
  test(row.name, (t) => {
    t.is(printEndpoint({ ...HOST, ...row.in })[0], `host endpoint nic: ${row.out}`);
  });
}

test('what is closed is said', (t) => {
  t.is(
    printEndpoint({ ...HOST, closed: ['ingress'] })[1],
    '  ! ingress is CLOSED: the kernel refused its rules',
  );
});
