import test from 'ava';
import type { Policy } from '../../../../../compiler/model/policy.ts';
import {
  briefIssues,
  calico,
  parsePlain,
  parsePolicy,
  plain,
} from '../../../../support/manifest.ts';
import { parseResource } from '../../../../../compiler/model/parse/resource.ts';

const DEFAULTS: Policy = {
  kind: 'Policy',
  policyKind: 'NetworkPolicy',
  namespace: 'ns',
  name: 'p',
  tier: 'default',
  order: undefined,
  staged: false,
  selector: undefined,
  namespaceSelector: undefined,
  serviceAccountSelector: undefined,
  types: ['ingress'],
  ingress: [],
  egress: [],
  applyOnForward: false,
  preDnat: false,
  doNotTrack: false,
};

const GLOBAL: Policy = { ...DEFAULTS, policyKind: 'GlobalNetworkPolicy', namespace: undefined };
const has = (label: string) => ({ kind: 'has', label }) as const;

interface ValidRow {
  readonly name: string;
  readonly kind?: string;
  readonly in: unknown;
  readonly out: Partial<Policy>;
  readonly warnings?: readonly string[];
}

const VALID: readonly ValidRow[] = [
  { name: 'empty', in: {}, out: {} },
  { name: 'no spec', in: undefined, out: {} },
  {
    name: 'tier and order',
    in: { tier: 'security', order: -1.5 },
    out: { tier: 'security', order: -1.5 },
  },
  { name: 'empty tier, null order', in: { tier: '', order: null }, out: {} },
  { name: 'order 0', in: { order: 0 }, out: { order: 0 } },
  {
    name: 'selectors',
    in: { selector: 'has(a)', serviceAccountSelector: 'has(b)' },
    out: { selector: has('a'), serviceAccountSelector: has('b') },
  },
  { name: 'selector all()', in: { selector: 'all()' }, out: { selector: { kind: 'all' } } },
  {
    name: 'both types',
    in: { types: ['Egress', 'Ingress'] },
    out: { types: ['egress', 'ingress'] },
  },
  { name: 'empty types are as absent', in: { types: [] }, out: { types: ['ingress'] } },
  {
    name: 'types in other case',
    in: { types: ['egress'] },
    out: { types: ['egress'] },
    warnings: ['letter-case spec.types[0]'],
  },
  {
    name: 'a type twice',
    in: { types: ['Ingress', 'Ingress'] },
    out: {},
    warnings: ['duplicate spec.types[1]'],
  },
  { name: 'performance hint', in: { performanceHints: ['AssumeNeededOnEveryNode'] }, out: {} },
  {
    name: 'unknown hint',
    in: { performanceHints: ['Fast'] },
    out: {},
    warnings: ['not-in-list spec.performanceHints'],
  },
  {
    name: 'unknown field',
    in: { egressGateway: {} },
    out: {},
    warnings: ['unknown-field spec.egressGateway'],
  },
  { name: 'global', kind: 'GlobalNetworkPolicy', in: {}, out: GLOBAL },
  {
    name: 'global with everything',
    kind: 'GlobalNetworkPolicy',
    in: { namespaceSelector: 'has(n)', applyOnForward: true, doNotTrack: true },
    out: { ...GLOBAL, namespaceSelector: has('n'), applyOnForward: true, doNotTrack: true },
  },
  {
    name: 'preDNAT implies applyOnForward',
    kind: 'GlobalNetworkPolicy',
    in: { preDNAT: true },
    out: { ...GLOBAL, preDnat: true, applyOnForward: true },
    warnings: ['apply-on-forward spec.applyOnForward'],
  },
  {
    name: 'staged',
    kind: 'StagedNetworkPolicy',
    in: { stagedAction: 'Set' },
    out: { policyKind: 'StagedNetworkPolicy', staged: true },
  },
  {
    name: 'staged, learnt',
    kind: 'StagedNetworkPolicy',
    in: { stagedAction: 'Learn' },
    out: { policyKind: 'StagedNetworkPolicy', staged: true },
  },
  {
    name: 'staged, ignored',
    kind: 'StagedGlobalNetworkPolicy',
    in: { stagedAction: 'Ignore' },
    out: { ...GLOBAL, policyKind: 'StagedGlobalNetworkPolicy', staged: true },
  },
];

