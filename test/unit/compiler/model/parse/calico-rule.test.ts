import test from 'ava';
import {
  ANY_ENTITY,
  type EntityMatch,
  type RuleMatch,
} from '../../../../../compiler/model/policy.ts';
import { toCidr, type Cidr } from '../../../../../compiler/model/ip.ts';
import { parseResource } from '../../../../../compiler/model/parse/resource.ts';
import { ANY_MATCH } from '../../../../../compiler/model/parse/rule-parts.ts';
import {
  briefIssues,
  calico,
  parseOneRule,
  parsePolicy,
  plain,
} from '../../../../support/manifest.ts';

const net = (text: string): Cidr => {
  const cidr = toCidr(text);
  if (cidr === undefined) throw new Error(text);
  return cidr;
};
const side = (part: Partial<EntityMatch>): EntityMatch => ({ ...ANY_ENTITY, ...part });
const has = (label: string) => ({ kind: 'has', label }) as const;
const port = (first: number, last = first) => ({ kind: 'range', first, last }) as const;
const named = (name: string) => ({ kind: 'named', name }) as const;
const protocol = (number: number, family?: 4 | 6) => ({ number, family });

interface ValidRow {
  readonly name: string;
  readonly in: object;
  readonly out: Partial<RuleMatch>;
  /** `<code> <path below the rule>`. */
  readonly warnings?: readonly string[];
}

const VALID: readonly ValidRow[] = [
  { name: 'no condition', in: {}, out: {} },
  {
    name: 'null is absent',
    in: { protocol: null, source: null, destination: { nets: null, selector: null } },
    out: {},
  },
  {
    name: 'empty texts and lists do not restrict',
    in: { source: { selector: '', nets: [], ports: [], serviceAccounts: {} } },
    out: {},
  },
  { name: 'ipVersion', in: { ipVersion: 6 }, out: { ipVersion: 6 } },
  { name: 'protocol by name', in: { protocol: 'TCP' }, out: { protocol: protocol(6) } },
  {
    name: 'a name implies its family',
    in: { protocol: 'ICMPv6' },
    out: { protocol: protocol(58, 6) },
  },
  { name: 'a number does not', in: { protocol: 58 }, out: { protocol: protocol(58) } },
  { name: 'digits are a number', in: { protocol: '255' }, out: { protocol: protocol(255) } },
  {
    name: 'protocol in other case',
    in: { protocol: 'udplite' },
    out: { protocol: protocol(136) },
    warnings: ['letter-case .protocol'],
  },
  { name: 'notProtocol', in: { notProtocol: 'SCTP' }, out: { notProtocol: protocol(132) } },
  {
    name: 'icmp with code',
    in: { protocol: 'ICMP', icmp: { type: 8, code: 0 } },
    out: { protocol: protocol(1, 4), icmp: { type: 8, code: 0 } },
  },
  {
    name: 'icmp with number 58',
    in: { protocol: 58, icmp: { type: 254 } },
    out: { protocol: protocol(58), icmp: { type: 254, code: undefined } },
  },
  { name: 'icmp empty', in: { protocol: 'ICMP', icmp: {} }, out: { protocol: protocol(1, 4) } },
  {
    name: 'notICMP needs no protocol',
    in: { notICMP: { type: 3, code: 1 } },
    out: { notIcmp: { type: 3, code: 1 } },
  },
  {
    name: 'ports of every spelling',
    in: { protocol: 'TCP', destination: { ports: [80, '81', '8080:8090', 'http', 'x_1.y-2'] } },
    out: {
      protocol: protocol(6),
      destination: side({
        ports: [port(80), port(81), port(8080, 8090), named('http'), named('x_1.y-2')],
      }),
    },
  },
  {
    name: 'source notPorts',
    in: { protocol: 17, source: { notPorts: [65535] } },
    out: { protocol: protocol(17), source: side({ notPorts: [port(65535)] }) },
  },
  {
    name: 'names need no protocol',
    in: { destination: { ports: ['http'], notPorts: ['dns'] } },
    out: { destination: side({ ports: [named('http')], notPorts: [named('dns')] }) },
  },
  {
    name: 'a name like a range',
    in: { destination: { ports: ['80-90'] } },
    out: { destination: side({ ports: [named('80-90')] }) },
    warnings: ['port-looks-like-range .destination.ports[0]'],
  },
  {
    name: 'nets, once each',
    in: { source: { nets: ['10.0.0.0/8', '10.0.0.0/8', '1.2.3.4/32'] } },
    out: { source: side({ nets: [net('10.0.0.0/8'), net('1.2.3.4/32')] }) },
  },
  {
    name: 'everything as a positive net',
    in: { source: { nets: ['0.0.0.0/0'] } },
    out: { source: side({ nets: [net('0.0.0.0/0')] }) },
  },
  {
    name: 'bare address and host bits',
    in: { source: { nets: ['10.0.0.1', '10.1.2.3/8'] } },
    out: { source: side({ nets: [net('10.0.0.1/32'), net('10.0.0.0/8')] }) },
    warnings: ['net-bare-address .source.nets[0]', 'net-host-bits .source.nets[1]'],
  },
  {
    name: 'IPv6 with ipVersion',
    in: { ipVersion: 6, destination: { notNets: ['fd00::/8'] } },
    out: { ipVersion: 6, destination: side({ notNets: [net('fd00::/8')] }) },
  },
  {
    name: 'selectors',
    in: { source: { selector: 'has(a)', notSelector: 'has(b)', namespaceSelector: 'has(c)' } },
    out: {
      source: side({ selector: has('a'), notSelector: has('b'), namespaceSelector: has('c') }),
    },
  },
  {
    name: 'global() alone',
    in: { source: { namespaceSelector: 'global()' } },
    out: { source: side({ namespaceSelector: { kind: 'global' } }) },
  },
  {
    name: 'a blank selector is all()',
    in: { source: { selector: ' ' } },
    out: { source: side({ selector: { kind: 'all' } }) },
  },
  {
    name: 'service accounts',
    in: { source: { serviceAccounts: { names: ['a', 'b', 'a'], selector: 'has(x)' } } },
    out: { source: side({ serviceAccounts: { names: ['a', 'b'], selector: has('x') } }) },
  },
  {
    name: "services get the policy's namespace",
    in: { source: { services: { name: 's' } } },
    out: { source: side({ service: { namespace: 'ns', name: 's' } }) },
  },
  {
    name: 'services with namespace',
    in: { source: { services: { name: 's', namespace: 'other' } } },
    out: { source: side({ service: { namespace: 'other', name: 's' } }) },
  },
  {
    name: 'services and source ports',
    in: { protocol: 'TCP', source: { services: { name: 's' }, ports: [1] } },
    out: {
      protocol: protocol(6),
      source: side({ service: { namespace: 'ns', name: 's' }, ports: [port(1)] }),
    },
  },
];

