/** Parsing of hostile and of damaged manifests: it never throws, and damage never widens what a rule allows. */
import test from 'ava';
import * as fc from 'fast-check';
import type { EntityMatch, Policy, Rule, RuleMatch } from '../../compiler/model/policy.ts';
import { expandList } from '../../compiler/model/parse/list.ts';
import { KIND_NAMES, KINDS_BY_VERSION } from '../../compiler/model/parse/kinds.ts';
import { parseResource, resourceKey } from '../../compiler/model/parse/resource.ts';
import { calico, kubernetesPolicy } from '../support/manifest.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const numRuns = Number(process.env['FC_RUNS'] ?? 1000);

/** Words that parsers look for, so that random objects get far. */
const WORDS = [
  'metadata name namespace labels annotations spec status ingress egress action source',
  'destination nets selector ports protocol from to podSelector ipBlock matchExpressions',
  'subject pods networks endpoints containers __proto__ constructor Allow Deny TCP',
  '10.0.0.0/8 a default has(a) projectcalico.org/metadata {"name":',
].flatMap((line) => line.split(' '));

const text = fc.oneof(fc.constantFrom(...WORDS), fc.string({ maxLength: 8 }));
const scalar = fc.oneof(
  text,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
);
const anything: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 6, depthSize: 'medium' },
    scalar,
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(text, tie('node'), { maxKeys: 6 }),
  ),
})).node;

const object = fc
  .record({
    apiVersion: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...KINDS_BY_VERSION.keys()) },
      { weight: 1, arbitrary: anything },
    ),
    kind: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...KIND_NAMES, 'List', 'PodList') },
      { weight: 1, arbitrary: anything },
    ),
    metadata: fc.oneof(fc.constant({ name: 'a', namespace: 'b' }), anything),
    spec: anything,
    status: anything,
    items: anything,
    endpoints: anything,
  })
  .chain((fields) => fc.oneof(fc.constant<unknown>(fields), anything));

test('arbitrary objects do not throw, and give frozen values and printable findings', (t) => {
  fc.assert(
    fc.property(object, (input) => {
      for (const { object: listed } of expandList(input)) resourceKey(listed);
      const { value, issues } = parseResource(input, {});
      t.true(isDeeplyFrozen(value) && Object.isFrozen(issues));
      t.true(value !== undefined || issues.length > 0 || isSilentlyAbsent(input));
      t.false(issues.some(({ message }) => /[\r\n]/.test(message)));
    }),
    { numRuns: numRuns * 2 },
  );
});

/** Staged deletions and slices of no service. */
function isSilentlyAbsent(input: unknown): boolean {
  const kind = String((input as { kind?: unknown }).kind);
  return kind.startsWith('Staged') || kind === 'EndpointSlice';
}

function isDeeplyFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen);
}

const CALICO_RULES = [
  {
    action: 'Allow',
    ipVersion: 4,
    protocol: 'TCP',
    source: { nets: ['10.0.0.0/8', '10.1.0.0/16'], notNets: ['10.2.0.0/16'] },
    destination: { ports: [80, '90:100', 'web'] },
  },
  {
    action: 'Allow',
    notProtocol: 'UDP',
    source: { selector: 'has(a)', notSelector: 'has(b)', namespaceSelector: 'has(c)' },
  },
  {
    action: 'Allow',
    protocol: 'ICMP',
    icmp: { type: 8, code: 0 },
    source: { serviceAccounts: { names: ['x'], selector: 'has(s)' } },
  },
  { action: 'Allow', notICMP: { type: 3, code: 1 }, destination: { selector: 'has(d)' } },
  {
    action: 'Allow',
    protocol: 6,
    source: { services: { name: 'svc', namespace: 'other' } },
    destination: { notPorts: [22, '1:5'] },
  },
  { action: 'Pass', protocol: 17, source: { nets: ['fd00::/8'] } },
  { action: 'Deny', protocol: 'UDP', source: { nets: ['10.0.0.0/8'] } },
];

const POD_SELECTOR = {
  matchLabels: { a: 'b' },
  matchExpressions: [{ key: 'c', operator: 'NotIn', values: ['d'] }],
};

const CNP_RULES = [
  {
    action: 'Accept',
    from: [{ namespaces: POD_SELECTOR }],
    protocols: [{ tcp: { destinationPort: { number: 80 } } }],
  },
  {
    action: 'Accept',
    from: [{ pods: { namespaceSelector: POD_SELECTOR, podSelector: POD_SELECTOR } }],
    protocols: [{ destinationNamedPort: 'web' }],
  },
  {
    action: 'Pass',
    from: [{ namespaces: POD_SELECTOR }],
    protocols: [{ udp: { destinationPort: { range: { start: 1, end: 9 } } } }],
  },
];

