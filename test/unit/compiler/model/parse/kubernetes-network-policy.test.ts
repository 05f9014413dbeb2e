import test from 'ava';
import { toCidr, type Cidr } from '../../../../../compiler/model/ip.ts';
import {
  ANY_ENTITY,
  type EntityMatch,
  type PortMatch,
  type Rule,
} from '../../../../../compiler/model/policy.ts';
import type { Selector } from '../../../../../compiler/model/selector.ts';
import { parseSelector } from '../../../../../compiler/model/parse/selector.ts';
import { ANY_MATCH } from '../../../../../compiler/model/parse/rule-parts.ts';
import {
  briefIssues,
  calico,
  kubernetesPolicy,
  parsePlain,
  parsePolicy,
  plain,
} from '../../../../support/manifest.ts';

const ORCHESTRATOR = "projectcalico.org/orchestrator == 'k8s'";

const select = (text: string): Selector => {
  const parsed = parseSelector(text);
  if ('error' in parsed) throw new Error(parsed.error);
  return parsed.selector;
};
const pods = (text = ''): Selector =>
  select(text === '' ? ORCHESTRATOR : `${ORCHESTRATOR} && ${text}`);
const net = (text: string): Cidr => {
  const cidr = toCidr(text);
  if (cidr === undefined) throw new Error(text);
  return cidr;
};
const port = (first: number, last = first): PortMatch => ({ kind: 'range', first, last });
const named = (name: string): PortMatch => ({ kind: 'named', name });

function allow(
  direction: 'ingress' | 'egress',
  protocol: number | undefined,
  peer: Partial<EntityMatch>,
  ports: readonly PortMatch[],
): Rule {
  const side = { ...ANY_ENTITY, ...peer };
  return {
    action: 'allow',
    index: 0,
    name: undefined,
    match: {
      ...ANY_MATCH,
      protocol: protocol === undefined ? undefined : { number: protocol, family: undefined },
      source: direction === 'ingress' ? side : ANY_ENTITY,
      destination: { ...(direction === 'ingress' ? ANY_ENTITY : side), ports },
    },
  };
}

test('the worked example of the specification, A.3', (t) => {
  const object = kubernetesPolicy({
    podSelector: { matchLabels: { app: 'db' } },
    policyTypes: ['Ingress'],
    ingress: [
      {
        from: [
          { podSelector: { matchLabels: { role: 'api' } } },
          { namespaceSelector: {}, podSelector: { matchLabels: { role: 'batch' } } },
          { ipBlock: { cidr: '10.1.2.3/16', except: ['10.1.9.0/24'] } },
        ],
        ports: [
          { protocol: 'TCP', port: 80 },
          { protocol: 'TCP', port: 81 },
          { protocol: 'TCP', port: 82 },
          { protocol: 'UDP', port: 'dns' },
          { protocol: 'TCP', port: 9000, endPort: 9010 },
        ],
      },
    ],
  });
  const peers = [
    { selector: pods("role == 'api'") },
    { selector: pods("role == 'batch'"), namespaceSelector: select('all()') },
    { nets: [net('10.1.0.0/16')], notNets: [net('10.1.9.0/24')] },
  ];
  t.deepEqual(parsePlain(object), {
    kind: 'Policy',
    policyKind: 'KubernetesNetworkPolicy',
    namespace: 'ns',
    name: 'p',
    tier: 'default',
    order: 1000,
    staged: false,
    selector: pods("app == 'db'"),
    namespaceSelector: undefined,
    serviceAccountSelector: undefined,
    types: ['ingress'],
    ingress: [
      ...peers.map((peer) => plain(allow('ingress', 6, peer, [port(80, 82), port(9000, 9010)]))),
      ...peers.map((peer) => plain(allow('ingress', 17, peer, [named('dns')]))),
    ],
    egress: [],
    applyOnForward: false,
    preDnat: false,
    doNotTrack: false,
  });
  t.deepEqual(briefIssues(object), ['warning net-host-bits spec.ingress[0].from[2].ipBlock.cidr']);
});