for (const row of VALID) {
  test(`valid: ${row.name}`, (t) => {
    const rule = { action: 'Allow', ...row.in };
    t.deepEqual(plain(parseOneRule(rule)), {
      action: 'allow',
      index: 0,
      name: undefined,
      match: plain({ ...ANY_MATCH, ...row.out }),
    });
    t.deepEqual(
      briefIssues(calico('NetworkPolicy', { ingress: [rule] })),
      (row.warnings ?? []).map((text) => `warning ${text.replace(' ', ' spec.ingress[0]')}`),
    );
  });
}

interface InvalidRow {
  readonly name: string;
  readonly in: object;
  readonly code: string;
  /** Below the rule. */
  readonly path: string;
  /** Beginning of the message. */
  readonly says?: string;
}

const ENTITY: readonly InvalidRow[] = [
  {
    name: 'unknown condition',
    in: { source: { domains: ['example.com'] } },
    code: 'unknown-field',
    path: '.source.domains',
  },
  { name: 'entity is a list', in: { source: [] }, code: 'not-an-object', path: '.source' },
  {
    name: 'net is garbage',
    in: { source: { nets: ['10.0.0.0/8', 'foo'] } },
    code: 'net-invalid',
    path: '.source.nets[1]',
    says: '"foo" is not a prefix',
  },
  {
    name: 'prefix too long',
    in: { source: { nets: ['10.0.0.0/33'] } },
    code: 'net-invalid',
    path: '.source.nets[0]',
  },
  {
    name: 'net is null',
    in: { source: { nets: [null] } },
    code: 'net-invalid',
    path: '.source.nets[0]',
  },
  {
    name: 'nets is a text',
    in: { source: { nets: '10.0.0.0/8' } },
    code: 'not-a-list',
    path: '.source.nets',
  },
  {
    name: '257 nets',
    in: { source: { nets: Array.from({ length: 257 }, (_, i) => `10.0.${i % 256}.0/24`) } },
    code: 'too-many',
    path: '.source.nets',
  },
  {
    name: 'everything negated',
    in: { source: { notNets: ['0.0.0.0/0'] } },
    code: 'net-excludes-all',
    path: '.source.notNets',
  },
  {
    name: 'IPv6 everything negated',
    in: { destination: { notNets: ['::/0'] } },
    code: 'net-excludes-all',
    path: '.destination.notNets',
  },
  {
    name: 'selector syntax',
    in: { source: { selector: 'a =' } },
    code: 'selector-syntax',
    path: '.source.selector',
  },
  {
    name: 'selector is a number',
    in: { source: { selector: 1 } },
    code: 'not-a-string',
    path: '.source.selector',
  },
  {
    name: 'selector of 1025',
    in: { source: { selector: `has(${'a'.repeat(1020)})` } },
    code: 'too-long',
    path: '.source.selector',
  },
  {
    name: 'notSelector syntax',
    in: { source: { notSelector: ')' } },
    code: 'selector-syntax',
    path: '.source.notSelector',
  },
  {
    name: 'namespaceSelector syntax',
    in: { source: { namespaceSelector: 'x' } },
    code: 'selector-syntax',
    path: '.source.namespaceSelector',
  },
  {
    name: 'global() in selector',
    in: { source: { selector: 'global()' } },
    code: 'selector-global',
    path: '.source.selector',
    says: 'global() can only be used in an EntityRule namespaceSelector;',
  },
  {
    name: 'global() with more',
    in: { source: { namespaceSelector: 'global() || has(a)' } },
    code: 'selector-global',
    path: '.source.namespaceSelector',
  },
  {
    name: 'account name',
    in: { source: { serviceAccounts: { names: ['A B'] } } },
    code: 'bad-name',
    path: '.source.serviceAccounts.names[0]',
  },
  {
    name: 'empty account name',
    in: { source: { serviceAccounts: { names: [''] } } },
    code: 'bad-name',
    path: '.source.serviceAccounts.names[0]',
  },
  {
    name: 'account null',
    in: { source: { serviceAccounts: { names: [null] } } },
    code: 'missing',
    path: '.source.serviceAccounts.names[0]',
  },
  {
    name: 'account selector',
    in: { source: { serviceAccounts: { selector: '&&' } } },
    code: 'selector-syntax',
    path: '.source.serviceAccounts.selector',
  },
  {
    name: 'unknown account field',
    in: { source: { serviceAccounts: { name: ['a'] } } },
    code: 'unknown-field',
    path: '.source.serviceAccounts.name',
  },
  {
    name: 'services without name',
    in: { source: { services: { namespace: 'a' } } },
    code: 'missing',
    path: '.source.services.name',
    says: 'services must specify a service name;',
  },
  {
    name: 'services and namespaceSelector',
    in: { source: { services: { name: 's' }, namespaceSelector: 'all()' } },
    code: 'services-conflict',
    path: '.source.namespaceSelector',
    says: 'cannot specify NamespaceSelector and Services on the same rule;',
  },
  {
    name: 'services and accounts',
    in: { source: { services: { name: 's' }, serviceAccounts: { names: ['a'] } } },
    code: 'services-conflict',
    path: '.source.serviceAccounts',
    says: 'cannot specify ServiceAccounts and Services on the same rule;',
  },
  {
    name: 'services and selector',
    in: { source: { services: { name: 's' }, selector: 'all()' } },
    code: 'services-conflict',
    path: '.source.selector',
    says: 'cannot specify Selector/NotSelector and Services on the same rule;',
  },
  {
    name: 'services and notSelector',
    in: { source: { services: { name: 's' }, notSelector: 'all()' } },
    code: 'services-conflict',
    path: '.source.notSelector',
  },
  {
    name: 'services and nets',
    in: { source: { services: { name: 's' }, nets: ['10.0.0.0/8'] } },
    code: 'services-conflict',
    path: '.source.nets',
    says: 'cannot specify Nets/NotNets and Services on the same rule;',
  },
  {
    name: 'services and notNets',
    in: { source: { services: { name: 's' }, notNets: ['10.0.0.0/8'] } },
    code: 'services-conflict',
    path: '.source.notNets',
  },
  {
    name: 'services in an ingress destination',
    in: { destination: { services: { name: 's' } } },
    code: 'services-misplaced',
    path: '.destination.services',
  },
];

