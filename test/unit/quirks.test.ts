/**
 * What Picket does where Calico's behaviour surprises: one test or more per row of specification section 11.2 that concerns what exists.
 * Titles begin with the row's number; README, "Differences to Calico", gives the reasons. Rows of host endpoints (Q10,
 * Q11, Q21) are shown by real packets in test/kernel/host-endpoint-stages.test.ts; flow logs (Q15), timers and processes of Felix (Q16, Q27)
 * and QoS (Q22) have nothing here to show.
 */
import test from 'ava';
import { FakeDataplane } from '../../agent/dataplane/fake.ts';
import { Engine } from '../../agent/engine/engine.ts';
import { Store } from '../../agent/store/store.ts';
import { Calc } from '../../compiler/calc/calc.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { parseResource } from '../../compiler/model/parse/resource.ts';
import { DEFAULT_BASE_CONFIG } from '../../compiler/nft/base.ts';
import type { NftRule } from '../../compiler/nft/program.ts';
import { evaluate } from '../../compiler/oracle/evaluate.ts';
import { keyOf } from '../support/keys.ts';
import { globalPolicy, packetOf, podObject, putEvent } from '../support/kernel-node.ts';
import { briefIssues } from '../support/manifest.ts';
import { resourcesOf, verdictAfter, verdictOn } from '../support/verdict.ts';
import { NODE, world } from '../support/world.ts';

const A = podObject({ name: 'a', addresses: ['10.0.0.1', 'fd00::1'] });
const B = podObject({ name: 'b', addresses: ['10.0.0.2', 'fd00::2'] });
const SHOP = namespaceObject('shop', { env: 'test' });
const BASE = [SHOP, A, B];

function namespaceObject(name: string, labels: object = {}): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

function calico(kind: string, metadata: object, spec: object): object {
  return { apiVersion: 'projectcalico.org/v3', kind, metadata, spec };
}

/** NetworkPolicy in namespace `shop`. */
function networkPolicy(name: string, spec: object): object {
  return calico('NetworkPolicy', { name, namespace: 'shop' }, spec);
}

/** Pod `a`'s egress, governed by one rule list. */
function egress(...rules: readonly object[]): object {
  return globalPolicy('p', { selector: "app == 'a'", types: ['Egress'], egress: rules });
}

function ingress(...rules: readonly object[]): object {
  return globalPolicy('p', { selector: "app == 'a'", types: ['Ingress'], ingress: rules });
}

const TO_OUTSIDE = packetOf({ from: '10.0.0.1', to: '203.0.113.9' });
const TO_OUTSIDE6 = packetOf({ from: 'fd00::1', to: '2001:db8::9' });
const TO_B = packetOf({ from: '10.0.0.1', to: '10.0.0.2' });
const FROM_OUTSIDE = packetOf({ from: '203.0.113.9', to: '10.0.0.1' });

function out(objects: readonly object[], packet: Packet = TO_OUTSIDE): 'allow' | 'deny' {
  return verdictOn([...BASE, ...objects], 'shop/a', 'egress', packet);
}

function into(objects: readonly object[], packet: Packet = FROM_OUTSIDE): 'allow' | 'deny' {
  return verdictOn([...BASE, ...objects], 'shop/a', 'ingress', packet);
}

test('Q1: types left out follow the rules that are there, as the API text says', (t) => {
  const rows = [
    { spec: {}, ingress: 'deny', egress: 'allow' },
    { spec: { ingress: [] }, ingress: 'deny', egress: 'allow' },
    { spec: { egress: [{ action: 'Deny' }] }, ingress: 'allow', egress: 'deny' },
    {
      spec: { ingress: [{ action: 'Deny' }], egress: [{ action: 'Deny' }] },
      ingress: 'deny',
      egress: 'deny',
    },
    { spec: { types: [], ingress: [{ action: 'Deny' }] }, ingress: 'deny', egress: 'allow' },
  ] as const;
  for (const row of rows) {
    const policy = globalPolicy('p', row.spec);
    t.is(into([policy]), row.ingress, JSON.stringify(row.spec));
    t.is(out([policy]), row.egress, JSON.stringify(row.spec));
  }
});

test('Q2: all() inside a quoted value stays a value', (t) => {
  const set = calico(
    'GlobalNetworkSet',
    { name: 'odd', labels: { x: 'a' } },
    { nets: ['203.0.113.0/24'] },
  );
  const rule = {
    action: 'Allow',
    destination: { selector: "x == 'a' && x != 'all()'", namespaceSelector: 'global()' },
  };
  t.is(out([set, egress(rule)]), 'allow');
  const scoped = globalPolicy('p', {
    selector: "app in {'a', 'all()'}",
    namespaceSelector: 'all()',
    types: ['Egress'],
  });
  t.is(out([scoped]), 'deny');
});