const SELECTORS = [
  { name: 'absent', in: undefined, out: pods() },
  { name: 'empty', in: {}, out: pods() },
  {
    name: 'labels in order of their keys',
    in: { matchLabels: { b: '2', a: '1' } },
    out: pods("a == '1' && b == '2'"),
  },
  {
    name: 'labels before expressions',
    in: {
      matchExpressions: [{ key: 'x', operator: 'In', values: ['b', 'a', 'b'] }],
      matchLabels: { z: '' },
    },
    out: pods("z == '' && x in {'a', 'b'}"),
  },
  {
    name: 'NotIn',
    in: { matchExpressions: [{ key: 'x', operator: 'NotIn', values: ['a'] }] },
    out: pods("x not in {'a'}"),
  },
  {
    name: 'Exists',
    in: { matchExpressions: [{ key: 'x', operator: 'Exists' }] },
    out: pods('has(x)'),
  },
  {
    name: 'DoesNotExist',
    in: { matchExpressions: [{ key: 'x', operator: 'DoesNotExist', values: [] }] },
    out: pods('!has(x)'),
  },
];

for (const row of SELECTORS) {
  test(`podSelector: ${row.name}`, (t) => {
    const object = kubernetesPolicy({ podSelector: row.in });
    t.deepEqual(plain(parsePolicy(object).selector), row.out);
    t.deepEqual(briefIssues(object), []);
  });
}

const BAD_SELECTORS = [
  { name: 'unknown field', in: { matchLabel: {} }, out: 'unknown-field .matchLabel' },
  { name: 'a list', in: [], out: 'not-an-object ' },
  { name: 'value a number', in: { matchLabels: { a: 1 } }, out: 'not-a-string .matchLabels.a' },
  {
    name: 'operator in lower case',
    in: { matchExpressions: [{ key: 'a', operator: 'in', values: ['x'] }] },
    out: 'not-in-list .matchExpressions[0].operator',
  },
  {
    name: 'no operator',
    in: { matchExpressions: [{ key: 'a' }] },
    out: 'missing .matchExpressions[0].operator',
  },
  {
    name: 'no key',
    in: { matchExpressions: [{ operator: 'Exists' }] },
    out: 'missing .matchExpressions[0].key',
  },
  {
    name: 'In without values',
    in: { matchExpressions: [{ key: 'a', operator: 'In', values: [] }] },
    out: 'label-selector-invalid .matchExpressions[0].values',
  },
  {
    name: 'Exists with values',
    in: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['x'] }] },
    out: 'label-selector-invalid .matchExpressions[0].values',
  },
  {
    name: 'key of another language',
    in: { matchExpressions: [{ key: "a' == 'b", operator: 'Exists' }] },
    out: 'label-selector-invalid .matchExpressions[0].key',
  },
  {
    name: 'expression null',
    in: { matchExpressions: [null] },
    out: 'missing .matchExpressions[0]',
  },
];

for (const row of BAD_SELECTORS) {
  test(`invalid label selector: ${row.name}`, (t) => {
    const brief = (path: string) => `error ${row.out.replace(' ', ` ${path}`)}`;
    t.deepEqual(briefIssues(kubernetesPolicy({ podSelector: row.in })), [
      brief('spec.podSelector'),
    ]);
    t.is(parsePlain(kubernetesPolicy({ podSelector: row.in })), undefined);
    for (const field of ['podSelector', 'namespaceSelector']) {
      const object = kubernetesPolicy({ ingress: [{ from: [{}, { [field]: row.in }] }] });
      t.deepEqual(briefIssues(object), [brief(`spec.ingress[0].from[1].${field}`)]);
      t.deepEqual(parsePolicy(object).ingress, [
        { action: 'allow', index: 0, name: undefined, match: 'nothing' },
      ]);
    }
  });
}

