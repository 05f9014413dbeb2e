/** Lint rules as rows: what is warned of, where, and what is not. */
import test from 'ava';
import { lint, LINT_RULES } from '../../../../compiler/lint/lint.ts';
import { printPath } from '../../../../compiler/model/issue.ts';
import type { Resource } from '../../../../compiler/model/cluster.ts';
import { keyOf } from '../../../support/keys.ts';
import { sel } from '../../../support/selectors.ts';
import {
  NODE,
  TCP,
  UDP,
  entity,
  hostEndpoint,
  hostEndpointOf,
  named,
  namespace,
  networkSet,
  policy,
  port,
  rule,
  tier,
  workload,
} from '../../../support/world.ts';

const HTTP = { name: 'http', protocol: 6, port: 8080 } as const;

/** Two pods and a network set; nothing to warn of. */
const BASE: readonly Resource[] = [
  namespace('shop', { team: 'red' }),
  workload('shop/web', ['10.0.0.1'], { labels: { app: 'web' }, ports: [HTTP] }),
  workload('shop/db', ['10.0.0.2'], { labels: { app: 'db' } }),
  networkSet(undefined, 'partners', ['192.0.2.0/24'], { kind: 'partner' }),
];

const ON_WEB = { namespace: 'shop', selector: sel("app == 'web'") } as const;

interface Row {
  readonly name: string;
  readonly in: readonly Resource[];
  /** `<code> <key> <path>: <message>`. */
  readonly out: readonly string[];
}

const tcp = (first: number, last = first) => ({
  protocol: TCP,
  destination: entity({ ports: [port(first, last)] }),
});
const from = (part: Parameters<typeof entity>[0]) => ({ source: entity(part) });

