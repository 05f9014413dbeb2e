import test from 'ava';
import { toCidr } from '../../../../../compiler/model/ip.ts';
import {
  ANY_ENTITY,
  type EntityMatch,
  type PortMatch,
} from '../../../../../compiler/model/policy.ts';
import { ANY_MATCH } from '../../../../../compiler/model/parse/rule-parts.ts';
import { parseSelector } from '../../../../../compiler/model/parse/selector.ts';
import { parseResource } from '../../../../../compiler/model/parse/resource.ts';
import { briefIssues, parsePlain, parsePolicy, plain } from '../../../../support/manifest.ts';

const KINDS = {
  ClusterNetworkPolicy: {
    version: 'v1alpha2',
    head: { tier: 'Admin', priority: 7 },
    ports: 'protocols',
    accept: 'Accept',
  },
  AdminNetworkPolicy: {
    version: 'v1alpha1',
    head: { priority: 7 },
    ports: 'ports',
    accept: 'Allow',
  },
  BaselineAdminNetworkPolicy: { version: 'v1alpha1', head: {}, ports: 'ports', accept: 'Allow' },
} as const;

type Kind = keyof typeof KINDS;

const KIND_NAMES = Object.keys(KINDS) as Kind[];

function make(kind: Kind, spec: object): object {
  const { version, head } = KINDS[kind];
  return {
    apiVersion: `policy.networking.k8s.io/${version}`,
    kind,
    metadata: { name: 'default' },
    spec: { subject: { namespaces: {} }, ...head, ...spec },
  };
}

const select = (text: string) => {
  const parsed = parseSelector(text);
  if ('error' in parsed) throw new Error(parsed.error);
  return parsed.selector;
};
const IS_POD = "projectcalico.org/orchestrator == 'k8s'";
const port = (first: number, last = first): PortMatch => ({ kind: 'range', first, last });
const named = (name: string): PortMatch => ({ kind: 'named', name });

const HEADS = {
  ClusterNetworkPolicy: {
    policyKind: 'KubernetesClusterNetworkPolicy',
    tier: 'kube-admin',
    order: 7,
  },
  AdminNetworkPolicy: { policyKind: 'AdminNetworkPolicy', tier: 'kube-admin', order: 7 },
  BaselineAdminNetworkPolicy: {
    policyKind: 'BaselineAdminNetworkPolicy',
    tier: 'kube-baseline',
    order: undefined,
  },
} as const;

for (const kind of KIND_NAMES) {
  test(`${kind}: head, subject and an empty list of rules`, (t) => {
    const object = make(kind, {});
    t.deepEqual(parsePlain(object), {
      kind: 'Policy',
      ...HEADS[kind],
      namespace: undefined,
      name: 'default',
      staged: false,
      selector: select(IS_POD),
      namespaceSelector: { kind: 'all' },
      serviceAccountSelector: undefined,
      types: [],
      ingress: [],
      egress: [],
      applyOnForward: false,
      preDnat: false,
      doNotTrack: false,
    });
    t.deepEqual(briefIssues(object), []);
  });
}

test('ClusterNetworkPolicy: baseline tier', (t) => {
  t.is(parsePolicy(make('ClusterNetworkPolicy', { tier: 'Baseline' })).tier, 'kube-baseline');
});

test('subject pods', (t) => {
  const pods = {
    namespaceSelector: { matchLabels: { a: 'b' } },
    podSelector: { matchLabels: { c: 'd' } },
  };
  const { selector, namespaceSelector } = parsePolicy(
    make('AdminNetworkPolicy', { subject: { pods } }),
  );
  t.deepEqual(plain(selector), select(`${IS_POD} && c == 'd'`));
  t.deepEqual(plain(namespaceSelector), select("a == 'b'"));
});

const PEERS: readonly { name: string; in: object; out: Partial<EntityMatch> }[] = [
  { name: 'all namespaces', in: { namespaces: {} }, out: { namespaceSelector: { kind: 'all' } } },
  {
    name: 'namespaces have no pod term',
    in: { namespaces: { matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] } },
    out: { namespaceSelector: select('!has(a)') },
  },
  {
    name: 'pods',
    in: { pods: { namespaceSelector: {}, podSelector: {} } },
    out: { selector: select(IS_POD), namespaceSelector: { kind: 'all' } },
  },
  {
    name: 'networks',
    in: { networks: ['10.0.0.0/8', 'fd00::/8'] },
    out: { nets: ['10.0.0.0/8', 'fd00::/8'].flatMap((text) => toCidr(text) ?? []) },
  },
];

