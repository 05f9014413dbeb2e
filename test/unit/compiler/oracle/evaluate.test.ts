/** Specification section 3 and appendix A.4, as rows. */
import test from 'ava';
import type { Resource } from '../../../../compiler/model/cluster.ts';
import type { Packet } from '../../../../compiler/model/packet.ts';
import type { Policy, Rule } from '../../../../compiler/model/policy.ts';
import type { Decisive } from '../../../../compiler/oracle/decision.ts';
import { evaluate } from '../../../../compiler/oracle/evaluate.ts';
import {
  entity,
  namespace,
  packet,
  policy,
  port,
  rule,
  TCP,
  tier,
  workload,
  world,
} from '../../../support/world.ts';

const POD = workload('shop/web', ['10.0.0.1']);
const tcp = (dport: number): Packet => packet('10.9.9.9', '10.0.0.1', dport);
const onTcp = (dport: number) => ({
  protocol: TCP,
  destination: entity({ ports: [port(dport)] }),
});

const ingress = (name: string, part: Partial<Policy>): Policy =>
  policy(name, { namespace: 'shop', types: ['ingress'], ...part });
const knp = (rules: readonly Rule[]): Policy =>
  ingress('knp', { policyKind: 'KubernetesNetworkPolicy', order: 1000, ingress: rules });
const cnp = (tierName: string, rules: readonly Rule[]): Policy =>
  policy('cnp', {
    policyKind: 'KubernetesClusterNetworkPolicy',
    tier: tierName,
    order: 5,
    types: ['ingress'],
    ingress: rules,
  });

const T1 = tier('t1', 10);
const PASS_80 = ingress('p1', { tier: 't1', ingress: [rule('pass', onTcp(80))] });
const T1_PASSING = [
  tier('t1', 10, 'pass'),
  ingress('p1', { tier: 't1', ingress: [rule('deny', onTcp(23))] }),
  knp([rule('allow', onTcp(80))]),
];
const GHOST = ingress('p', { tier: 'ghost', order: 1, ingress: [rule('allow', onTcp(80))] });
const DENY_ALL_BASELINE = cnp('kube-baseline', [rule('deny')]);

interface Row {
  readonly name: string;
  readonly in: readonly Resource[];
  readonly dport: number;
  /** `<verdict> <what decided>`. */
  readonly out: string;
}