const RULES = [
  { name: 'empty rule', in: {}, out: [allow('egress', undefined, {}, [])] },
  { name: 'empty lists', in: { to: [], ports: [] }, out: [allow('egress', undefined, {}, [])] },
  { name: 'null lists', in: { to: null, ports: null }, out: [allow('egress', undefined, {}, [])] },
  {
    name: 'empty peer',
    in: { to: [{}] },
    out: [allow('egress', undefined, { selector: pods() }, [])],
  },
  {
    name: 'namespaces',
    in: { to: [{ namespaceSelector: { matchLabels: { e: 'p' } } }] },
    out: [
      allow('egress', undefined, { selector: pods(), namespaceSelector: select("e == 'p'") }, []),
    ],
  },
  {
    name: 'pods',
    in: { to: [{ podSelector: {} }] },
    out: [allow('egress', undefined, { selector: pods() }, [])],
  },
  {
    name: 'port alone is TCP',
    in: { ports: [{ port: 80 }] },
    out: [allow('egress', 6, {}, [port(80)])],
  },
  {
    name: 'port as digits',
    in: { ports: [{ port: '80' }] },
    out: [allow('egress', 6, {}, [port(80)])],
  },
  {
    name: 'protocol alone is all its ports',
    in: { ports: [{ protocol: 'UDP' }] },
    out: [allow('egress', 17, {}, [])],
  },
  { name: 'empty port is all of TCP', in: { ports: [{}] }, out: [allow('egress', 6, {}, [])] },
  {
    name: 'all ports absorb others of the protocol',
    in: { ports: [{ port: 80 }, { protocol: 'TCP' }, { protocol: 'UDP', port: 53 }] },
    out: [allow('egress', 6, {}, []), allow('egress', 17, {}, [port(53)])],
  },
  {
    name: 'protocols by name, numbers merged behind names',
    in: {
      ports: [
        { protocol: 'UDP', port: 53 },
        { port: 82 },
        { port: 'b' },
        { port: 80 },
        { port: 81 },
        { port: 'a' },
        { port: 80 },
        { protocol: 'SCTP', port: 1 },
      ],
    },
    out: [
      allow('egress', 132, {}, [port(1)]),
      allow('egress', 6, {}, [named('b'), named('a'), port(80, 82)]),
      allow('egress', 17, {}, [port(53)]),
    ],
  },
  {
    name: 'one number stays in its place',
    in: { ports: [{ port: 80 }, { port: 'a' }] },
    out: [allow('egress', 6, {}, [port(80), named('a')])],
  },
  {
    name: 'ranges overlap',
    in: { ports: [{ port: 10, endPort: 20 }, { port: 15, endPort: 30 }, { port: 12 }] },
    out: [allow('egress', 6, {}, [port(10, 30)])],
  },
  {
    name: 'IPv6 block',
    in: { to: [{ ipBlock: { cidr: 'fd00::/8' } }] },
    out: [allow('egress', undefined, { nets: [net('fd00::/8')] }, [])],
  },
];

for (const row of RULES) {
  test(`rule: ${row.name}`, (t) => {
    const object = kubernetesPolicy({ policyTypes: ['Egress'], egress: [row.in] });
    t.deepEqual(plain(parsePolicy(object).egress), plain(row.out));
    t.deepEqual(briefIssues(object), []);
  });
}

const BAD_RULES = [
  { name: 'null', in: null, out: 'missing ' },
  { name: 'text', in: 'all', out: 'not-an-object ' },
  { name: 'from in egress', in: { from: [{}] }, out: 'unknown-field .from' },
  { name: 'peers no list', in: { to: {} }, out: 'not-a-list .to' },
  { name: 'peer null', in: { to: [null] }, out: 'missing .to[0]' },
  {
    name: 'peer unknown',
    in: { to: [{ serviceSelector: {} }] },
    out: 'unknown-field .to[0].serviceSelector',
  },
  {
    name: 'block and pods',
    in: { to: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] },
    out: 'peer-conflict .to[0].ipBlock',
  },
  { name: 'block without CIDR', in: { to: [{ ipBlock: {} }] }, out: 'missing .to[0].ipBlock.cidr' },
  {
    name: 'block unparsable',
    in: { to: [{ ipBlock: { cidr: 'foo' } }] },
    out: 'net-invalid .to[0].ipBlock.cidr',
  },
  {
    name: 'exception unparsable',
    in: { to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/40'] } }] },
    out: 'net-invalid .to[0].ipBlock.except[0]',
  },
  {
    name: 'exception of the other family',
    in: { to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['fd00::/9'] } }] },
    out: 'mixed-families .to[0].ipBlock.except[0]',
  },
  { name: 'port 0', in: { ports: [{ port: 0 }] }, out: 'port-invalid .ports[0].port' },
  { name: 'port 65536', in: { ports: [{ port: 65536 }] }, out: 'port-invalid .ports[0].port' },
  {
    name: 'port range as text',
    in: { ports: [{ port: '80:90' }] },
    out: 'port-invalid .ports[0].port',
  },
  { name: 'port a list', in: { ports: [{ port: [80] }] }, out: 'not-a-string .ports[0].port' },
  { name: 'port null entry', in: { ports: [null] }, out: 'missing .ports[0]' },
  {
    name: 'endPort without port',
    in: { ports: [{ endPort: 90 }] },
    out: 'port-invalid .ports[0].endPort',
  },
  {
    name: 'endPort with name',
    in: { ports: [{ port: 'a', endPort: 90 }] },
    out: 'port-invalid .ports[0].endPort',
  },
  {
    name: 'endPort below port',
    in: { ports: [{ port: 91, endPort: 90 }] },
    out: 'port-invalid .ports[0].port',
  },
  {
    name: 'protocol ICMP',
    in: { ports: [{ protocol: 'ICMP' }] },
    out: 'not-in-list .ports[0].protocol',
  },
];

