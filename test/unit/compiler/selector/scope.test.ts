import test from 'ava';
import { ANY_ENTITY } from '../../../../compiler/model/policy.ts';
import type { Policy } from '../../../../compiler/model/policy.ts';
import { printSelector } from '../../../../compiler/model/selector-text.ts';
import type { Selector } from '../../../../compiler/model/selector.ts';
import { entityScope, policyScope } from '../../../../compiler/selector/scope.ts';
import { sel } from '../../../support/selectors.ts';

function optional(text: string | undefined): Selector | undefined {
  return text === undefined ? undefined : sel(text);
}

function print(selector: Selector | undefined): string | undefined {
  return selector && printSelector(selector);
}

function policy(
  namespace: string | undefined,
  parts: { selector?: string; namespaceSelector?: string; serviceAccountSelector?: string },
): Policy {
  return {
    kind: 'Policy',
    policyKind: namespace === undefined ? 'GlobalNetworkPolicy' : 'NetworkPolicy',
    namespace,
    name: 'p',
    tier: 'default',
    order: undefined,
    staged: false,
    selector: optional(parts.selector),
    namespaceSelector: optional(parts.namespaceSelector),
    serviceAccountSelector: optional(parts.serviceAccountSelector),
    types: ['ingress'],
    ingress: [],
    egress: [],
    applyOnForward: false,
    preDnat: false,
    doNotTrack: false,
  };
}

const NS1 = "projectcalico.org/namespace == 'ns1'";
const HAS_NS = 'has(projectcalico.org/namespace)';
const HAS_SA = 'has(projectcalico.org/serviceaccount)';
const K8S = "projectcalico.org/orchestrator == 'k8s'";

const POLICIES = [
  { ns: 'ns1', selector: "a == 'b'", out: `(a == 'b') && ${NS1}` },
  { ns: 'ns1', out: NS1 },
  { ns: 'ns1', serviceAccountSelector: "x == 'y'", out: `(${NS1}) && pcsa.x == "y"` },
  {
    ns: 'ns1',
    selector: "a == 'b'",
    serviceAccountSelector: "x == 'y'",
    out: `((a == 'b') && ${NS1}) && pcsa.x == "y"`,
  },
  { ns: 'ns1', serviceAccountSelector: 'all()', out: `(${NS1}) && all()` },
  { ns: 'ns1', selector: 'all()', out: `(all()) && ${NS1}` },
  { ns: 'ns1', selector: "a == 'b' && has(c)", out: `(a == 'b' && has(c)) && ${NS1}` },
  { ns: 'ns1', selector: K8S, out: `(${K8S}) && ${NS1}` },
  { selector: K8S, namespaceSelector: 'all()', out: `(${K8S}) && ${HAS_NS}` },
  { out: 'all()' },
  { selector: 'all()', out: 'all()' },
  { selector: 'all()', namespaceSelector: "p == 'q'", out: `(${HAS_NS}) && pcns.p == "q"` },
  { namespaceSelector: 'all()', out: HAS_NS },
  { serviceAccountSelector: 'all()', out: HAS_SA },
  { namespaceSelector: "env != 'prod'", out: 'pcns.env != "prod"' },
  {
    selector: 'all() || has(a)',
    namespaceSelector: 'has(b)',
    serviceAccountSelector: 'all()',
    out: `((${HAS_NS} || has(a)) && has(pcns.b)) && ${HAS_SA}`,
  },
  {
    selector: "a == 'all()'",
    namespaceSelector: "b in {'all()'} || !all()",
    out: `(a == 'all()') && (pcns.b in {'all()'} || !${HAS_NS})`,
  },
];

for (const { ns, out, ...parts } of POLICIES) {
  test(`policy in ${ns ?? 'no namespace'}: ${JSON.stringify(parts)}`, (t) => {
    t.is(printSelector(policyScope(policy(ns, parts))), printSelector(sel(out)));
  });
}

const NAMES = 'projectcalico.org/serviceaccount in {"x", "y"}';

const ENTITIES = [
  { ns: 'ns1', selector: "a == 'b'", positive: `(${NS1}) && (a == 'b')` },
  { ns: 'ns1', notSelector: "a == 'b'", positive: `(${NS1}) && (!(a == 'b'))` },
  { ns: 'ns1', namespaceSelector: "e == 'f'", positive: 'pcns.e == "f"' },
  {
    ns: 'ns1',
    namespaceSelector: "e == 'f'",
    notSelector: "a == 'b'",
    positive: `(pcns.e == "f") && (!(a == 'b'))`,
  },
  { ns: 'ns1', names: ['y', 'x', 'y'], positive: `(${NS1}) && (${NAMES})` },
  { ns: 'ns1', names: [], positive: undefined },
  { ns: 'ns1', positive: undefined },
  { ns: 'ns1', selector: 'all()', positive: `(${NS1}) && (all())` },
  {
    ns: 'ns1',
    selector: 'has(a)',
    names: ['x', 'y'],
    accounts: 'has(team)',
    notSelector: '!has(c)',
    positive: `((${NS1}) && (((has(pcsa.team)) && (${NAMES})) && (has(a)))) && (!(!has(c)))`,
  },
  { ns: 'ns1', accounts: 'all()', positive: `(${NS1}) && (all())` },
  { ns: 'ns1', namespaceSelector: 'global()', positive: `!${HAS_NS}` },
  { selector: "a == 'b'", positive: "a == 'b'" },
  { notSelector: "a == 'b'", positive: undefined, negative: "a == 'b'" },
  {
    selector: "a == 'b'",
    notSelector: "c == 'd'",
    positive: "(a == 'b') && (!(c == 'd'))",
  },
  { namespaceSelector: 'global()', positive: `!${HAS_NS}` },
  {
    namespaceSelector: 'all()',
    selector: "a == 'b'",
    positive: `(${HAS_NS}) && (a == 'b')`,
  },
  { names: ['x', 'y'], positive: NAMES },
  { selector: 'all()', positive: 'all()' },
  { positive: undefined },
];

for (const { ns, positive, negative, names, accounts, ...selectors } of ENTITIES) {
  const title = JSON.stringify({ ...selectors, names, accounts });
  test(`entity in ${ns ?? 'no namespace'}: ${title}`, (t) => {
    const scope = entityScope(
      {
        ...ANY_ENTITY,
        selector: optional(selectors.selector),
        notSelector: optional(selectors.notSelector),
        namespaceSelector: optional(selectors.namespaceSelector),
        serviceAccounts:
          names || accounts ? { names: names ?? [], selector: optional(accounts) } : undefined,
      },
      ns,
    );
    t.is(print(scope.positive), print(optional(positive)));
    t.is(print(scope.negative), print(optional(negative)));
  });
}