const ROWS: readonly Row[] = [
  { name: 'A.4: no policy', in: [], dport: 80, out: 'allow pro/kns.shop[0]' },
  { name: 'A.4: KNP with no rules', in: [knp([])], dport: 80, out: 'deny end-of-tier default' },
  {
    name: 'A.4: only a staged NP',
    in: [ingress('s', { staged: true, ingress: [rule('deny')] })],
    dport: 80,
    out: 'allow pro/kns.shop[0]',
  },
  {
    name: 'A.4: only an egress NP',
    in: [policy('e', { namespace: 'shop', types: ['egress'] })],
    dport: 80,
    out: 'allow pro/kns.shop[0]',
  },
  { name: 'A.4: pass', in: [T1, PASS_80], dport: 80, out: 'allow pro/kns.shop[0]' },
  { name: 'A.4: pass not taken', in: [T1, PASS_80], dport: 81, out: 'deny end-of-tier t1' },
  {
    name: 'A.4: default Pass, allowed',
    in: T1_PASSING,
    dport: 80,
    out: 'allow knp/shop/knp[0]',
  },
  { name: 'A.4: default Pass, denied in it', in: T1_PASSING, dport: 23, out: 'deny np/shop/p1[0]' },
  {
    name: 'A.4: default Pass, end of the next',
    in: T1_PASSING,
    dport: 443,
    out: 'deny end-of-tier default',
  },
  {
    name: 'A.4: Pass leaves the tier before the KNP',
    in: [ingress('p', { order: 10, ingress: [rule('pass')] }), knp([rule('allow', onTcp(80))])],
    dport: 443,
    out: 'allow pro/kns.shop[0]',
  },
  {
    name: 'A.4: KNP before order 2000',
    in: [ingress('a', { order: 2000, ingress: [rule('deny')] }), knp([rule('allow', onTcp(80))])],
    dport: 80,
    out: 'allow knp/shop/knp[0]',
  },
  {
    name: 'A.4: null order is last',
    in: [ingress('a', { ingress: [rule('deny')] }), knp([rule('allow')])],
    dport: 80,
    out: 'allow knp/shop/knp[0]',
  },
  {
    name: 'A.4: kube-admin passes to kube-baseline',
    in: [cnp('kube-admin', [rule('pass')]), DENY_ALL_BASELINE],
    dport: 80,
    out: 'deny kcnp/cnp[0]',
  },
  {
    name: 'A.4: default decides before kube-baseline',
    in: [DENY_ALL_BASELINE, knp([rule('allow', onTcp(80))])],
    dport: 80,
    out: 'allow knp/shop/knp[0]',
  },
  { name: 'A.4: kube-baseline alone', in: [DENY_ALL_BASELINE], dport: 1, out: 'deny kcnp/cnp[0]' },
  { name: 'A.4: undeclared tier', in: [GHOST], dport: 443, out: 'deny end-of-tier ghost' },
  {
    name: 'A.4: undeclared tier comes after declared ones, whatever their order',
    in: [
      GHOST,
      tier('late', undefined, 'pass'),
      ingress('l', { tier: 'late', ingress: [rule('deny')] }),
    ],
    dport: 80,
    out: 'deny np/shop/l[0]',
  },
  {
    name: '3.1: equal orders by name',
    in: [
      tier('b', 1),
      tier('a', 1),
      ingress('p', { tier: 'b', ingress: [rule('allow')] }),
      ingress('q', { tier: 'a', ingress: [rule('deny')] }),
    ],
    dport: 80,
    out: 'deny np/shop/q[0]',
  },
  {
    name: '3.1: an order before none',
    in: [
      tier('a', undefined),
      tier('z', 2_000_000),
      ingress('p', { tier: 'a', ingress: [rule('allow')] }),
      ingress('q', { tier: 'z', ingress: [rule('deny')] }),
    ],
    dport: 80,
    out: 'deny np/shop/q[0]',
  },
  {
    name: '3.2: ties by the concatenation, so a-b goes before a',
    in: [
      ingress('a', { order: 1, ingress: [rule('deny')] }),
      ingress('a-b', { order: 1, ingress: [rule('allow')] }),
    ],
    dport: 80,
    out: 'allow np/shop/a-b[0]',
  },
  {
    name: '3.2: same name: cluster-scoped before namespaced',
    in: [
      ingress('a', { order: 1, ingress: [rule('deny')] }),
      policy('a', { order: 1, ingress: [rule('allow')] }),
    ],
    dport: 80,
    out: 'allow gnp/a[0]',
  },
  {
    name: '3.2: same name and namespace: by kind',
    in: [ingress('knp', { order: 1000, ingress: [rule('deny')] }), knp([rule('allow')])],
    dport: 80,
    out: 'allow knp/shop/knp[0]',
  },
  {
    name: '3.2: negative and fractional orders',
    in: [
      ingress('a', { order: 0, ingress: [rule('deny')] }),
      ingress('b', { order: -0.5, ingress: [rule('allow')] }),
    ],
    dport: 80,
    out: 'allow np/shop/b[0]',
  },
  {
    name: '3.3: log goes on, first terminal rule decides',
    in: [
      ingress('a', {
        ingress: [rule('log'), rule('deny', onTcp(80), 1), rule('allow', {}, 2)],
      }),
    ],
    dport: 80,
    out: 'deny np/shop/a[1]',
  },
  {
    name: '3.4: an enforced policy beside a staged one still ends the tier',
    in: [ingress('s', { staged: true, ingress: [rule('allow')] }), ingress('e', {})],
    dport: 80,
    out: 'deny end-of-tier default',
  },
  {
    name: '3.4: untracked and pre-DNAT policies do nothing for a workload',
    in: [
      policy('u', { doNotTrack: true, applyOnForward: true, ingress: [rule('deny')] }),
      policy('d', { preDnat: true, applyOnForward: true, ingress: [rule('deny')] }),
    ],
    dport: 80,
    out: 'allow pro/kns.shop[0]',
  },
  {
    name: '3.4: applyOnForward is irrelevant for a workload',
    in: [policy('f', { applyOnForward: true, ingress: [rule('deny')] })],
    dport: 80,
    out: 'deny gnp/f[0]',
  },
  {
    name: '3.4: pass as the last word of default reaches the profile',
    in: [ingress('a', { ingress: [rule('pass')] })],
    dport: 80,
    out: 'allow pro/kns.shop[0]',
  },
  {
    name: '3.4: a policy of another namespace does not govern',
    in: [policy('a', { namespace: 'other', ingress: [rule('deny')] })],
    dport: 80,
    out: 'allow pro/kns.shop[0]',
  },
  {
    name: 'an invalid deny matches everything, an invalid allow nothing',
    in: [
      ingress('a', {
        ingress: [
          { action: 'allow', index: 0, name: undefined, match: 'nothing' },
          { action: 'deny', index: 1, name: undefined, match: 'everything' },
        ],
      }),
    ],
    dport: 80,
    out: 'deny np/shop/a[1]',
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const decision = evaluate(
      world([namespace('shop'), POD, ...row.in]),
      POD,
      'ingress',
      tcp(row.dport),
    );
    t.is(`${decision.verdict} ${printCause(decision.decisive)}`, row.out);
  });
}