const PORTS: readonly InvalidRow[] = [
  {
    name: 'port 0',
    in: { protocol: 'TCP', destination: { ports: [0] } },
    code: 'port-invalid',
    path: '.destination.ports[0]',
  },
  {
    name: 'port 65536',
    in: { protocol: 'TCP', destination: { ports: ['65536'] } },
    code: 'port-invalid',
    path: '.destination.ports[0]',
  },
  {
    name: 'port 1.5',
    in: { protocol: 'TCP', destination: { ports: [1.5] } },
    code: 'port-invalid',
    path: '.destination.ports[0]',
  },
  {
    name: 'range from 0',
    in: { protocol: 'TCP', destination: { ports: ['0:10'] } },
    code: 'port-invalid',
    path: '.destination.ports[0]',
  },
  {
    name: 'range backwards',
    in: { protocol: 'TCP', destination: { ports: ['90:80'] } },
    code: 'port-invalid',
    path: '.destination.ports[0]',
    says: 'the range 90:80 ends before it begins;',
  },
  {
    name: 'port name with blank',
    in: { destination: { ports: ['a b'] } },
    code: 'port-invalid',
    path: '.destination.ports[0]',
  },
  {
    name: 'port name of 129',
    in: { destination: { ports: ['a'.repeat(129)] } },
    code: 'port-invalid',
    path: '.destination.ports[0]',
  },
  {
    name: 'port null',
    in: { destination: { ports: [null] } },
    code: 'port-invalid',
    path: '.destination.ports[0]',
  },
  {
    name: '51 ports',
    in: { protocol: 'TCP', destination: { ports: Array.from({ length: 51 }, (_, i) => i + 1) } },
    code: 'too-many',
    path: '.destination.ports',
  },
  {
    name: 'numbers without protocol',
    in: { source: { ports: [80] } },
    code: 'ports-without-protocol',
    path: '.source.ports',
    says: 'rules that specify ports must set protocol to TCP or UDP or SCTP;',
  },
  {
    name: 'negated numbers without protocol',
    in: { notProtocol: 'UDP', source: { notPorts: [80] } },
    code: 'ports-without-protocol',
    path: '.source.notPorts',
  },
  {
    name: 'numbers with UDPLite',
    in: { protocol: 'UDPLite', source: { ports: [80] } },
    code: 'ports-with-protocol',
    path: '.source.ports',
  },
  {
    name: 'names with ICMP',
    in: { protocol: 'ICMP', destination: { notPorts: ['a'] } },
    code: 'ports-with-protocol',
    path: '.destination.notPorts',
  },
];

