/** Host endpoints of a node: which policies govern them, each in its stage (specification sections 3.4 to 3.6). */
import test from 'ava';
import { Calc } from '../../../../compiler/calc/calc.ts';
import type { ResolvedHostEndpoint, ResolvedTier } from '../../../../compiler/calc/resolved.ts';
import { parseResource, resourceKey } from '../../../../compiler/model/parse/resource.ts';
import { namespaceObject, v3 } from '../../../support/raw-events.ts';
import { NODE } from '../../../support/world.ts';

/** The calculation after these objects. */
function calcOf(...objects: readonly object[]): Calc {
  const calc = new Calc(NODE);
  for (const object of objects) put(calc, object);
  return calc;
}

function put(calc: Calc, object: object): void {
  const { value } = parseResource(object, {});
  const key = resourceKey(object);
  if (value === undefined || !('key' in key)) throw new Error(JSON.stringify(object));
  calc.put(key.key, value);
}

function hostNamed(name: string, spec: object = {}, labels = { role: 'node' }): object {
  return v3('HostEndpoint', name, { node: NODE, interfaceName: 'eth0', ...spec }, labels);
}

function policy(name: string, spec: object = {}): object {
  const rules = { ingress: [{ action: 'Allow' }], types: ['Ingress', 'Egress'] };
  return v3('GlobalNetworkPolicy', name, { selector: "role == 'node'", ...rules, ...spec });
}

function tiers(list: readonly ResolvedTier[]): string {
  return list.map(({ name, end, policies }) => `${name}(${end}): ${policies.join(',')}`).join('; ');
}

/** `stage: tiers`, for stages that have some. */
function describe(host: ResolvedHostEndpoint | undefined): string[] {
  if (host === undefined) return ['none'];
  const { normal, forward, preDnat, untracked } = host;
  const stages = {
    in: tiers(normal.ingress.tiers),
    out: tiers(normal.egress.tiers),
    'forward-in': forward === undefined ? '' : tiers(forward.ingress),
    'forward-out': forward === undefined ? '' : tiers(forward.egress),
    'pre-dnat': tiers(preDnat),
    'untracked-in': tiers(untracked.ingress),
    'untracked-out': tiers(untracked.egress),
  };
  return Object.entries(stages).flatMap(([name, text]) => (text === '' ? [] : [`${name} ${text}`]));
}

interface Row {
  readonly name: string;
  readonly in: readonly object[];
  readonly out: readonly string[];
}

const UNTRACKED = { doNotTrack: true, applyOnForward: true };
const PRE_DNAT = { preDNAT: true, applyOnForward: true, types: ['Ingress'] };

const ROWS: readonly Row[] = [
  { name: 'nothing selects it', in: [hostNamed('h')], out: [] },
  { name: 'another node', in: [hostNamed('h', { node: 'other' }), policy('p')], out: ['none'] },
  {
    name: 'normal',
    in: [hostNamed('h'), policy('p')],
    out: ['in default(deny): gnp/p', 'out default(deny): gnp/p'],
  },
  {
    name: 'normal and on forward, in one direction',
    in: [hostNamed('h'), policy('p', { applyOnForward: true, types: ['Ingress'] })],
    out: ['in default(deny): gnp/p', 'forward-in default(deny): gnp/p'],
  },
  {
    name: 'untracked: only that, and tiers pass',
    in: [hostNamed('h'), policy('p', UNTRACKED)],
    out: ['untracked-in default(pass): gnp/p', 'untracked-out default(pass): gnp/p'],
  },
  {
    name: 'untracked is not for *',
    in: [hostNamed('h', { interfaceName: '*' }), policy('p', UNTRACKED)],
    out: [],
  },
  {
    name: 'pre-DNAT: only that, and tiers pass',
    in: [hostNamed('h', { interfaceName: '*' }), policy('p', PRE_DNAT)],
    out: ['pre-dnat default(pass): gnp/p'],
  },
  {
    name: 'each in its own list, tiers and orders kept',
    in: [
      hostNamed('h'),
      v3('Tier', 'early', { order: 1, defaultAction: 'Pass' }),
      policy('b', { order: 2, types: ['Ingress'] }),
      policy('a', { order: 3, types: ['Ingress'], applyOnForward: true }),
      policy('u', UNTRACKED),
      policy('early.n', { tier: 'early', types: ['Ingress'] }),
    ],
    out: [
      'in early(pass): gnp/early.n; default(deny): gnp/b,gnp/a',
      'forward-in default(deny): gnp/a',
      'untracked-in default(pass): gnp/u',
      'untracked-out default(pass): gnp/u',
    ],
  },
  {
    name: 'a namespaced policy, and a staged one',
    in: [
      hostNamed('h', {}, { role: 'node' }),
      namespaceObject('shop'),
      v3('NetworkPolicy', 'shop/p', { selector: 'all()', ingress: [{ action: 'Allow' }] }),
      v3('StagedGlobalNetworkPolicy', 's', { selector: 'all()', ingress: [{ action: 'Allow' }] }),
    ],
    out: [],
  },
  {
    name: 'labels of a profile',
    in: [
      hostNamed('h', { profiles: ['p'] }, { role: 'x' }),
      v3('Profile', 'p', { labelsToApply: { kind: 'edge' } }),
      policy('p', { selector: "kind == 'edge'", types: ['Egress'] }),
    ],
    out: ['out default(deny): gnp/p'],
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const hosts = calcOf(...row.in).flush().hostEndpoints;
    t.deepEqual(describe(hosts.get('h')), [...row.out]);
  });
}

test('a policy that changes its kind moves, and its rules are resolved for the new one', (t) => {
  const calc = calcOf(hostNamed('h'), policy('p'));
  t.is(calc.flush().policies.get('gnp/p')?.stage, 'tracked');
  for (const [spec, stage] of [
    [UNTRACKED, 'untracked'],
    [PRE_DNAT, 'pre-dnat'],
  ] as const) {
    put(calc, policy('p', spec));
    const { hostEndpoints, policies } = calc.flush();
    t.true(describe(hostEndpoints.get('h')).every((text) => text.startsWith(stage)));
    t.is(policies.get('gnp/p')?.stage, stage);
  }
});

test('policies that were there before the first host endpoint, and one that went before it', (t) => {
  const calc = calcOf(policy('p', { types: ['Ingress'] }), policy('gone'));
  calc.flush();
  calc.delete('projectcalico.org/GlobalNetworkPolicy//gone');
  put(calc, hostNamed('h'));
  t.deepEqual(describe(calc.flush().hostEndpoints.get('h')), ['in default(deny): gnp/p']);
});

test('an edit of rules is no news for the endpoint', (t) => {
  const calc = calcOf(hostNamed('h'), policy('p'));
  calc.flush();
  put(calc, policy('p', { ingress: [{ action: 'Deny' }] }));
  const { hostEndpoints, policies } = calc.flush();
  t.is(hostEndpoints.size, 0);
  t.deepEqual([...policies.keys()], ['gnp/p']);
});

test('a host endpoint that moves to another node is gone here', (t) => {
  const calc = calcOf(hostNamed('h'), policy('p'));
  calc.flush();
  put(calc, hostNamed('h', { node: 'other' }));
  const { hostEndpoints, policies } = calc.flush();
  t.deepEqual([...hostEndpoints], [['h', undefined]]);
  t.deepEqual([...policies], [['gnp/p', undefined]]);
});