for (const row of VALID) {
  test(`valid: ${row.name}`, (t) => {
    const object = calico(row.kind ?? 'NetworkPolicy', row.in);
    t.deepEqual(
      briefIssues(object),
      (row.warnings ?? []).map((text) => `warning ${text}`),
    );
    t.deepEqual(parsePlain(object), { ...DEFAULTS, ...row.out });
  });
}

const RULE = { action: 'Allow' };

const TYPES = [
  { name: 'none', in: {}, out: ['ingress'] },
  { name: 'ingress', in: { ingress: [RULE] }, out: ['ingress'] },
  { name: 'egress', in: { egress: [RULE] }, out: ['egress'] },
  { name: 'both', in: { ingress: [RULE], egress: [RULE] }, out: ['ingress', 'egress'] },
  { name: 'egress and an empty list', in: { ingress: [], egress: [RULE] }, out: ['egress'] },
  { name: 'both empty', in: { ingress: [], egress: [] }, out: ['ingress'] },
];

for (const row of TYPES) {
  test(`types without types: ${row.name}`, (t) => {
    for (const spec of [row.in, { ...row.in, types: [] }, { ...row.in, types: null }]) {
      t.deepEqual(parsePolicy(calico('NetworkPolicy', spec)).types, row.out);
    }
  });
}

test('rules of a direction that types leave out are reported', (t) => {
  const object = calico('NetworkPolicy', { types: ['Ingress'], egress: [RULE] });
  t.deepEqual(briefIssues(object), ['warning rules-not-governed spec.egress']);
});

interface InvalidRow {
  readonly name: string;
  readonly kind?: string;
  readonly in: unknown;
  readonly out: string;
  readonly says?: string;
}

const G = 'GlobalNetworkPolicy';

const INVALID: readonly InvalidRow[] = [
  { name: 'spec is a list', in: [], out: 'not-an-object spec' },
  { name: 'selector syntax', in: { selector: 'a == b' }, out: 'selector-syntax spec.selector' },
  { name: 'selector too long', in: { selector: 'a'.repeat(1025) }, out: 'too-long spec.selector' },
  { name: 'selector a number', in: { selector: 3 }, out: 'not-a-string spec.selector' },
  {
    name: 'selector with global()',
    in: { selector: 'global()' },
    out: 'selector-global spec.selector',
    says: 'global() can only be used in an EntityRule namespaceSelector;',
  },
  {
    name: 'global( in a value',
    in: { selector: 'a == "global("' },
    out: 'selector-global spec.selector',
  },
  {
    name: 'account selector',
    in: { serviceAccountSelector: '(' },
    out: 'selector-syntax spec.serviceAccountSelector',
  },
  {
    name: 'account selector global',
    in: { serviceAccountSelector: 'global()' },
    out: 'selector-global spec.serviceAccountSelector',
  },
  {
    name: 'namespace selector',
    kind: G,
    in: { namespaceSelector: 'a' },
    out: 'selector-syntax spec.namespaceSelector',
  },
  {
    name: 'namespace selector global',
    kind: G,
    in: { namespaceSelector: 'global()' },
    out: 'selector-global spec.namespaceSelector',
  },
  { name: 'misspelt selector', in: { selecter: 'a == "b"' }, out: 'unknown-field spec.selecter' },
  { name: 'misspelt types', in: { type: ['Egress'] }, out: 'unknown-field spec.type' },
  { name: 'order a text', in: { order: '10' }, out: 'not-a-number spec.order' },
  {
    name: 'order infinite',
    in: { order: Number.POSITIVE_INFINITY },
    out: 'not-a-number spec.order',
  },
  { name: 'tier a number', in: { tier: 1 }, out: 'not-a-string spec.tier' },
  { name: 'tier no name', in: { tier: 'My Tier' }, out: 'bad-name spec.tier' },
  { name: 'types a text', in: { types: 'Ingress' }, out: 'not-a-list spec.types' },
  { name: 'type unknown', in: { types: ['Ingres'] }, out: 'not-in-list spec.types[0]' },
  { name: 'type null', in: { types: [null] }, out: 'missing spec.types[0]' },
  { name: 'ingress an object', in: { ingress: {} }, out: 'not-a-list spec.ingress' },
  {
    name: '1025 rules',
    in: { egress: Array.from({ length: 1025 }, () => RULE) },
    out: 'too-many spec.egress',
  },
  {
    name: 'pre-DNAT and untracked',
    kind: G,
    in: { preDNAT: true, doNotTrack: true, applyOnForward: true },
    out: 'pre-dnat-and-untracked spec.preDNAT',
    says: 'preDNAT and doNotTrack cannot both be true;',
  },
  {
    name: 'pre-DNAT egress rules',
    kind: G,
    in: { preDNAT: true, applyOnForward: true, egress: [RULE] },
    out: 'pre-dnat-egress spec.egress',
    says: 'preDNAT policy cannot have any egress rules;',
  },
  {
    name: 'pre-DNAT egress type',
    kind: G,
    in: { preDNAT: true, applyOnForward: true, types: ['Egress'] },
    out: 'pre-dnat-egress spec.types',
    says: "preDNAT policy cannot have 'Egress' type;",
  },
  { name: 'flag a text', kind: G, in: { doNotTrack: 'yes' }, out: 'not-a-boolean spec.doNotTrack' },
  {
    name: 'staged action',
    kind: 'StagedNetworkPolicy',
    in: { stagedAction: 'delete' },
    out: 'not-in-list spec.stagedAction',
  },
];