const HEADER: readonly InvalidRow[] = [
  {
    name: 'misspelt side',
    in: { sorce: {} },
    code: 'unknown-field',
    path: '.sorce',
    says: 'unknown field "sorce"; did you mean "source"?;',
  },
  { name: 'ipVersion 5', in: { ipVersion: 5 }, code: 'out-of-range', path: '.ipVersion' },
  { name: 'ipVersion as text', in: { ipVersion: '4' }, code: 'out-of-range', path: '.ipVersion' },
  { name: 'protocol 0', in: { protocol: 0 }, code: 'protocol-invalid', path: '.protocol' },
  { name: 'protocol 256', in: { protocol: '256' }, code: 'protocol-invalid', path: '.protocol' },
  {
    name: 'protocol misspelt',
    in: { protocol: 'TPC' },
    code: 'protocol-invalid',
    path: '.protocol',
    says: '"TPC" is not a protocol: TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite, or a number from 1 to 255; did you mean "TCP"?;',
  },
  {
    name: 'notProtocol list',
    in: { notProtocol: ['TCP'] },
    code: 'protocol-invalid',
    path: '.notProtocol',
  },
  {
    name: 'icmp without protocol',
    in: { icmp: { type: 8 } },
    code: 'icmp-without-protocol',
    path: '.icmp',
    says: 'ICMP fields require protocol to be ICMP or ICMPv6;',
  },
  {
    name: 'icmp with TCP',
    in: { protocol: 'TCP', icmp: { type: 8 } },
    code: 'icmp-without-protocol',
    path: '.icmp',
  },
  {
    name: 'icmp type 255',
    in: { protocol: 'ICMP', icmp: { type: 255 } },
    code: 'out-of-range',
    path: '.icmp.type',
  },
  {
    name: 'icmp code 256',
    in: { protocol: 'ICMP', icmp: { type: 8, code: 256 } },
    code: 'out-of-range',
    path: '.icmp.code',
  },
  {
    name: 'icmp code alone',
    in: { protocol: 'ICMP', icmp: { code: 1 } },
    code: 'icmp-code-without-type',
    path: '.icmp.code',
    says: 'ICMP code specified without an ICMP type;',
  },
  {
    name: 'notICMP code alone',
    in: { notICMP: { code: 1 } },
    code: 'icmp-code-without-type',
    path: '.notICMP.code',
  },
  { name: 'notICMP empty', in: { notICMP: {} }, code: 'missing', path: '.notICMP' },
  {
    name: 'ICMP with ipVersion 6',
    in: { ipVersion: 6, protocol: 'ICMP' },
    code: 'icmp-family',
    path: '.protocol',
    says: 'protocol ICMP requires ipVersion 4;',
  },
  {
    name: 'not 1 with ipVersion 6',
    in: { ipVersion: 6, notProtocol: 1 },
    code: 'icmp-family',
    path: '.notProtocol',
  },
  {
    name: 'ICMPv6 with ipVersion 4',
    in: { ipVersion: 4, protocol: 'ICMPv6' },
    code: 'icmp-family',
    path: '.protocol',
    says: 'protocol ICMPv6 requires ipVersion 6;',
  },
  {
    name: 'families in one rule',
    in: { source: { nets: ['10.0.0.0/8'] }, destination: { notNets: ['fd00::/8'] } },
    code: 'mixed-families',
    path: '',
  },
  {
    name: 'family against ipVersion',
    in: { ipVersion: 6, source: { nets: ['10.0.0.0/8'] } },
    code: 'mixed-families',
    path: '',
  },
  {
    name: 'http',
    in: { http: { methods: ['GET'], paths: [{ exact: '/a' }] } },
    code: 'http-unsupported',
    path: '.http',
  },
  {
    name: 'http with UDP',
    in: { protocol: 'UDP', http: { methods: ['GET'] } },
    code: 'http-invalid',
    path: '.protocol',
    says: 'rules with HTTP match must have protocol TCP or unset;',
  },
  {
    name: 'http with tcp in lower case',
    in: { protocol: 'tcp', http: {} },
    code: 'http-invalid',
    path: '.protocol',
  },
  {
    name: 'http method twice',
    in: { http: { methods: ['GET', 'GET'] } },
    code: 'duplicate',
    path: '.http.methods',
  },
  {
    name: 'http 21 paths',
    in: { http: { paths: Array.from({ length: 21 }, (_, i) => ({ exact: `/${i}` })) } },
    code: 'too-many',
    path: '.http.paths',
  },
  {
    name: 'http path of two kinds',
    in: { http: { paths: [{ exact: '/a', prefix: '/b' }] } },
    code: 'http-invalid',
    path: '.http.paths[0]',
  },
  {
    name: 'http path with query',
    in: { http: { paths: [{ prefix: '/b?x' }] } },
    code: 'http-invalid',
    path: '.http.paths[0].prefix',
  },
];