for (const row of PEERS) {
  test(`peer: ${row.name}`, (t) => {
    for (const kind of KIND_NAMES) {
      const rule = { name: 'r', action: 'Deny', to: [row.in] };
      const policy = parsePolicy(make(kind, { egress: [rule] }));
      t.deepEqual(policy.types, ['egress']);
      t.deepEqual(plain(policy.egress), [
        {
          action: 'deny',
          index: 0,
          name: 'r',
          match: plain({ ...ANY_MATCH, destination: { ...ANY_ENTITY, ...row.out } }),
        },
      ]);
    }
  });
}

interface PortRow {
  readonly name: string;
  readonly kind: Kind;
  readonly in: unknown;
  readonly out: readonly {
    readonly protocol: number | undefined;
    readonly ports: readonly PortMatch[];
  }[];
}

const PORTS: readonly PortRow[] = [
  {
    name: 'number',
    kind: 'ClusterNetworkPolicy',
    in: [{ tcp: { destinationPort: { number: 80 } } }],
    out: [{ protocol: 6, ports: [port(80)] }],
  },
  {
    name: 'range',
    kind: 'ClusterNetworkPolicy',
    in: [{ udp: { destinationPort: { range: { start: 1, end: 9 } } } }],
    out: [{ protocol: 17, ports: [port(1, 9)] }],
  },
  {
    name: 'all ports',
    kind: 'ClusterNetworkPolicy',
    in: [{ sctp: {} }],
    out: [{ protocol: 132, ports: [] }],
  },
  {
    name: 'names first, of any protocol',
    kind: 'ClusterNetworkPolicy',
    in: [{ tcp: { destinationPort: { number: 80 } } }, { destinationNamedPort: 'web' }],
    out: [
      { protocol: undefined, ports: [named('web')] },
      { protocol: 6, ports: [port(80)] },
    ],
  },
  {
    name: 'number',
    kind: 'AdminNetworkPolicy',
    in: [{ portNumber: { protocol: 'UDP', port: 53 } }],
    out: [{ protocol: 17, ports: [port(53)] }],
  },
  {
    name: 'number of TCP',
    kind: 'AdminNetworkPolicy',
    in: [{ portNumber: { port: 53 } }],
    out: [{ protocol: 6, ports: [port(53)] }],
  },
  {
    name: 'range',
    kind: 'AdminNetworkPolicy',
    in: [{ portRange: { protocol: 'TCP', start: 1, end: 9 } }],
    out: [{ protocol: 6, ports: [port(1, 9)] }],
  },
  {
    name: 'name',
    kind: 'BaselineAdminNetworkPolicy',
    in: [{ namedPort: 'web' }],
    out: [{ protocol: undefined, ports: [named('web')] }],
  },
];

for (const row of PORTS) {
  test(`ports: ${row.kind}, ${row.name}`, (t) => {
    const { ports, accept } = KINDS[row.kind];
    const rule = { action: accept, from: [{ namespaces: {} }], [ports]: row.in };
    const { ingress } = parsePolicy(make(row.kind, { ingress: [rule] }));
    const found = ingress.map(({ match }) =>
      typeof match === 'string'
        ? match
        : { protocol: match.protocol?.number, ports: match.destination.ports },
    );
    t.deepEqual(plain(found), plain(row.out));
  });
}

const ANYONE = [{ namespaces: {} }];

const BAD_RULES = [
  {
    name: 'nodes',
    in: { to: [{ nodes: {} }] },
    out: 'peer-unsupported spec.egress[0].to[0].nodes',
  },
  {
    name: 'domainNames',
    in: { to: [...ANYONE, { domainNames: ['a.b'] }] },
    out: 'peer-unsupported spec.egress[0].to[1].domainNames',
  },
  {
    name: 'peer unknown',
    in: { to: [{ planets: {} }] },
    out: 'unknown-field spec.egress[0].to[0].planets',
  },
  { name: 'peer empty', in: { to: [{}] }, out: 'peer-conflict spec.egress[0].to[0]' },
  {
    name: 'peer of two kinds',
    in: { to: [{ namespaces: {}, networks: ['10.0.0.0/8'] }] },
    out: 'peer-conflict spec.egress[0].to[0]',
  },
  { name: 'no peers', in: { to: [] }, out: 'missing spec.egress[0].to' },
  {
    name: 'network garbage',
    in: { to: [{ networks: ['x'] }] },
    out: 'net-invalid spec.egress[0].to[0].networks[0]',
  },
  {
    name: 'networks empty',
    in: { to: [{ networks: [] }] },
    out: 'missing spec.egress[0].to[0].networks',
  },
  {
    name: 'unknown field',
    in: { to: ANYONE, when: 'now' },
    out: 'unknown-field spec.egress[0].when',
  },
];

