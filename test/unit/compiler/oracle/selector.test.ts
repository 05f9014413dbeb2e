/** Specification sections 2.3, 2.6 and 2.7 and appendix A.1, A.2, as rows over one small cluster. */
import test from 'ava';
import type { EntityMatch, Policy } from '../../../../compiler/model/policy.ts';
import type { Selector } from '../../../../compiler/model/selector.ts';
import { governs, selectionOf } from '../../../../compiler/oracle/selector.ts';
import { itemHasAddress, itemsOf } from '../../../../compiler/oracle/world.ts';
import {
  address,
  entity,
  equals,
  hostEndpoint,
  namespace,
  networkSet,
  policy,
  serviceAccount,
  workload,
  world,
} from '../../../support/world.ts';

/** One address per item, and one that nobody has; the rows name the items that match. */
const ADDRESSES = {
  web: '10.0.0.1',
  db: '10.0.0.2',
  far: '10.0.1.1',
  host: '192.168.0.1',
  set: '172.16.0.9',
  global: '203.0.113.9',
  outside: '8.8.8.8',
} as const;

const WORLD = world([
  namespace('ns1', { env: 'prod' }),
  namespace('ns2', { env: 'test' }),
  serviceAccount('ns1', 'front', { team: 'red' }),
  workload('ns1/web', [ADDRESSES.web], { labels: { a: 'b', empty: '' }, serviceAccount: 'front' }),
  workload('ns1/db', [ADDRESSES.db], { labels: { a: 'c' } }),
  workload('ns2/far', [ADDRESSES.far], { labels: { a: 'b' } }),
  hostEndpoint('host', [ADDRESSES.host], { a: 'b' }),
  networkSet('ns1', 'set', ['172.16.0.0/24'], { a: 'b' }),
  networkSet(undefined, 'global', ['203.0.113.0/24'], { a: 'c' }),
]);

const ALL: Selector = { kind: 'all' };
const GLOBAL: Selector = { kind: 'global' };
const not = (operand: Selector): Selector => ({ kind: 'not', operand });
const has = (label: string): Selector => ({ kind: 'has', label });

interface EntityRow {
  readonly name: string;
  readonly in: Partial<EntityMatch>;
  /** Addresses that match, for a policy of ns1 and for a cluster-scoped one. */
  readonly np: string;
  readonly gnp: string;
}

const EVERYBODY = 'web db far host set global outside';