/** Every rule restricts something; one peer each, so that every rule of an index has the same restrictions. */
const MANIFESTS: readonly object[] = [
  calico('NetworkPolicy', {
    tier: 't',
    order: 1,
    selector: 'has(p)',
    serviceAccountSelector: 'has(q)',
    types: ['Ingress'],
    ingress: CALICO_RULES,
  }),
  calico('GlobalNetworkPolicy', {
    selector: 'has(p)',
    namespaceSelector: 'has(n)',
    types: ['Ingress'],
    ingress: CALICO_RULES,
  }),
  kubernetesPolicy({
    podSelector: POD_SELECTOR,
    policyTypes: ['Ingress'],
    ingress: [
      {
        from: [{ podSelector: POD_SELECTOR, namespaceSelector: POD_SELECTOR }],
        ports: [
          { protocol: 'TCP', port: 80, endPort: 90 },
          { protocol: 'TCP', port: 'web' },
        ],
      },
      {
        from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.0.0/16'] } }],
        ports: [{ protocol: 'UDP', port: 53 }],
      },
    ],
  }),
  {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'p' },
    spec: {
      tier: 'Admin',
      priority: 1,
      subject: { pods: { namespaceSelector: POD_SELECTOR, podSelector: POD_SELECTOR } },
      ingress: CNP_RULES,
    },
  },
];

const JUNK: readonly unknown[] = [
  'junk!',
  'junk',
  ' %',
  '10.0.0.0/99',
  '{}',
  -1,
  0,
  1.5,
  70_000,
  Number.NaN,
  true,
  {},
  [],
  { junk: 1 },
  ['junk!'],
  [[]],
];

/** What the mutation does to one place: another value there, or another name for it. */
type Damage = { readonly kind: 'value'; readonly junk: unknown } | { readonly kind: 'key' };

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.constantFrom(...JUNK).map((junk): Damage => ({ kind: 'value', junk })),
  fc.constant<Damage>({ kind: 'key' }),
);

/** Places of everything inside, in order. */
function placesIn(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => {
    const here = [...path, key];
    return [here, ...placesIn(part, here)];
  });
}

function mutate(root: object, path: readonly string[], how: Damage): object {
  const copy = structuredClone(root) as Record<string, unknown>;
  let parent = copy;
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string, unknown>;
  const key = path.at(-1) ?? '';
  if (how.kind === 'value') parent[key] = how.junk;
  else if (!Array.isArray(parent)) {
    parent[`${key}x`] = parent[key];
    delete parent[key];
  }
  return copy;
}

/** What restricts a rule: negated lists by their length, because a shorter one excludes less. */
function restrictionsOf(match: RuleMatch): readonly string[] {
  const given = Object.entries({
    ...match,
    code: match.icmp?.code,
    source: undefined,
    destination: undefined,
  })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
  return [...given, ...sideOf(match.source, 'source'), ...sideOf(match.destination, 'destination')];
}

function sideOf(side: EntityMatch, prefix: string): readonly string[] {
  const { nets, notNets, ports, notPorts, serviceAccounts, ...rest } = side;
  const parts: Readonly<Record<string, unknown>> = {
    ...rest,
    nets: nets[0],
    ports: ports[0],
    names: serviceAccounts?.names[0],
    accounts: serviceAccounts?.selector,
  };
  return [
    ...Object.keys(parts).filter((name) => parts[name] !== undefined),
    ...notNets.map((_, index) => `notNets${index}`),
    ...notPorts.map((_, index) => `notPorts${index}`),
  ].map((name) => `${prefix}.${name}`);
}

/** Allow and Pass let traffic go on; an unlimited one is a hole. */
function isNarrowAsWritten(rule: Rule, originals: readonly Rule[]): boolean {
  if (rule.action === 'deny' || rule.action === 'log' || rule.match === 'nothing') return true;
  const original = originals.find(({ index }) => index === rule.index);
  if (original === undefined || typeof original.match === 'string' || rule.match === 'everything')
    return false;
  const found = new Set(restrictionsOf(rule.match));
  return restrictionsOf(original.match).every((name) => found.has(name));
}

function policyOf(manifest: object): Policy | undefined {
  const { value } = parseResource(manifest, {});
  return value?.kind === 'Policy' ? value : undefined;
}

/** Whole rules and whole fields may go (then the API calls that an unrestricted rule); single conditions may not change unseen. */
function isStructural(path: readonly string[], how: Damage): boolean {
  const rule = path.indexOf('ingress');
  if (rule < 0) return false;
  // `ingress` itself, or an entry of it, replaced by another rule altogether.
  if (path.length - rule <= 2) return true;
  // An empty object or list in place of a condition says "no condition" in the API's own words.
  return how.kind === 'value' && isEmptyObject(how.junk);
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

for (const manifest of MANIFESTS) {
  const { apiVersion, kind } = manifest as { apiVersion: string; kind: string };
  test(`damage does not widen ${apiVersion} ${kind}`, (t) => {
    const original = policyOf(manifest);
    if (original === undefined) return t.fail('the manifest itself is wrong');
    t.true(original.ingress.every(({ match }) => typeof match !== 'string'));
    const places = placesIn((manifest as { spec: object }).spec, ['spec']);
    return fc.assert(
      fc.property(fc.constantFrom(...places), damage, (path, how) => {
        fc.pre(!isStructural(path, how));
        const damaged = policyOf(mutate(manifest, path, how));
        if (damaged === undefined) return;
        for (const rule of damaged.ingress)
          t.true(isNarrowAsWritten(rule, original.ingress), JSON.stringify(path));
        for (const part of ['selector', 'namespaceSelector', 'serviceAccountSelector'] as const) {
          if (isEmptyObject(how.kind === 'value' ? how.junk : 0)) continue;
          t.is(damaged[part] === undefined, original[part] === undefined, JSON.stringify(path));
        }
      }),
      { numRuns },
    );
  });
}
