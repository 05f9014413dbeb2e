/** Which host endpoint has which interface (specification section 1.6), by rows. The same with real packets: test/kernel/host-endpoint-interfaces. */
import test from 'ava';
import { placeHosts } from '../../../../agent/endpoints/host-placement.ts';
import type { HostEndpoint } from '../../../../compiler/model/cluster.ts';
import { toAddress } from '../../../../compiler/model/ip.ts';

/** `a:eth0`, `b:*`, `c:192.0.2.1,2001:db8::1`: name, then interface or expected addresses. */
function host(text: string): HostEndpoint {
  const [, name = '', where = ''] = /^(\w+):(.*)$/.exec(text) ?? [];
  const expectedIPs = /[.:]/.test(where)
    ? where.split(',').flatMap((each) => toAddress(each) ?? [])
    : [];
  return {
    kind: 'HostEndpoint',
    name,
    node: 'n',
    labels: {},
    interfaceName: expectedIPs.length === 0 ? where : undefined,
    expectedIPs,
    profiles: [],
    ports: [],
  };
}

const NETWORK = {
  links: new Set(['lo', 'eth0', 'eth1', 'tap0']),
  hostRoutes: new Map<string, string>(),
  addresses: new Map([
    ['eth0', new Set(['192.0.2.1', '2001:db8::1'])],
    ['eth1', new Set(['192.0.2.2'])],
    ['tap0', new Set(['192.0.2.3'])],
  ]),
};

const ROWS: readonly { name: string; in: readonly string[]; out: string }[] = [
  { name: 'named', in: ['a:eth0'], out: 'a=eth0' },
  { name: 'named before the link exists', in: ['a:eth7'], out: 'a=eth7' },
  { name: 'by IPv4 and IPv6 address', in: ['a:2001:db8::1', 'b:192.0.2.2'], out: 'a=eth0 b=eth1' },
  { name: 'several interfaces', in: ['a:192.0.2.1,192.0.2.2'], out: 'a=eth0,eth1' },
  { name: 'an address that nobody has', in: ['a:192.0.2.9'], out: 'a=' },
  { name: 'the lowest name wins', in: ['b:eth0', 'a:192.0.2.1'], out: 'a=eth0 b=' },
  { name: 'bytewise', in: ['a:eth0', 'B:eth0'], out: 'B=eth0 a=' },
  { name: 'the lowest wildcard', in: ['b:*', 'a:*', 'c:eth0'], out: 'a=* b= c=eth0' },
  { name: "a workload's interface", in: ['a:tap0', 'b:192.0.2.3'], out: 'a= b=' },
  { name: 'lo, by name', in: ['a:lo', 'b:*'], out: 'a=lo b=*' },
  { name: 'none', in: [], out: '' },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const placed = placeHosts(row.in.map(host), NETWORK, (ifname) => ifname.startsWith('tap'));
    const text = [...placed].map(
      ([name, { interfaces, isDefault }]) => `${name}=${isDefault ? '*' : interfaces.join()}`,
    );
    t.is(text.join(' '), row.out);
  });
}