const SLICE = {
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'b-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'b' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.0.0.2'] }],
  ports: [{ port: 80, protocol: 'TCP' }],
};

test("Q3: services without a namespace are those of the policy's own", (t) => {
  const rule = { action: 'Allow', destination: { services: { name: 'b' } } };
  const policy = networkPolicy('p', { selector: "app == 'a'", types: ['Egress'], egress: [rule] });
  t.is(out([SLICE, policy], TO_B), 'allow');
  t.is(out([SLICE, policy], { ...TO_B, dport: 81 }), 'deny');
  const elsewhere = { ...SLICE, metadata: { ...SLICE.metadata, namespace: 'other' } };
  t.is(out([elsewhere, policy], TO_B), 'deny');
});

const allowProtocol = (protocol: string | number): object => egress({ action: 'Allow', protocol });

test('Q4: protocol names restrict the family, numbers do not', (t) => {
  const [icmp4, icmp6] = [
    packetOf({ from: '10.0.0.1', to: '203.0.113.9', protocol: 1 }),
    packetOf({ from: 'fd00::1', to: '2001:db8::9', protocol: 58 }),
  ];
  const foreign6 = packetOf({ from: 'fd00::1', to: '2001:db8::9', protocol: 1 });
  const foreign4 = packetOf({ from: '10.0.0.1', to: '203.0.113.9', protocol: 58 });
  t.deepEqual(
    [out([allowProtocol('ICMP')], icmp4), out([allowProtocol('ICMP')], foreign6)],
    ['allow', 'deny'],
  );
  t.deepEqual(
    [out([allowProtocol(1)], icmp4), out([allowProtocol(1)], foreign6)],
    ['allow', 'allow'],
  );
  t.deepEqual(
    [out([allowProtocol('ICMPv6')], icmp6), out([allowProtocol('ICMPv6')], foreign4)],
    ['allow', 'deny'],
  );
  t.deepEqual(
    [out([allowProtocol(58)], icmp6), out([allowProtocol(58)], foreign4)],
    ['allow', 'allow'],
  );
});

test('Q5: a rule whose negated nets are all IPv4 says nothing about IPv6', (t) => {
  const allow = egress({ action: 'Allow', destination: { notNets: ['198.51.100.0/24'] } });
  t.is(out([allow]), 'allow');
  t.is(out([allow], TO_OUTSIDE6), 'deny');
  const both = egress({
    action: 'Allow',
    destination: { notNets: ['198.51.100.0/24', '2001:db9::/32'] },
  });
  t.true(
    briefIssues(both).some((issue) => issue.startsWith('error')),
    'one family to a rule',
  );
  const second = { action: 'Allow', destination: { notNets: ['2001:db9::/32'] } };
  t.is(out([egress(second)], TO_OUTSIDE6), 'allow');
});

const echo = (type: number, code: number): Packet =>
  packetOf({ from: '10.0.0.1', to: '203.0.113.9', protocol: 1, icmp: [type, code] });

test('Q6: notICMP with type and code negates the pair', (t) => {
  const policy = egress({ action: 'Allow', protocol: 'ICMP', notICMP: { type: 8, code: 1 } });
  t.is(out([policy], echo(8, 1)), 'deny');
  t.is(out([policy], echo(8, 0)), 'allow');
  t.is(out([policy], echo(0, 1)), 'allow');
  t.is(out([policy], echo(0, 0)), 'allow');
});

test('Q7: type and code of ICMP are two matches, no nft text is involved', (t) => {
  const policy = egress({ action: 'Allow', protocol: 'ICMP', icmp: { type: 8, code: 1 } });
  t.is(out([policy], echo(8, 1)), 'allow');
  t.is(out([policy], echo(8, 0)), 'deny');
  t.is(out([policy], echo(0, 1)), 'deny');
});

function compile(...objects: readonly object[]): Engine {
  const config = { node: NODE, base: DEFAULT_BASE_CONFIG, parse: {} };
  const engine = new Engine(config, new FakeDataplane());
  engine.take([...BASE, ...objects].map(putEvent));
  engine.compile();
  return engine;
}

function rulesWithLog(engine: Engine): NftRule[] {
  const chains = [...engine.table.chains.desired.values()];
  return chains
    .flatMap((chain) => chain.rules)
    .filter(({ exprs }) => exprs.some(({ kind }) => kind === 'log'));
}

