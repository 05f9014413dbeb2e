/** What is said of host endpoints that do not govern this host. */
import test from 'ava';
import { hostWarnings } from '../../../../agent/runner/host-warnings.ts';
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