const ENTITIES: readonly EntityRow[] = [
  { name: 'nothing', in: {}, np: EVERYBODY, gnp: EVERYBODY },
  { name: 'S', in: { selector: equals('a', 'b') }, np: 'web set', gnp: 'web far host set' },
  {
    name: 'NSS',
    in: { namespaceSelector: equals('env', 'test') },
    np: 'far',
    gnp: 'far',
  },
  {
    name: 'NSS = all()',
    in: { namespaceSelector: ALL },
    np: 'web db far set',
    gnp: 'web db far set',
  },
  {
    name: 'NSS = global()',
    in: { namespaceSelector: GLOBAL },
    np: 'host global',
    gnp: 'host global',
  },
  {
    name: 'S + NSS',
    in: { selector: equals('a', 'b'), namespaceSelector: equals('env', 'prod') },
    np: 'web set',
    gnp: 'web set',
  },
  {
    name: 'S + NSS = global()',
    in: { selector: equals('a', 'b'), namespaceSelector: GLOBAL },
    np: 'host',
    gnp: 'host',
  },
  {
    name: 'SA names',
    in: { serviceAccounts: { names: ['front', 'other'], selector: undefined } },
    np: 'web',
    gnp: 'web',
  },
  {
    name: 'SA selector',
    in: { serviceAccounts: { names: [], selector: equals('team', 'red') } },
    np: 'web',
    gnp: 'web',
  },
  {
    name: 'SA names and selector that exclude each other',
    in: { serviceAccounts: { names: ['other'], selector: equals('team', 'red') } },
    np: '',
    gnp: '',
  },
  {
    name: 'SA selector all() is not rewritten',
    in: { serviceAccounts: { names: [], selector: ALL } },
    np: 'web db set',
    gnp: 'web db far host set global',
  },
  {
    name: 'SA without names and selector is no restriction',
    in: { serviceAccounts: { names: [], selector: undefined } },
    np: EVERYBODY,
    gnp: EVERYBODY,
  },
  {
    name: 'NS only',
    in: { notSelector: equals('a', 'b') },
    np: 'db',
    gnp: 'db global outside',
  },
  {
    name: 'S + NS',
    in: { selector: has('a'), notSelector: equals('a', 'b') },
    np: 'db',
    gnp: 'db global',
  },
  {
    name: 'NSS + NS',
    in: { namespaceSelector: equals('env', 'prod'), notSelector: equals('a', 'b') },
    np: 'db',
    gnp: 'db',
  },
  {
    name: 'NS = all()',
    in: { notSelector: ALL },
    np: '',
    gnp: 'outside',
  },
  {
    name: 'S = all()',
    in: { selector: ALL },
    np: 'web db set',
    gnp: 'web db far host set global',
  },
  {
    name: 'S = global() is true',
    in: { selector: GLOBAL },
    np: 'web db set',
    gnp: 'web db far host set global',
  },
  {
    name: 'NSS negative matches what has no namespace',
    in: { namespaceSelector: { kind: 'not-equals', label: 'env', value: 'prod' } },
    np: 'far host global',
    gnp: 'far host global',
  },
  {
    name: 'NSS = !all()',
    in: { namespaceSelector: not(ALL) },
    np: 'host global',
    gnp: 'host global',
  },
  {
    name: 'NSS by namespace name',
    in: { namespaceSelector: equals('projectcalico.org/name', 'ns2') },
    np: 'far',
    gnp: 'far',
  },
];

for (const row of ENTITIES) {
  test(`2.7: ${row.name}`, (t) => {
    t.is(matching(row.in, 'ns1'), row.np, 'in a policy of ns1');
    t.is(matching(row.in, undefined), row.gnp, 'in a cluster-scoped policy');
  });
}

interface PolicyRow {
  readonly name: string;
  readonly in: Partial<Policy>;
  /** Workloads governed. */
  readonly out: string;
}

const NO_ACCOUNT = not(has('projectcalico.org/serviceaccount'));

const POLICIES: readonly PolicyRow[] = [
  { name: 'GNP, nothing', in: {}, out: 'web db far' },
  { name: 'NP, no selector', in: { namespace: 'ns1' }, out: 'web db' },
  { name: 'NP, selector', in: { namespace: 'ns1', selector: equals('a', 'b') }, out: 'web' },
  {
    name: 'NP, SA selector',
    in: { namespace: 'ns1', serviceAccountSelector: equals('team', 'red') },
    out: 'web',
  },
  {
    name: 'NP, SA selector all() is no restriction',
    in: { namespace: 'ns1', serviceAccountSelector: ALL },
    out: 'web db',
  },
  {
    name: 'GNP, SA selector all() asks for an account',
    in: { serviceAccountSelector: ALL },
    out: 'web',
  },
  {
    name: 'GNP, selector all() beside an SA selector asks for an account too',
    in: { selector: ALL, serviceAccountSelector: { kind: 'not-equals', label: 'x', value: 'y' } },
    out: 'web',
  },
  {
    name: 'GNP, SA selector with a negation alone governs those without an account',
    in: { serviceAccountSelector: { kind: 'not-equals', label: 'x', value: 'y' } },
    out: 'web db far',
  },
  {
    name: 'GNP, selector !all() beside a namespace selector: nobody',
    in: { selector: not(ALL), namespaceSelector: equals('env', 'prod') },
    out: '',
  },
  {
    name: 'GNP, all() in the selector takes the namespace reading first',
    in: { selector: ALL, namespaceSelector: ALL, serviceAccountSelector: NO_ACCOUNT },
    out: 'web db far',
  },
  {
    name: 'GNP, namespace selector',
    in: { namespaceSelector: equals('env', 'test') },
    out: 'far',
  },
];