test('Q8: a log comes after the whole match of its rule', (t) => {
  const rules = rulesWithLog(
    compile(egress({ action: 'Log', protocol: 'TCP', destination: { ports: [80] } })),
  );
  t.is(rules.length, 2, 'one per family');
  for (const { exprs } of rules) {
    const kinds = exprs.map(({ kind }) => kind);
    t.is(kinds.indexOf('log'), kinds.length - 1);
    t.true(kinds.includes('payload'));
  }
});

test('Q9: a log prefix that the kernel would refuse is cut, and stays distinct', (t) => {
  const policies = ['x', 'y'].map((last) =>
    globalPolicy(`${'long-'.repeat(30)}${last}`, {
      selector: "app == 'a'",
      types: ['Egress'],
      egress: [{ action: 'Log' }],
    }),
  );
  const prefixes = rulesWithLog(compile(...policies)).flatMap(({ exprs }) =>
    exprs.flatMap((expr) => (expr.kind === 'log' ? expr.prefix : [])),
  );
  t.is(new Set(prefixes).size, 2);
  t.true(prefixes.every((prefix) => Buffer.byteLength(prefix) < 64));
});

test('Q12: policies of a tier that nobody knows come last and deny by default', (t) => {
  const lost = calico(
    'GlobalNetworkPolicy',
    { name: 'gone.p' },
    { tier: 'gone', types: ['Egress'], egress: [{ action: 'Allow', protocol: 'UDP' }] },
  );
  t.is(out([lost]), 'deny');
  const udp = packetOf({ from: '10.0.0.1', to: '203.0.113.9', protocol: 17 });
  t.is(out([lost], udp), 'allow');
  t.is(out([lost, egress({ action: 'Allow' })]), 'allow', 'the default tier has decided');
  t.is(out([lost, egress({ action: 'Pass' })]), 'deny');
});

test('Q13: a deleted tier is an unknown one, whatever its default action was', (t) => {
  const tier = calico('Tier', { name: 'ops' }, { order: 10, defaultAction: 'Pass' });
  const policy = calico(
    'GlobalNetworkPolicy',
    { name: 'ops.p' },
    { tier: 'ops', types: ['Egress'] },
  );
  const resources = resourcesOf([...BASE, policy, tier]);
  const calc = new Calc(NODE);
  for (const resource of resources) calc.put(keyOf(resource), resource);
  t.is(verdictAfter(calc, resources, 'shop/a', 'egress', TO_OUTSIDE), 'allow');
  const left = resources.filter(({ kind }) => kind !== 'Tier');
  const after = new Calc(NODE);
  for (const resource of resources) after.put(keyOf(resource), resource);
  for (const resource of resources) if (resource.kind === 'Tier') after.delete(keyOf(resource));
  t.is(verdictAfter(after, left, 'shop/a', 'egress', TO_OUTSIDE), 'deny');
});

test('Q14: the end of a tier is said to be the tier, not one of its policies', (t) => {
  const resources = resourcesOf([...BASE, egress({ action: 'Allow', protocol: 'UDP' })]);
  const local = resources.find(({ kind }) => kind === 'WorkloadEndpoint');
  if (local?.kind !== 'WorkloadEndpoint') throw new Error('no pod');
  const { decisive } = evaluate(world(resources), local, 'egress', TO_OUTSIDE);
  t.like(decisive, { kind: 'implicit', reason: 'end-of-tier', tier: 'default' });
});

test('Q17: a rule edited in the kernel is found, whatever its comment says', async (t) => {
  const dataplane = new FakeDataplane();
  const engine = new Engine({ node: NODE, base: DEFAULT_BASE_CONFIG, parse: {} }, dataplane);
  engine.take([...BASE, egress({ action: 'Deny', protocol: 'TCP' })].map(putEvent));
  await engine.apply();
  const chain = [...engine.table.chains.desired.values()].find(({ rules }) =>
    rules.some(({ origin }) => origin.startsWith('gnp/p ')),
  );
  const [rule] = chain?.rules ?? [];
  if (chain === undefined || rule === undefined) throw new Error('no chain');
  const origin = 'somebody else';
  await dataplane.commit([
    { op: 'flush-chain', name: chain.name, origin },
    {
      op: 'add-rule',
      chain: chain.name,
      rule: { ...rule, exprs: rule.exprs.slice(0, -1) },
      origin,
    },
  ]);
  engine.doubt();
  const { operations } = await engine.apply();
  t.deepEqual(operations, { 'flush-chain': 1, 'add-rule': 1 });
});

