import test from 'ava';
import { printPath } from '../../../../../compiler/model/issue.ts';
import { ISSUES } from '../../../../../compiler/model/parse/issues.ts';
import { KINDS_BY_VERSION } from '../../../../../compiler/model/parse/kinds.ts';
import { expandList } from '../../../../../compiler/model/parse/list.ts';
import { nearest } from '../../../../../compiler/model/parse/nearest.ts';
import { parseResource, resourceKey } from '../../../../../compiler/model/parse/resource.ts';
import {
  briefIssues,
  calico,
  parsePlain,
  parsePolicy,
  plain,
} from '../../../../support/manifest.ts';

const UNREADABLE = [
  { name: 'undefined', in: undefined, out: ['error not-an-object'] },
  { name: 'null', in: null, out: ['error not-an-object'] },
  { name: 'a text', in: 'kind: Pod', out: ['error not-an-object'] },
  { name: 'a list', in: [], out: ['error not-an-object'] },
  { name: 'empty', in: {}, out: ['error missing apiVersion', 'error missing kind'] },
  { name: 'kind a number', in: { apiVersion: 'v1', kind: 3 }, out: ['error not-a-string kind'] },
  { name: 'kind empty', in: { apiVersion: 'v1', kind: '' }, out: ['error missing kind'] },
  {
    name: 'kind of Object',
    in: { apiVersion: 'v1', kind: 'constructor' },
    out: ['warning unknown-kind kind'],
  },
  {
    name: 'version of Object',
    in: { apiVersion: '__proto__', kind: 'toString' },
    out: ['warning unknown-kind kind'],
  },
  {
    name: 'unknown kind',
    in: { apiVersion: 'apps/v1', kind: 'Deployment' },
    out: ['warning unknown-kind kind'],
  },
  {
    name: 'old version',
    in: { apiVersion: 'extensions/v1beta1', kind: 'NetworkPolicy' },
    out: ['error unsupported-version apiVersion'],
  },
  {
    name: 'a List too deep',
    in: { apiVersion: 'v1', kind: 'List', items: [] },
    out: ['error list-invalid'],
  },
  {
    name: 'no metadata',
    in: { apiVersion: 'v1', kind: 'Namespace' },
    out: ['error missing metadata', 'error missing metadata.name'],
  },
];

for (const row of UNREADABLE) {
  test(`no value: ${row.name}`, (t) => {
    t.deepEqual(briefIssues(row.in), row.out);
    t.is(parsePlain(row.in), undefined);
  });
}

test('an unknown kind is named with the nearest known one', (t) => {
  const { issues } = parseResource(
    { apiVersion: 'projectcalico.org/v3', kind: 'GlobalNetworkPolciy' },
    {},
  );
  t.regex(issues[0]?.message ?? '', /"GlobalNetworkPolciy".*did you mean "GlobalNetworkPolicy"\?/);
});

const METADATA = [
  {
    name: 'name missing',
    in: { name: undefined },
    out: ['error missing metadata.name'],
    value: false,
  },
  {
    name: 'name a number',
    in: { name: 3 },
    out: ['error not-a-string metadata.name'],
    value: false,
  },
  {
    name: 'name in upper case',
    in: { name: 'P' },
    out: ['error bad-name metadata.name'],
    value: false,
  },
  {
    name: 'name of 254',
    in: { name: 'a'.repeat(254) },
    out: ['error bad-name metadata.name'],
    value: false,
  },
  {
    name: 'name with a line break',
    in: { name: 'a\n' },
    out: ['error bad-name metadata.name'],
    value: false,
  },
  {
    name: 'namespace with a dot',
    in: { namespace: 'a.b' },
    out: ['error bad-name metadata.namespace'],
    value: false,
  },
  {
    name: 'no namespace',
    in: { namespace: undefined },
    out: ['warning namespace-default metadata.namespace'],
    value: true,
  },
  {
    name: 'label a number',
    in: { labels: { a: 1 } },
    out: ['error not-a-string metadata.labels.a'],
    value: false,
  },
  {
    name: 'label key',
    in: { labels: { 'a b': 'x' } },
    out: ['warning label-invalid metadata.labels["a b"]'],
    value: true,
  },
  {
    name: 'annotation key',
    in: { annotations: { 'a b': 'x', 'A.B/C': 'y' } },
    out: ['warning annotation-key metadata.annotations["a b"]'],
    value: true,
  },
  {
    name: 'annotations too long',
    in: { annotations: { a: 'x'.repeat(262_144) } },
    out: ['warning annotations-too-long metadata.annotations'],
    value: true,
  },
  {
    name: 'label value',
    in: { labels: { a: '-' } },
    out: ['warning label-invalid metadata.labels.a'],
    value: true,
  },
  {
    name: 'labels a list',
    in: { labels: [] },
    out: ['error not-an-object metadata.labels'],
    value: false,
  },
  {
    name: 'creation time',
    in: { creationTimestamp: 'soon' },
    out: ['warning timestamp-invalid metadata.creationTimestamp'],
    value: true,
  },
  { name: 'unknown fields', in: { uid: '1', managedFields: [] }, out: [], value: true },
];

