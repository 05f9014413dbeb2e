import test from 'ava';
import { Placements, caliInterfaceName } from '../../../../agent/endpoints/placement.ts';
import type { HostNetwork } from '../../../../agent/endpoints/placement.ts';
import type { WorkloadEndpoint } from '../../../../compiler/model/cluster.ts';
import { workload } from '../../../support/world.ts';

const CALI = 'cali551b05c3e54';

function web(part: Partial<WorkloadEndpoint> = {}): WorkloadEndpoint {
  return { ...workload('shop/web', ['10.0.0.1']), ...part };
}

function network(links: readonly string[], routes: Record<string, string> = {}): HostNetwork {
  return {
    links: new Set(links),
    hostRoutes: new Map(Object.entries(routes)),
    addresses: new Map(),
  };
}

test("Calico's interface names (specification section 10.2)", (t) => {
  t.is(caliInterfaceName('cali', 'default', 'nginx'), 'calic440f455693');
  t.is(caliInterfaceName('cali', 'kube-system', 'coredns-5d78c9869d-abcde'), 'cali4d5f75c480c');
  t.is(caliInterfaceName('cali', 'a', 'b'), 'cali69f6642c9d7');
});

const rows = [
  {
    name: 'its own link exists',
    endpoint: web(),
    network: network([CALI, 'veth1'], { '10.0.0.1': 'veth1' }),
    out: { interfaces: [CALI], byAddress: false },
  },
  {
    name: 'a host route leads to a device of its own',
    endpoint: web(),
    network: network(['veth1'], { '10.0.0.1': 'veth1' }),
    out: { interfaces: ['veth1'], byAddress: false },
  },
  {
    name: 'no link and no host route: by address, and by the link that may appear',
    endpoint: web(),
    network: network(['eth0']),
    out: { interfaces: [CALI], byAddress: true },
  },
  {
    name: 'the manifest names the interface, whether it exists or not',
    endpoint: web({ interfaceName: 'tap0', isPod: false }),
    network: network([CALI], { '10.0.0.1': 'veth1' }),
    out: { interfaces: ['tap0'], byAddress: false },
  },
];

for (const row of rows) {
  test(row.name, (t) => {
    const placements = new Placements('cali');
    placements.setNetwork(row.network);
    placements.put(row.endpoint);
    t.deepEqual(placements.placementOf('shop/web'), row.out);
  });
}

test('a device that two host routes lead to is nobody’s own', (t) => {
  const placements = new Placements('cali');
  placements.setNetwork(network(['cni0'], { '10.0.0.1': 'cni0', '10.0.0.2': 'cni0' }));
  placements.put(web());
  t.deepEqual(placements.placementOf('shop/web').interfaces, ['cni0']);
  placements.takeAffected();
  placements.put(workload('shop/db', ['10.0.0.2']));
  t.deepEqual(placements.takeAffected().toSorted(), ['shop/db', 'shop/web']);
  t.true(placements.placementOf('shop/web').byAddress);
  t.true(placements.placementOf('shop/db').byAddress);
  placements.delete('shop/db');
  t.deepEqual(placements.placementOf('shop/web').interfaces, ['cni0']);
});

test('two endpoints that name one interface: the lowest id has it, the other nothing', (t) => {
  const placements = new Placements('cali');
  placements.put(web({ id: 'shop/b', interfaceName: 'tap0' }));
  placements.put(web({ id: 'shop/a', interfaceName: 'tap0' }));
  t.deepEqual(placements.placementOf('shop/a'), { interfaces: ['tap0'], byAddress: false });
  t.deepEqual(placements.placementOf('shop/b'), { interfaces: [], byAddress: false });
  placements.takeAffected();
  placements.delete('shop/a');
  t.deepEqual(placements.takeAffected().toSorted(), ['shop/a', 'shop/b']);
  t.deepEqual(placements.placementOf('shop/b'), { interfaces: ['tap0'], byAddress: false });
});

test('a link that appears moves the endpoint', (t) => {
  const placements = new Placements('cali');
  placements.put(web());
  placements.takeAffected();
  placements.setNetwork(network([CALI]));
  t.deepEqual(placements.takeAffected(), ['shop/web']);
  t.deepEqual(placements.placementOf('shop/web'), { interfaces: [CALI], byAddress: false });
  placements.setNetwork(network([CALI, 'other']));
  t.deepEqual(placements.takeAffected(), []);
});