const CNP_PORTS = [
  {
    name: 'port kind unknown',
    in: { to: ANYONE, protocols: [{ dccp: {} }] },
    out: 'unknown-field spec.egress[0].protocols[0].dccp',
  },
  {
    name: 'port empty',
    in: { to: ANYONE, protocols: [{}] },
    out: 'protocol-invalid spec.egress[0].protocols[0]',
  },
  {
    name: 'port of no kind',
    in: { to: ANYONE, protocols: [{ tcp: { destinationPort: {} } }] },
    out: 'port-invalid spec.egress[0].protocols[0].tcp.destinationPort',
  },
  {
    name: 'port 0',
    in: { to: ANYONE, protocols: [{ tcp: { destinationPort: { number: 0 } } }] },
    out: 'out-of-range spec.egress[0].protocols[0].tcp.destinationPort.number',
  },
  {
    name: 'range without end',
    in: { to: ANYONE, protocols: [{ tcp: { destinationPort: { range: { start: 1 } } } }] },
    out: 'missing spec.egress[0].protocols[0].tcp.destinationPort.range.end',
  },
];

for (const row of [...BAD_RULES, ...CNP_PORTS]) {
  test(`a rule with a part that cannot be matched: ${row.name}`, (t) => {
    const kind = 'ClusterNetworkPolicy';
    const parse = (action: string) => {
      const object = make(kind, { egress: [{ action, name: 'r', ...row.in }] });
      t.true(briefIssues(object).includes(`error ${row.out}`), briefIssues(object).join('\n'));
      return parsePolicy(object).egress;
    };
    const rule = { index: 0, name: 'r' };
    t.deepEqual(parse('Accept'), [{ ...rule, action: 'allow', match: 'nothing' }]);
    t.deepEqual(parse('Deny'), [{ ...rule, action: 'deny', match: 'everything' }]);
    t.deepEqual(parse('Pass'), [{ ...rule, action: 'deny', match: 'everything' }]);
  });
}

const ACTIONS = [
  { kind: 'ClusterNetworkPolicy', action: 'Allow' },
  { kind: 'AdminNetworkPolicy', action: 'Accept' },
  { kind: 'BaselineAdminNetworkPolicy', action: 'Pass' },
] as const;

for (const { kind, action } of ACTIONS) {
  test(`${kind} has no action ${action}`, (t) => {
    const object = make(kind, { ingress: [{ action, from: ANYONE }] });
    t.deepEqual(briefIssues(object), ['error not-in-list spec.ingress[0].action']);
    t.deepEqual(parsePolicy(object).ingress, [
      { action: 'deny', index: 0, name: undefined, match: 'everything' },
    ]);
  });
}

test('rules that are no list deny everything', (t) => {
  const object = make('ClusterNetworkPolicy', { egress: { action: 'Accept' } });
  const { types, egress } = parsePolicy(object);
  const deny = { action: 'deny', index: 0, name: undefined, match: 'everything' } as const;
  t.deepEqual(types, ['egress']);
  t.deepEqual(egress, [deny]);
  t.deepEqual(briefIssues(object), ['error not-a-list spec.egress']);
});

test('networks are for egress only', (t) => {
  const rule = { action: 'Accept', from: [{ networks: ['10.0.0.0/8'] }] };
  const object = make('ClusterNetworkPolicy', { ingress: [rule] });
  t.deepEqual(briefIssues(object), ['error peer-unsupported spec.ingress[0].from[0].networks']);
  t.is(parsePolicy(object).ingress[0]?.match, 'nothing');
});

const BAD_HEADS = [
  { name: 'tier unknown', in: { tier: 'Top' }, out: 'error not-in-list spec.tier' },
  { name: 'tier missing', in: { tier: undefined }, out: 'error missing spec.tier' },
  { name: 'priority missing', in: { priority: undefined }, out: 'error missing spec.priority' },
  { name: 'priority fraction', in: { priority: 1.5 }, out: 'error not-an-integer spec.priority' },
  { name: 'priority 1001', in: { priority: 1001 }, out: 'error out-of-range spec.priority' },
  { name: 'subject missing', in: { subject: undefined }, out: 'error missing spec.subject' },
  {
    name: 'subject of two kinds',
    in: { subject: { namespaces: {}, pods: {} } },
    out: 'error peer-conflict spec.subject',
  },
  {
    name: 'subject unknown',
    in: { subject: { nodes: {} } },
    out: 'error unknown-field spec.subject.nodes',
  },
];

for (const row of BAD_HEADS) {
  test(`no value: ${row.name}`, (t) => {
    const { value } = parseResource(make('ClusterNetworkPolicy', row.in), {});
    t.is(value, undefined);
    t.true(briefIssues(make('ClusterNetworkPolicy', row.in)).includes(row.out));
  });
}

test('a baseline policy of another name is used', (t) => {
  const object = { ...make('BaselineAdminNetworkPolicy', {}), metadata: { name: 'x' } };
  t.deepEqual(briefIssues(object), ['warning name-style metadata.name']);
  t.is(parsePolicy(object).name, 'x');
});