test('Q18: a net that is none never widens a rule', (t) => {
  for (const nets of [['10.0.0.0/33'], ['300.1.1.1'], ['10.0.0.0/33', 'x']]) {
    const allow = egress({ action: 'Allow', destination: { nets } });
    t.is(out([allow]), 'deny', `Allow to ${nets.join()} matches nothing`);
    const deny = egress({ action: 'Deny', destination: { nets } }, { action: 'Allow' });
    t.is(out([deny]), 'deny', `Deny to ${nets.join()} matches everything`);
    t.true(briefIssues(allow).some((issue) => issue.startsWith('error')));
  }
});

test('Q19: a negative namespace selector matches what has no namespace', (t) => {
  const set = calico('GlobalNetworkSet', { name: 'partners' }, { nets: ['203.0.113.0/24'] });
  const policy = ingress({ action: 'Allow', source: { namespaceSelector: "env != 'prod'" } });
  t.is(into([set, policy]), 'allow');
  t.is(into([policy]), 'deny', 'an address that nothing describes is selected by nothing');
  const positive = ingress({ action: 'Allow', source: { namespaceSelector: 'has(env)' } });
  t.is(into([set, positive]), 'deny');
});

test('Q20: namespaces of a ClusterNetworkPolicy peer are all that lives there, network sets too', (t) => {
  const set = calico(
    'NetworkSet',
    { name: 'partners', namespace: 'shop' },
    { nets: ['203.0.113.0/24'] },
  );
  const policy = {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'p' },
    spec: {
      tier: 'Admin',
      priority: 1,
      subject: { namespaces: {} },
      ingress: [{ action: 'Deny', from: [{ namespaces: { matchLabels: { env: 'test' } } }] }],
    },
  };
  t.is(into([policy]), 'allow');
  t.is(into([set, policy]), 'deny');
});

test('Q23: a long service account name is a label like any other', (t) => {
  for (const name of ['s'.repeat(62), 's'.repeat(63)]) {
    const pod = structuredClone(B) as { spec: { serviceAccountName?: string } };
    pod.spec.serviceAccountName = name;
    const policy = ingress({ action: 'Allow', source: { serviceAccounts: { names: [name] } } });
    const packet = packetOf({ from: '10.0.0.2', to: '10.0.0.1' });
    t.is(verdictOn([SHOP, A, pod, policy], 'shop/a', 'ingress', packet), 'allow');
  }
});

test('Q24: source prefixes that are not allowed are left out, the pod stays', (t) => {
  const annotations = { 'cni.projectcalico.org/allowedSourcePrefixes': '["10.9.0.0/16"]' };
  const pod = podObject({ name: 'a', addresses: ['10.0.0.1'], annotations });
  const { value } = parseResource(pod, {});
  t.like(value, { kind: 'WorkloadEndpoint', active: true, allowedSourcePrefixes: [] });
  t.true(briefIssues(pod).some((issue) => issue.startsWith('warning source-prefixes-off')));
  t.is(verdictOn([SHOP, pod], 'shop/a', 'egress', TO_OUTSIDE), 'allow');
});

for (const field of ['selector', 'namespaceSelector', 'serviceAccountSelector']) {
  const bad = globalPolicy('p', { types: ['Egress'], [field]: 'a == ' });
  const good = globalPolicy('p', { types: ['Egress'], selector: "app == 'a'" });

  test(`Q25: a policy whose ${field} is wrong keeps its last accepted version`, (t) => {
    const store = new Store({});
    t.is(store.take(putEvent(good)).change?.op, 'put');
    const { change, findings } = store.take(putEvent(bad));
    t.is(change, undefined);
    t.true(findings.some(({ severity, path }) => severity === 'error' && path.includes(field)));
  });

  test(`Q25: a policy whose ${field} was never right governs nothing, and that is said`, (t) => {
    const store = new Store({});
    const { change, findings } = store.take(putEvent(bad));
    t.is(change, undefined);
    t.true(findings.some(({ severity }) => severity === 'error'));
    t.is(out([bad]), 'allow');
  });
}

test('Q25: any other wrong field costs its rule, not the policy', (t) => {
  const policy = egress(
    { action: 'Allow', protocol: 'TCP', destination: { ports: [70_000] } },
    { action: 'Allow', protocol: 'UDP' },
  );
  t.is(out([policy]), 'deny');
  t.is(out([policy], packetOf({ from: '10.0.0.1', to: '203.0.113.9', protocol: 17 })), 'allow');
});

test('Q26: notICMP without a protocol speaks of ICMP only', (t) => {
  const policy = egress({ action: 'Allow', notICMP: { type: 8 } });
  t.is(out([policy], echo(0, 0)), 'allow');
  t.is(out([policy], echo(8, 0)), 'deny');
  t.is(out([policy]), 'deny', 'TCP');
});