const ROWS: readonly Row[] = [
  {
    name: 'nothing to say',
    in: [
      ...BASE,
      policy('web', {
        ...ON_WEB,
        types: ['ingress'],
        ingress: [
          rule('allow', { ...tcp(80), ...from({ selector: sel("app == 'db'") }) }),
          rule('log', {}, 1),
          rule('deny', {}, 2),
        ],
      }),
    ],
    out: [],
  },
  {
    name: 'a policy for nobody, with a typing error',
    in: [...BASE, policy('p', { ...ON_WEB, selector: sel("ap == 'web'") })],
    out: [
      'policy-selects-nothing np/shop/p spec.selector: the policy selects no endpoint: no endpoint or network set has the label "ap"; did you mean "app"?',
    ],
  },
  {
    name: 'a policy for nobody: a value',
    in: [...BASE, policy('p', { ...ON_WEB, selector: sel("app == 'wbe'") })],
    out: [
      'policy-selects-nothing np/shop/p spec.selector: the policy selects no endpoint: no endpoint or network set has app == "wbe"; did you mean "web"?',
    ],
  },
  {
    name: 'a policy in an empty namespace, in Kubernetes words',
    in: [...BASE, policy('p', { namespace: 'shpo', policyKind: 'KubernetesNetworkPolicy' })],
    out: [
      'policy-selects-nothing knp/shpo/p spec.podSelector: the policy selects no endpoint: nothing is in namespace "shpo"; did you mean "shop"?',
    ],
  },
  {
    name: 'network sets are no endpoints, host endpoints are',
    in: [
      ...BASE,
      hostEndpoint('eth', ['192.0.2.1'], { role: 'router' }),
      policy('sets', { selector: sel("kind == 'partner'") }),
      policy('hosts', { selector: sel("role == 'router'") }),
    ],
    out: ['policy-selects-nothing gnp/sets spec.selector: the policy selects no endpoint'],
  },
  {
    name: 'without endpoints nothing is said about whom policies select',
    in: [
      policy('p', {
        ...ON_WEB,
        ingress: [rule('allow', from({ selector: sel("nobody == 'x'"), ports: [named('x')] }))],
      }),
    ],
    out: [],
  },
  {
    name: 'a peer that nobody is',
    in: [
      ...BASE,
      policy('p', {
        ...ON_WEB,
        ingress: [
          rule('allow', from({ selector: sel("app == 'dbb'") })),
          rule('allow', from({ namespaceSelector: sel("team == 'blue'") }), 1),
          rule('allow', from({ namespaceSelector: sel('all()'), selector: sel('has(role)') }), 2),
        ],
        egress: [rule('allow', { destination: entity({ selector: sel("kind == 'partner'") }) })],
      }),
    ],
    out: [
      'peer-matches-nothing np/shop/p spec.ingress[0].source.selector: the rule\'s source matches no endpoint and no network set: no endpoint or network set has app == "dbb"; did you mean "db"?',
      'peer-matches-nothing np/shop/p spec.ingress[1].source.namespaceSelector: the rule\'s source matches no endpoint and no network set: no namespace has team == "blue"',
      'peer-matches-nothing np/shop/p spec.ingress[2].source.selector: the rule\'s source matches no endpoint and no network set: no endpoint or network set has the label "role"',
      "peer-matches-nothing np/shop/p spec.egress[0].destination.selector: the rule's destination matches no endpoint and no network set",
    ],
  },
  {
    name: 'a label that nobody has, where it does not decide',
    in: [
      ...BASE,
      policy('p', {
        selector: sel("app == 'web' || aap == 'web'"),
        ingress: [
          rule('deny', from({ notSelector: sel('has(trusted)') })),
          rule('allow', from({ selector: sel("app == 'db' && quarantined != 'yes'") }), 1),
        ],
      }),
    ],
    out: [
      'label-unknown gnp/p spec.selector: no endpoint or network set has the label "aap"; did you mean "app"?',
      'label-unknown gnp/p spec.ingress[0].source.notSelector: no endpoint or network set has the label "trusted"',
      'label-unknown gnp/p spec.ingress[1].source.selector: no endpoint or network set has the label "quarantined"',
    ],
  },
  {
    name: 'rules behind an unconditional one; log decides nothing',
    in: [
      ...BASE,
      policy('p', {
        types: ['ingress'],
        ingress: [
          rule('log'),
          rule('allow', tcp(80), 1),
          rule('deny', {}, 2),
          rule('allow', tcp(443), 3),
          rule('log', {}, 4),
        ],
        egress: [rule('deny'), rule('allow', {}, 1)],
      }),
    ],
    out: [
      'rule-shadowed gnp/p spec.ingress[3]: the rule is never reached: ingress[2] (deny) matches everything that it matches',
      'rule-shadowed gnp/p spec.ingress[4]: the rule is never reached: ingress[2] (deny) matches everything that it matches',
    ],
  },
  {
    name: 'one rule as written is several of the model: shadowed only when all are',
    in: [
      ...BASE,
      policy('p', {
        types: ['ingress'],
        ingress: [
          rule('allow', tcp(1, 100)),
          rule('allow', tcp(80), 1),
          rule('allow', { ...tcp(80), protocol: UDP }, 1),
          rule('allow', tcp(22), 2),
          rule('allow', tcp(23), 2),
        ],
      }),
    ],
    out: [
      'rule-shadowed gnp/p spec.ingress[2]: the rule is never reached: ingress[0] (allow) matches everything that it matches',
    ],
  },
  {
    name: 'a tier that nobody defines',
    in: [...BASE, tier('security', 1), policy('p', { tier: 'securty', ingress: [rule('deny')] })],
    out: [
      'tier-missing gnp/p spec.tier: there is no Tier "securty": its policies come after all known tiers, and what they leave undecided is denied; did you mean "security"?',
    ],
  },
  {
    name: 'a tier behind a decision about everything',
    in: [
      ...BASE,
      tier('security', 1, 'pass'),
      tier('late', 2),
      policy('all', {
        tier: 'security',
        types: ['ingress'],
        ingress: [rule('allow', tcp(80)), rule('deny', {}, 1)],
      }),
      policy('late', { tier: 'late', types: ['ingress'] }),
      policy('app', { types: ['egress'] }),
    ],
    out: [
      'tier-unreachable Tier//late metadata.name: ingress policies of tier "late" are never reached: gnp/all ingress[1] in tier "security" decides every packet before',
    ],
  },
  {
    name: 'a tier behind one that denies what is left',
    in: [
      ...BASE,
      tier('security', 1),
      policy('all', { tier: 'security', types: ['egress'], egress: [rule('allow', tcp(80))] }),
      policy('app', { types: ['egress'] }),
    ],
    out: [
      'tier-unreachable gnp/app spec.tier: egress policies of tier "default" are never reached: tier "security" denies what its policies leave undecided, and gnp/all puts every endpoint under it',
    ],
  },
  ...[
    {
      name: 'it may pass',
      part: { ingress: [rule('pass', tcp(80)), rule('deny', {}, 1)] },
    },
    { name: 'it is for some', part: { selector: sel("app == 'web'"), ingress: [rule('deny')] } },
    { name: 'it is for one namespace', part: { namespace: 'shop', ingress: [rule('deny')] } },
    { name: 'it is staged', part: { staged: true, ingress: [rule('deny')] } },
    { name: 'it is for untracked traffic', part: { doNotTrack: true, ingress: [rule('deny')] } },
    { name: 'it is for the other direction', part: { types: ['egress'] as const } },
  ].map(({ name, part }): Row => ({
    name: `a tier is reached when what comes before is not for everything: ${name}`,
    in: [
      ...BASE,
      hostEndpoint('eth', ['192.0.2.1']),
      tier('security', 1),
      policy('all', { tier: 'security', types: ['ingress'], ...part }),
      policy('app', { types: ['ingress'] }),
    ],
    out: [],
  })),
  {
    name: 'an earlier policy of the tier may pass',
    in: [
      ...BASE,
      tier('security', 1),
      policy('a', {
        tier: 'security',
        order: 1,
        types: ['ingress'],
        ingress: [rule('pass', tcp(1))],
      }),
      policy('b', { tier: 'security', order: 2, types: ['ingress'], ingress: [rule('deny')] }),
      policy('app', { types: ['ingress'] }),
    ],
    out: [],
  },
  {
    name: 'port names: ingress looks at the selected pods, egress at the peers',
    in: [
      ...BASE,
      policy('p', {
        ...ON_WEB,
        ingress: [
          rule('allow', { protocol: TCP, destination: entity({ ports: [named('http')] }) }),
          rule('allow', { protocol: UDP, destination: entity({ ports: [named('http')] }) }, 1),
          rule('allow', { protocol: TCP, destination: entity({ ports: [named('htpp')] }) }, 2),
        ],
        egress: [
          rule('allow', {
            protocol: TCP,
            destination: entity({ selector: sel("app == 'db'"), ports: [named('http')] }),
          }),
          rule('allow', { protocol: TCP, destination: entity({ ports: [named('http')] }) }, 1),
        ],
      }),
    ],
    out: [
      'named-port-missing np/shop/p spec.ingress[1].destination.ports: no endpoint that the policy selects has a port named "http" for the protocol, only for another one',
      'named-port-missing np/shop/p spec.ingress[2].destination.ports: no endpoint that the policy selects has a port named "htpp"; did you mean "http"?',
      'named-port-missing np/shop/p spec.egress[0].destination.ports: no endpoint that can be the destination has a port named "http"',
    ],
  },
  {
    name: 'pods without their namespace, one warning for all',
    in: [
      ...BASE,
      workload('shpo/a', ['10.0.1.1']),
      workload('shpo/b', ['10.0.1.2']),
      workload('done/c', [], { active: false }),
    ],
    out: [
      'profile-missing wep/shpo/a metadata.namespace: there is no Namespace "shpo": traffic of this pod and 1 more that no policy decides is denied, and no namespaceSelector matches; did you mean "shop"?',
    ],
  },
  {
    name: 'another endpoint without its profile',
    in: [...BASE, workload('shop/vm', ['10.0.1.1'], { isPod: false, profiles: ['vms'] })],
    out: [
      'profile-missing wep/shop/vm spec.profiles: there is no Profile "vms": traffic of this endpoint that no policy decides is denied',
    ],
  },
  {
    name: 'profiles behind one that decides everything do not matter, others do',
    in: [
      ...BASE,
      workload('shop/a', ['10.0.1.1'], { profiles: ['kns.shop', 'gone'] }),
      workload('shop/b', ['10.0.1.2'], { isPod: false, profiles: ['labels', 'gone'] }),
      { kind: 'Profile', name: 'labels', ingress: [], egress: [rule('deny')], labelsToApply: {} },
    ],
    out: [
      'profile-missing wep/shop/b spec.profiles: there is no Profile "gone": traffic of this endpoint that no policy decides is denied',
    ],
  },
  {
    name: 'two pods with one address; finished ones do not count',
    in: [
      ...BASE,
      workload('shop/newer', ['10.0.0.1'], { createdMs: 5 }),
      workload('shop/finished', ['10.0.0.2'], { active: false, createdMs: 9 }),
    ],
    out: [
      'address-shared wep/shop/web status.podIP: 10.0.0.1 is also the address of shop/newer, which is newer or comes first by name: only that one is known by it, and this one cannot send from it',
    ],
  },
  {
    name: 'two host endpoints of one interface; another node and found by address are no rivals',
    in: [
      ...BASE,
      hostEndpointOf('b', { interfaceName: 'eth0' }),
      hostEndpointOf('a', { interfaceName: 'eth0' }),
      hostEndpointOf('c', { interfaceName: 'eth0', node: 'elsewhere' }),
      hostEndpoint('d', ['192.0.2.1']),
      hostEndpoint('e', ['192.0.2.1']),
    ],
    out: [
      `host-endpoint-shadowed HostEndpoint//b spec.interfaceName: interface "eth0" of node ${NODE} has the host endpoint "a", the lowest name: this one governs nothing`,
    ],
  },
  {
    name: 'policy for hosts that selects workloads only',
    in: [
      ...BASE,
      hostEndpointOf('nic', { interfaceName: 'eth0', labels: { role: 'nic' } }),
      policy('raw', { selector: sel("app == 'web'"), applyOnForward: true, doNotTrack: true }),
      policy('pre', { selector: sel("app == 'web'"), applyOnForward: true, preDnat: true }),
      policy('both', {
        selector: sel("app == 'web' || role == 'nic'"),
        applyOnForward: true,
        preDnat: true,
      }),
      policy('forward', { selector: sel("app == 'web'"), applyOnForward: true }),
      policy('staged', {
        policyKind: 'StagedGlobalNetworkPolicy',
        staged: true,
        selector: sel("app == 'web'"),
        applyOnForward: true,
        doNotTrack: true,
      }),
    ],
    out: [
      'host-policy-without-host gnp/pre spec.preDNAT: the policy selects workloads only, for which preDNAT policy does nothing: select host endpoints, or leave preDNAT out',
      'host-policy-without-host gnp/raw spec.doNotTrack: the policy selects workloads only, for which doNotTrack policy does nothing: select host endpoints, or leave doNotTrack out',
    ],
  },
  {
    name: 'untracked policy for *',
    in: [
      ...BASE,
      hostEndpointOf('all', { interfaceName: '*', labels: { role: 'node' } }),
      hostEndpointOf('nic', { interfaceName: 'eth0', labels: { role: 'nic' } }),
      policy('some', { selector: sel("role == 'node'"), doNotTrack: true }),
      policy('other', { selector: sel("role == 'nic'"), doNotTrack: true }),
    ],
    out: [
      'untracked-on-wildcard gnp/some spec.doNotTrack: untracked policy is not applied to the host endpoint "all", which has interface "*": name the interface there',
    ],
  },
];

function linted(resources: readonly Resource[]): string[] {
  return lint(resources.map((resource) => ({ key: keyOf(resource), resource }))).map(
    ({ code, key, path, message }) => `${code} ${key} ${printPath(path)}: ${message}`,
  );
}

for (const { name, in: resources, out } of ROWS) {
  test(name, (t) => t.deepEqual(linted(resources), [...out]));
}

test('the order of resources does not matter', (t) => {
  for (const { in: resources, out } of ROWS) {
    t.deepEqual(linted(resources.toReversed()), [...out]);
  }
});

test('every rule has a row that it warns of', (t) => {
  const seen = new Set(ROWS.flatMap(({ out }) => out.map((line) => line.split(' ')[0])));
  t.deepEqual(
    Object.keys(LINT_RULES).filter((code) => !seen.has(code)),
    [],
  );
});