for (const row of BAD_RULES) {
  test(`invalid rule allows nothing: ${row.name}`, (t) => {
    const object = kubernetesPolicy({ policyTypes: ['Egress'], egress: [{}, row.in, {}] });
    const { egress } = parsePolicy(object);
    t.deepEqual(egress[1], { action: 'allow', index: 1, name: undefined, match: 'nothing' });
    t.deepEqual(
      egress.map(({ index }) => index),
      [0, 1, 2],
    );
    t.deepEqual(briefIssues(object), [`error ${row.out.replace(' ', ' spec.egress[1]')}`]);
  });
}

const TYPES = [
  { name: 'nothing', in: {}, out: ['ingress'], warnings: [] },
  { name: 'egress rules', in: { egress: [{}] }, out: ['ingress', 'egress'], warnings: [] },
  {
    name: 'egress rules and empty types',
    in: { egress: [{}], policyTypes: [] },
    out: ['ingress', 'egress'],
    warnings: [],
  },
  { name: 'empty egress list', in: { egress: [] }, out: ['ingress'], warnings: [] },
  { name: 'egress only', in: { policyTypes: ['Egress'] }, out: ['egress'], warnings: [] },
  {
    name: 'unused rules',
    in: { policyTypes: ['Egress'], ingress: [{}] },
    out: ['egress'],
    warnings: ['warning rules-not-governed spec.ingress'],
  },
  {
    name: 'unknown alone',
    in: { policyTypes: ['Both'] },
    out: ['ingress'],
    warnings: ['error not-in-list spec.policyTypes[0]'],
  },
  {
    name: 'unknown with egress rules',
    in: { policyTypes: ['Outgress', null], egress: [{}] },
    out: ['ingress', 'egress'],
    warnings: ['error not-in-list spec.policyTypes[0]', 'error missing spec.policyTypes[1]'],
  },
  {
    name: 'unknown beside a known one',
    in: { policyTypes: ['Outgress', 'Egress'] },
    out: ['ingress', 'egress'],
    warnings: ['error not-in-list spec.policyTypes[0]'],
  },
  {
    name: 'no list',
    in: { policyTypes: 'Egress' },
    out: ['ingress'],
    warnings: ['error not-a-list spec.policyTypes'],
  },
];

for (const row of TYPES) {
  test(`types: ${row.name}`, (t) => {
    t.deepEqual(parsePolicy(kubernetesPolicy(row.in)).types, row.out);
    t.deepEqual(briefIssues(kubernetesPolicy(row.in)), row.warnings);
  });
}

test('rules that are no list allow nothing, and their direction is governed', (t) => {
  const object = kubernetesPolicy({ ingress: { from: [] }, egress: 'all' });
  const { types, ingress, egress } = parsePolicy(object);
  t.deepEqual(
    { types, ingress, egress },
    { types: ['ingress', 'egress'], ingress: [], egress: [] },
  );
  t.deepEqual(briefIssues(object), [
    'error not-a-list spec.ingress',
    'error not-a-list spec.egress',
  ]);
});

test('an exception outside its block is reported', (t) => {
  const to = [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/8', '0.0.0.0/0'] } }];
  t.deepEqual(briefIssues(kubernetesPolicy({ egress: [{ to }] })), [
    'warning except-outside spec.egress[0].to[0].ipBlock.except[0]',
    'warning except-outside spec.egress[0].to[0].ipBlock.except[1]',
  ]);
});

test('the staged form is the same, staged', (t) => {
  const spec = { podSelector: {}, egress: [{ ports: [{ port: 80 }] }] };
  t.deepEqual(
    parsePlain(calico('StagedKubernetesNetworkPolicy', { ...spec, stagedAction: 'Set' })),
    {
      ...plain(parsePolicy(kubernetesPolicy(spec))),
      policyKind: 'StagedKubernetesNetworkPolicy',
      staged: true,
    },
  );
});