for (const row of POLICIES) {
  test(`2.6: ${row.name}`, (t) => {
    const governed = itemsOf(WORLD).filter(
      (item) => item.kind === 'WorkloadEndpoint' && governs(WORLD, policy('p', row.in), item),
    );
    t.is(governed.map((item) => item.name).join(' '), row.out);
  });
}

const OPERATORS: readonly { name: string; in: Selector; out: string }[] = [
  { name: '== ', in: equals('a', 'b'), out: 'web far host set' },
  {
    name: '!= is true for a missing label',
    in: { kind: 'not-equals', label: 'empty', value: '' },
    out: 'db far host set global',
  },
  { name: 'in', in: { kind: 'in', label: 'a', values: ['b', 'x'] }, out: 'web far host set' },
  { name: 'in nothing', in: { kind: 'in', label: 'a', values: [] }, out: '' },
  {
    name: 'not in is true for a missing label',
    in: { kind: 'not-in', label: 'empty', values: [''] },
    out: 'db far host set global',
  },
  { name: 'has, with an empty value', in: has('empty'), out: 'web' },
  {
    name: 'contains the empty string',
    in: { kind: 'contains', label: 'empty', value: '' },
    out: 'web',
  },
  {
    name: 'contains',
    in: { kind: 'contains', label: 'projectcalico.org/namespace', value: 's2' },
    out: 'far',
  },
  {
    name: 'starts with',
    in: { kind: 'starts-with', label: 'projectcalico.org/namespace', value: 'ns' },
    out: 'web db far set',
  },
  {
    name: 'ends with',
    in: { kind: 'ends-with', label: 'projectcalico.org/namespace', value: '1' },
    out: 'web db set',
  },
  { name: 'and', in: { kind: 'and', operands: [has('empty'), equals('a', 'b')] }, out: 'web' },
  {
    name: 'or',
    in: { kind: 'or', operands: [has('empty'), equals('a', 'c')] },
    out: 'web db global',
  },
  { name: 'case counts', in: equals('a', 'B'), out: '' },
];

for (const row of OPERATORS) {
  test(`2.3: ${row.name}`, (t) => {
    t.is(matching({ selector: row.in }, undefined), row.out);
  });
}

test('2.5: own labels go before inherited ones, earlier profiles before later ones', (t) => {
  const shadowing = workload('ns1/x', ['10.7.0.1'], { labels: { 'pcns.env': 'own' } });
  const second = { ...namespace('ns1b', { env: 'later' }), name: 'kns.later' };
  const inheriting = workload('ns1/y', ['10.7.0.2'], { profiles: ['kns.ns1', 'kns.later'] });
  const judged = world([namespace('ns1', { env: 'prod' }), second, shadowing, inheriting]);
  const names = (value: string): string[] => {
    const selection = selectionOf(judged, entity({ selector: equals('pcns.env', value) }), 'ns1');
    return itemsOf(judged)
      .filter((item) => selection.isSelected?.(item))
      .map((item) => item.name);
  };
  t.deepEqual([names('own'), names('prod'), names('later')], [['x'], ['y'], []]);
});

/** Names of ADDRESSES that the entity matches. */
function matching(part: Partial<EntityMatch>, ns: string | undefined): string {
  const { isSelected, isExcluded } = selectionOf(WORLD, entity(part), ns);
  const isKnown = (text: string, test: NonNullable<typeof isSelected>): boolean =>
    itemsOf(WORLD).some((item) => test(item) && itemHasAddress(WORLD, item, address(text)));
  return Object.entries(ADDRESSES)
    .filter(([, text]) => isSelected === undefined || isKnown(text, isSelected))
    .filter(([, text]) => isExcluded === undefined || !isKnown(text, isExcluded))
    .map(([name]) => name)
    .join(' ');
}