for (const row of METADATA) {
  test(`metadata: ${row.name}`, (t) => {
    const object = calico('NetworkSet', { nets: [] }, row.in);
    t.deepEqual(
      briefIssues(object).filter((text) => !text.includes('name-style')),
      row.out,
    );
    t.is(parsePlain(object) !== undefined, row.value);
  });
}

test('a namespace on a cluster-scoped object is ignored', (t) => {
  const object = calico('GlobalNetworkPolicy', {}, { namespace: 'x' });
  t.deepEqual(briefIssues(object), ['warning namespace-ignored metadata.namespace']);
  t.is(parsePolicy(object).namespace, undefined);
});

test('a misspelt spec is not an empty one', (t) => {
  const object = { ...calico('NetworkPolicy', undefined), spce: { selector: 'has(a)' } };
  t.is(parsePlain(object), undefined);
});

const stored = (metadata: object, spec: object, inner?: unknown): object => ({
  ...calico('NetworkPolicy', spec),
  apiVersion: 'crd.projectcalico.org/v1',
  metadata: {
    name: 'default.web',
    namespace: 'ns',
    ...metadata,
    ...(inner === undefined ? {} : { annotations: { 'projectcalico.org/metadata': inner } }),
  },
});

const STORED = [
  {
    name: 'name from the annotation',
    in: stored({}, {}, '{"name": "default.web"}'),
    out: 'default.web',
  },
  { name: 'prefix is cut in tier default', in: stored({}, {}), out: 'web' },
  { name: 'also where the tier is written', in: stored({}, { tier: 'default' }, '{}'), out: 'web' },
  { name: 'not in another tier', in: stored({}, { tier: 'x' }), out: 'default.web' },
];

for (const row of STORED) {
  test(`a policy in a v1 CRD: ${row.name}`, (t) => {
    t.is(parsePolicy(row.in).name, row.out);
    t.is(parsePolicy(row.in).namespace, 'ns');
    t.deepEqual(briefIssues(row.in), []);
  });
}

test('labels in a v1 CRD come from the annotation', (t) => {
  const inner = JSON.stringify({ name: 'h', labels: { a: 'inner' } });
  const metadata = {
    name: 'h',
    labels: { a: 'outer', 'projectcalico.org/x': 'kept' },
    annotations: { 'projectcalico.org/metadata': inner },
  };
  const object = {
    ...calico('HostEndpoint', { node: 'n', interfaceName: 'eth0' }),
    apiVersion: 'crd.projectcalico.org/v1',
    metadata,
  };
  const { value } = parseResource(object, {});
  t.deepEqual(value?.kind === 'HostEndpoint' ? { ...value.labels } : {}, {
    a: 'inner',
    'projectcalico.org/x': 'kept',
  });
});

test('an unreadable metadata annotation leaves no value', (t) => {
  for (const text of ['{', '3', '{"name": 3}', '{"labels": {"a": 1}}']) {
    t.is(parsePlain(stored({}, {}, text)), undefined);
  }
});

test('every kind is read in its version', (t) => {
  for (const [apiVersion, kinds] of KINDS_BY_VERSION) {
    for (const [kind, { scope }] of kinds) {
      const metadata = { name: 'a', ...(scope === 'namespaced' ? { namespace: 'b' } : {}) };
      const { issues } = parseResource({ apiVersion, kind, metadata }, {});
      t.false(
        issues.some(({ code }) => code === 'unknown-kind' || code === 'unsupported-version'),
        kind,
      );
    }
  }
});

const KEYS = [
  {
    name: 'core',
    in: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'b' } },
    out: '/Pod/b/a',
  },
  {
    name: 'default namespace',
    in: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } },
    out: '/Pod/default/a',
  },
  {
    name: 'cluster scope',
    in: calico('Tier', {}, { namespace: 'x' }),
    out: 'projectcalico.org/Tier//p',
  },
  {
    name: 'unknown kind',
    in: { apiVersion: 'apps/v1', kind: 'X', metadata: { name: 'a', namespace: 'b' } },
    out: 'apps/X/b/a',
  },
  {
    name: 'broken body',
    in: calico('NetworkPolicy', 3),
    out: 'projectcalico.org/NetworkPolicy/ns/p',
  },
];

for (const row of KEYS) {
  test(`key: ${row.name}`, (t) => t.deepEqual(resourceKey(row.in), { key: row.out }));
}