test('3.4: the order of the list of resources does not matter', (t) => {
  for (const row of ROWS) {
    const resources = [namespace('shop'), POD, ...row.in].toReversed();
    const decision = evaluate(world(resources), POD, 'ingress', tcp(row.dport));
    t.is(`${decision.verdict} ${printCause(decision.decisive)}`, row.out, row.name);
  }
});

test('3.4: an ingress-only policy does not block egress, and captures ingress', (t) => {
  const judged = world([namespace('shop'), POD, ingress('i', {})]);
  t.is(evaluate(judged, POD, 'egress', packet('10.0.0.1', '10.9.9.9', 80)).verdict, 'allow');
  t.is(evaluate(judged, POD, 'ingress', tcp(80)).verdict, 'deny');
});

test('3.5: what profiles decide', (t) => {
  const without = { kind: 'implicit', reason: 'no-profile', tier: undefined, selectedBy: [] };
  t.deepEqual(decideWith([], [namespace('shop')]), without as Decisive);
  t.is(printCause(decideWith(['kns.shop'], [])), 'missing-profile');
  t.is(printCause(decideWith(['ksa.x', 'kns.shop'], [namespace('shop')])), 'missing-profile');
  t.is(
    printCause(decideWith(['projectcalico-default-allow'], [])),
    'pro/projectcalico-default-allow[0]',
  );
  const passing = { ...namespace('p'), ingress: [rule('pass')] };
  t.is(
    printCause(decideWith(['kns.p', 'kns.shop'], [passing, namespace('shop')])),
    'pro/kns.shop[0]',
  );
  t.is(printCause(decideWith(['kns.p'], [passing])), 'no-profile');
});

test('an endpoint that is not active is denied both directions', (t) => {
  const gone = { ...POD, active: false };
  const judged = world([namespace('shop'), gone]);
  for (const direction of ['ingress', 'egress'] as const) {
    const { verdict, decisive } = evaluate(judged, gone, direction, tcp(80));
    t.is(`${verdict} ${printCause(decisive)}`, 'deny inactive-endpoint');
  }
});

test('the end of a tier names the policies that select the endpoint, in order', (t) => {
  const judged = world([
    namespace('shop'),
    POD,
    ingress('b', { order: 2 }),
    ingress('a', { order: 3 }),
    ingress('c', { order: 1, staged: true }),
  ]);
  const { decisive } = evaluate(judged, POD, 'ingress', tcp(80));
  t.deepEqual(decisive, {
    kind: 'implicit',
    reason: 'end-of-tier',
    tier: 'default',
    selectedBy: ['np/shop/b', 'np/shop/a'],
  });
});

test('the trace says which rules were looked at and why they did not match', (t) => {
  const judged = world([
    namespace('shop'),
    POD,
    ingress('a', { ingress: [rule('log'), rule('allow', onTcp(81), 1), rule('deny', {}, 2)] }),
  ]);
  const { trace, logged } = evaluate(judged, POD, 'ingress', tcp(80));
  t.deepEqual(
    trace.map((step) =>
      step.kind === 'no-match' ? `${step.rule.index} ${step.because}` : step.kind,
    ),
    ['match', '1 destination.ports', 'match'],
  );
  t.deepEqual(
    logged.map(({ policy: id, index }) => `${id}[${index}]`),
    ['np/shop/a[0]'],
  );
});

function printCause(decisive: Decisive): string {
  if (decisive.kind === 'rule') return `${decisive.rule.policy}[${decisive.rule.index}]`;
  return decisive.tier === undefined ? decisive.reason : `${decisive.reason} ${decisive.tier}`;
}

function decideWith(profiles: readonly string[], resources: readonly Resource[]): Decisive {
  return evaluate(world(resources), { ...POD, profiles }, 'ingress', tcp(80)).decisive;
}