const MATCHES = {
  Allow: { action: 'allow', match: 'nothing' },
  Pass: { action: 'pass', match: 'nothing' },
  Log: { action: 'log', match: 'nothing' },
  Deny: { action: 'deny', match: 'everything' },
} as const;

for (const row of [...HEADER, ...ENTITY, ...PORTS]) {
  test(`invalid: ${row.name}`, (t) => {
    for (const [action, expected] of Object.entries(MATCHES)) {
      const good = { action: 'Allow' };
      const object = calico('NetworkPolicy', { ingress: [good, { ...row.in, action }, good] });
      const { ingress } = parsePolicy(object);
      t.deepEqual(ingress[1], { ...expected, index: 1, name: undefined });
      t.deepEqual(
        ingress.map(({ index }) => index),
        [0, 1, 2],
      );
      t.deepEqual(ingress[0]?.match, ANY_MATCH);
      const brief = `error ${row.code} spec.ingress[1]${row.path}`;
      t.true(briefIssues(object).includes(brief), briefIssues(object).join('\n'));
      const said = parseResource(object, {}).issues.some(
        ({ code, message }) => code === row.code && message.startsWith(row.says ?? ''),
      );
      t.true(said, row.says);
    }
  });
}

test('http is for Allow rules only', (t) => {
  const { issues } = parseResource(
    calico('NetworkPolicy', { ingress: [{ action: 'Deny', http: {} }] }),
    {},
  );
  t.true(
    issues.some(({ message }) => message.startsWith('HTTP match is only valid on Allow rules;')),
  );
});