const NO_KEYS = [
  { name: 'no object', in: 3, out: 'not-an-object ' },
  { name: 'no name', in: { apiVersion: 'v1', kind: 'Pod' }, out: 'missing metadata.name' },
  {
    name: 'empty name',
    in: { apiVersion: 'v1', kind: 'Pod', metadata: { name: '' } },
    out: 'bad-name metadata.name',
  },
  {
    name: 'slash',
    in: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a/b' } },
    out: 'bad-name metadata.name',
  },
  {
    name: 'namespace a list',
    in: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: [] } },
    out: 'not-a-string metadata.namespace',
  },
];

for (const row of NO_KEYS) {
  test(`no key: ${row.name}`, (t) => {
    const result = resourceKey(row.in);
    t.is('issue' in result ? `${result.issue.code} ${printPath(result.issue.path)}` : '', row.out);
  });
}

const POD = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'b' } };
const list = (...items: unknown[]): object => ({ apiVersion: 'v1', kind: 'List', items });

const LISTS = [
  { name: 'no list', in: POD, out: [{ object: POD, path: [] }] },
  { name: 'empty', in: list(), out: [] },
  {
    name: 'items',
    in: list(POD, 3),
    out: [
      { object: POD, path: ['items', 0] },
      { object: 3, path: ['items', 1] },
    ],
  },
  { name: 'nested', in: list(list(POD)), out: [{ object: POD, path: ['items', 0, 'items', 0] }] },
  {
    name: 'typed',
    in: { apiVersion: 'v1', kind: 'PodList', items: [{ metadata: POD.metadata }] },
    out: [{ object: POD, path: ['items', 0] }],
  },
  {
    name: 'items no list',
    in: { kind: 'List', items: {} },
    out: [{ object: { kind: 'List', items: {} }, path: [] }],
  },
];

for (const row of LISTS) {
  test(`list: ${row.name}`, (t) => t.deepEqual(plain(expandList(row.in)), row.out));
}

test('lists nest no deeper than four', (t) => {
  const [found] = expandList(list(list(list(list(list(POD))))));
  t.deepEqual(found?.path, ['items', 0, 'items', 0, 'items', 0, 'items', 0]);
  t.deepEqual(briefIssues(found?.object), ['error list-invalid']);
});

test('findings are limited, and still counted', (t) => {
  const ingress = Array.from({ length: 1000 }, () => ({ action: 'Deny', ipVersion: 5 }));
  const { value, issues } = parseResource(calico('NetworkPolicy', { ingress }), {});
  t.is(issues.length, 101);
  t.regex(issues.at(-1)?.message ?? '', /^900 more/);
  t.true(value?.kind === 'Policy' && value.ingress.every(({ match }) => match === 'everything'));
});

test('no number of warnings hides the error that costs the value', (t) => {
  const nets = Array.from({ length: 250 }, (_, i) => `10.0.0.${i}`);
  const ingress = [{ action: 'Allow', source: { nets } }];
  const { value, issues } = parseResource(calico('NetworkPolicy', { ingress, order: 'x' }), {});
  t.is(value, undefined);
  t.true(issues.some(({ severity }) => severity === 'error'));
  const late = calico('GlobalNetworkPolicy', { ingress, preDNAT: true, doNotTrack: true });
  t.true(parseResource(late, {}).issues.some(({ code }) => code === 'pre-dnat-and-untracked'));
});

test('a long value is shortened in the message and whole in the finding', (t) => {
  const selector = `has(${'a'.repeat(400)}`;
  const { issues } = parseResource(calico('NetworkPolicy', { selector }), {});
  t.is(issues[0]?.got, selector);
  t.true((issues[0]?.message.length ?? 0) < 400);
});

test('the input is not touched', (t) => {
  const object = calico('NetworkPolicy', {
    selector: 'has(',
    ingress: [{ action: 'Allow', source: { nets: ['x'] } }],
  });
  const before = structuredClone(object);
  parseResource(object, {});
  t.deepEqual(object, before);
  t.false(Object.isFrozen(object));
});

const NEAREST = [
  { in: 'selecter', out: 'selector' },
  { in: 'SELECTOR', out: 'selector' },
  { in: 'seletcor', out: 'selector' },
  { in: 'typs', out: 'types' },
  { in: 'xyz', out: undefined },
  { in: '', out: undefined },
  { in: 's'.repeat(100), out: undefined },
];

for (const row of NEAREST) {
  test(`nearest known word of ${row.in.slice(0, 10)}`, (t) => {
    t.is(nearest(row.in, ['selector', 'types', 'ingress']), row.out);
  });
}

test('every code has an explanation', (t) => {
  t.true(Object.values(ISSUES).every((text) => /^[A-Z].*\.$/.test(text) || text.endsWith('.')));
});