for (const row of INVALID) {
  test(`invalid: ${row.name}`, (t) => {
    const { value, issues } = parseResource(calico(row.kind ?? 'NetworkPolicy', row.in), {});
    t.is(value, undefined);
    t.deepEqual(briefIssues(calico(row.kind ?? 'NetworkPolicy', row.in)), [`error ${row.out}`]);
    t.true(issues[0]?.message.startsWith(row.says ?? ''), issues[0]?.message);
    t.regex(
      issues[0]?.message ?? '',
      /; the last accepted version of this object stays in force, and without one it governs nothing$/,
    );
  });
}

test('fields of another kind are not read', (t) => {
  const object = calico('NetworkPolicy', { preDNAT: true, stagedAction: 'Delete' });
  t.deepEqual(briefIssues(object), [
    'warning unknown-field spec.preDNAT',
    'warning unknown-field spec.stagedAction',
  ]);
  t.false(parsePolicy(object).preDnat);
});

test('a staged deletion has no value and is no error', (t) => {
  for (const kind of [
    'StagedNetworkPolicy',
    'StagedGlobalNetworkPolicy',
    'StagedKubernetesNetworkPolicy',
  ]) {
    t.deepEqual(
      plain(
        parseResource(calico(kind, { stagedAction: 'Delete' }, { namespace: undefined }), {}).value,
      ),
      undefined,
    );
    t.deepEqual(briefIssues(calico(kind, { stagedAction: 'Delete' })), []);
  }
  const more = calico('StagedNetworkPolicy', { stagedAction: 'Delete', tier: 't', order: 1 });
  t.deepEqual(briefIssues(more), ['warning staged-delete spec.order']);
});

const NAMES = [
  { name: 'p', warns: false },
  { name: 'tier.p', warns: false },
  { name: 'knp.default.a.b.c', warns: false },
  { name: 'ossg.default.a.b', warns: false },
  { name: 'a.b.c', warns: true },
  { name: 'a'.repeat(64), warns: true },
];

for (const row of NAMES) {
  test(`name of a policy: ${row.name}`, (t) => {
    const object = calico('NetworkPolicy', {}, { name: row.name });
    t.deepEqual(briefIssues(object), row.warns ? ['warning name-style metadata.name'] : []);
    t.is(parsePolicy(object).name, row.name);
  });
}
