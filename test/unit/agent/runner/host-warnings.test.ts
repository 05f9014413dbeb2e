/** What is said of host endpoints that do not govern this host. */
import test from 'ava';
import { hostWarnings, placementWarnings } from '../../../../agent/runner/host-warnings.ts';
import type { HostEndpoint, Resource } from '../../../../compiler/model/cluster.ts';
import { keyOf } from '../../../support/keys.ts';
import { policy } from '../../../support/world.ts';

function host(name: string, node: string, interfaceName: string): HostEndpoint {
  return {
    kind: 'HostEndpoint',
    name,
    node,
    labels: {},
    interfaceName,
    expectedIPs: [],
    profiles: [],
    ports: [],
  };
}

const RAW = policy('raw', { policyKind: 'GlobalNetworkPolicy', doNotTrack: true });

const rows: readonly {
  readonly name: string;
  readonly in: readonly Resource[];
  readonly out: readonly RegExp[];
}[] = [
  { name: 'none at all', in: [], out: [] },
  { name: 'one of this node', in: [host('a', 'here', 'eth0')], out: [] },
  {
    name: 'one of another node',
    in: [host('this-host', 'server', '*')],
    out: [/^no HostEndpoint is of this node, here: .*this-host is of node server/],
  },
  {
    name: 'one of each',
    in: [host('a', 'server', '*'), host('b', 'here', 'eth0')],
    out: [],
  },
  {
    name: 'untracked policy on a wildcard',
    in: [host('a', 'here', '*'), RAW],
    out: [/raw: untracked policy is not applied to the host endpoint "a"/],
  },
  { name: 'untracked policy on an interface', in: [host('a', 'here', 'eth0'), RAW], out: [] },
];

for (const row of rows) {
  test(row.name, (t) => {
    const found = hostWarnings(
      row.in.map((each) => [`disk/${keyOf(each)}`, each]),
      'here',
    );
    t.is(found.length, row.out.length, found.join('\n'));
    for (const [at, expected] of row.out.entries()) t.regex(found[at] ?? '', expected);
  });
}

const PLACED = [
  { name: 'one that is there', interfaceName: 'eth0', interfaces: ['eth0'], out: undefined },
  { name: 'the rest', interfaceName: '*', interfaces: [], isDefault: true, out: undefined },
  {
    name: 'a name that no interface has',
    interfaceName: 'eht0',
    interfaces: ['eht0'],
    out: 'HostEndpoint a governs nothing now: there is no interface eht0',
  },
  {
    name: 'a second wildcard',
    interfaceName: '*',
    interfaces: [],
    out: 'HostEndpoint a governs nothing now: another HostEndpoint has *',
  },
  {
    name: 'an address that no interface has',
    interfaceName: undefined,
    interfaces: [],
    out: 'HostEndpoint a governs nothing now: no interface that it may have has one of its expectedIPs (192.0.2.7)',
  },
] as const;

for (const { name, interfaceName, interfaces, out, ...more } of PLACED) {
  test(`where it is: ${name}`, (t) => {
    const isDefault = 'isDefault' in more;
    const expectedIPs = [{ family: 4, value: 0xc0000207n } as const];
    const endpoint = { ...host('a', 'here', ''), interfaceName, expectedIPs };
    const placed = { resolved: { endpoint }, placement: { interfaces, isDefault } };
    const found = placementWarnings([placed], { links: new Set(['lo', 'eth0']) });
    t.deepEqual(found, out === undefined ? [] : [out]);
  });
}
