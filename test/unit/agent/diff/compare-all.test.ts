/** Changes that only particular packets, or only some addresses, show. */
import test from 'ava';
import { compareAll } from '../../../../agent/diff/compare-all.ts';
import type { Change } from '../../../../agent/diff/compare.ts';
import { sceneOf } from '../../../../agent/explain/scene.ts';
import type { Scene } from '../../../../agent/explain/scene.ts';
import type { Resource } from '../../../../compiler/model/cluster.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../../../compiler/oracle/world.ts';
import { keyOf } from '../../../support/keys.ts';
import {
  NODE,
  address,
  cidr,
  entity,
  equals,
  hostEndpointOf,
  named,
  namespace,
  policy,
  rule,
  TCP,
  workload,
} from '../../../support/world.ts';

function keyed(resources: readonly Resource[]): [string, Resource][] {
  return resources.map((each) => [keyOf(each), each]);
}

function changes(before: readonly Resource[], after: readonly Resource[]): readonly Change[] {
  const scene = (resources: readonly Resource[]): Scene => {
    const store = { resources: () => keyed(resources), locate: () => undefined };
    return sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: undefined });
  };
  const resources = { before: keyed(before), after: keyed(after) };
  const found = compareAll(resources, { before: scene(before), after: scene(after) });
  return found.changes;
}

test('a port that has a name only at the source', (t) => {
  const pods = [
    namespace('shop'),
    workload('shop/web', ['10.0.0.1'], {
      labels: { app: 'web' },
      ports: [{ name: 'http', protocol: 6, port: 8080 }],
    }),
    workload('shop/db', ['10.0.0.2']),
  ];
  const deny = policy('p', { selector: equals('app', 'web'), types: ['egress'] });
  const fromPort = entity({ ports: [named('http')] });
  const allow = { ...deny, egress: [rule('allow', { protocol: TCP, source: fromPort })] };
  const [change] = changes([...pods, deny], [...pods, allow]).filter(({ to }) =>
    to.members.some(({ id }) => id === 'shop/db'),
  );
  t.is(change?.after, 'allow');
  t.is(change?.example.sport, 8080);
});

/** Next to the net that the rule names, so that it is looked at first. */
const BESIDE = '10.0.0.1';
const RULES = [rule('allow', { source: entity({ nets: [cidr('10.0.0.2/32')] }) })];

for (const { name, host } of [
  { name: 'of its own', host: { interfaceName: 'eth1', expectedIPs: [address(BESIDE)] } },
  { name: 'of the other endpoint', host: { interfaceName: 'eth1' } },
]) {
  test(`an address of the host does not stand for those outside: ${name}`, (t) => {
    const hosts = [
      hostEndpointOf('a', { profiles: ['projectcalico-default-allow'], ...host }),
      hostEndpointOf('b', { expectedIPs: [address(BESIDE)] }),
    ];
    const closed = policy('p', { types: ['ingress'], ingress: RULES });
    const found = changes(hosts, [...hosts, closed]).filter(({ way }) => way?.inBy === 'eth1');
    t.true(found.some(({ after, from }) => after === 'deny' && from.kind === 'outside'));
  });
}

test('addresses of two hosts that rules see alike: each is outside for the other', (t) => {
  const hosts = [NODE, 'node-b'].map((node, index) =>
    hostEndpointOf(`on-${node}`, {
      node,
      interfaceName: 'eth0',
      expectedIPs: [address(`10.0.0.${index + 1}`)],
      labels: { role: 'host' },
      profiles: ['projectcalico-default-allow'],
    }),
  );
  const source = entity({ selector: equals('role', 'host') });
  const deny = policy('p', { types: ['ingress'], ingress: [rule('deny', { source })] });
  const found = changes(hosts, [...hosts, deny]).filter(
    ({ way, example }) => way?.inBy === 'eth0' && example.saddr.value < address('10.0.0.3').value,
  );
  t.deepEqual(new Set(found.map(({ way }) => way?.node)), new Set([NODE, 'node-b']));
  t.is(found.length, 2);
});

test('answers from a failsafe port, which untracked policy leaves alone', (t) => {
  const host = hostEndpointOf('a', { interfaceName: 'eth1', expectedIPs: [address(BESIDE)] });
  const open = policy('p', {
    types: ['ingress'],
    ingress: [rule('allow')],
    doNotTrack: true,
    applyOnForward: true,
  });
  const found = changes([open], [open, host]).filter(({ to }) => to.kind === 'host');
  const closed = found.find(({ after }) => after === 'deny');
  const has = (sport: number): boolean =>
    closed?.packets.some((packet) => packet.protocol === 17 && packet.sport === sport) === true;
  t.deepEqual([53, 54].map(has), [true, false]);
});