test('http is for ingress only', (t) => {
  t.is(parseOneRule({ action: 'Allow', http: {} }, 'egress').match, 'nothing');
  t.true(
    briefIssues(calico('NetworkPolicy', { egress: [{ action: 'Allow', http: {} }] })).includes(
      'error http-invalid spec.egress[0].http',
    ),
  );
});

const EGRESS_SERVICES = [
  { name: 'destination', in: { destination: { services: { name: 's' } } }, out: [] },
  {
    name: 'source',
    in: { source: { services: { name: 's' } } },
    out: ['error services-misplaced spec.egress[0].source.services'],
  },
  {
    name: 'with ports',
    in: { protocol: 'TCP', destination: { services: { name: 's' }, ports: [1] } },
    out: ['error services-conflict spec.egress[0].destination.ports'],
  },
  {
    name: 'with notPorts',
    in: { protocol: 'TCP', destination: { services: { name: 's' }, notPorts: [1] } },
    out: ['error services-conflict spec.egress[0].destination.notPorts'],
  },
];

for (const row of EGRESS_SERVICES) {
  test(`services in egress: ${row.name}`, (t) => {
    t.deepEqual(
      briefIssues(calico('NetworkPolicy', { egress: [{ action: 'Allow', ...row.in }] })),
      row.out,
    );
  });
}

test('services in a policy without namespace need one', (t) => {
  const rule = { action: 'Allow', source: { services: { name: 's' } } };
  for (const kind of ['GlobalNetworkPolicy', 'StagedGlobalNetworkPolicy', 'Profile']) {
    t.deepEqual(briefIssues(calico(kind, { ingress: [rule] })), [
      'error services-namespace spec.ingress[0].source.services.namespace',
    ]);
  }
});

const BAD_ACTIONS = [
  { name: 'absent', in: {}, out: 'error missing spec.ingress[0].action' },
  { name: 'lower case', in: { action: 'allow' }, out: 'error not-in-list spec.ingress[0].action' },
  { name: 'unknown', in: { action: 'Accept' }, out: 'error not-in-list spec.ingress[0].action' },
  { name: 'number', in: { action: 1 }, out: 'error not-a-string spec.ingress[0].action' },
  { name: 'rule is null', in: null, out: 'error not-an-object spec.ingress[0]' },
  { name: 'rule is a text', in: 'Allow', out: 'error not-an-object spec.ingress[0]' },
];

for (const row of BAD_ACTIONS) {
  test(`a rule with unknown purpose denies: ${row.name}`, (t) => {
    t.deepEqual(parseOneRule(row.in), {
      action: 'deny',
      index: 0,
      name: undefined,
      match: 'everything',
    });
    t.deepEqual(briefIssues(calico('NetworkPolicy', { ingress: [row.in] })), [row.out]);
  });
}

test('the nearest action is named', (t) => {
  const { issues } = parseResource(calico('NetworkPolicy', { ingress: [{ action: 'allow' }] }), {});
  t.regex(issues[0]?.message ?? '', /did you mean "Allow"\?/);
});

test('a rule has the name of its annotation, and nothing else of its metadata matters', (t) => {
  t.is(parseOneRule({ action: 'Allow', metadata: { annotations: { name: 'web' } } }).name, 'web');
  const odd = { action: 'Allow', metadata: { annotations: 3 } };
  t.deepEqual(parseOneRule(odd).match, ANY_MATCH);
  t.is(
    parseOneRule({ action: 'Deny', metadata: { annotations: { name: 'web' } }, ipVersion: 5 }).name,
    'web',
  );
});
