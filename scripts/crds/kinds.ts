/** One row per kind: names, scope, schema of its spec. Specification sections 1.1 to 1.8. */
import {
  FLAG,
  IP,
  NET,
  ORDER,
  RULES,
  SELECTOR,
  TYPES,
  check,
  integer,
  list,
  object,
  text,
  word,
} from './schema.ts';
import type { Schema } from './schema.ts';

export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  readonly spec: Schema;
  /** Over the whole object. */
  readonly checks?: readonly { readonly rule: string; readonly message: string }[];
  /** Columns of `kubectl get`: title, type and path. */
  readonly columns?: readonly (readonly [title: string, type: string, path: string])[];
}

const POLICY = {
  tier: text(253),
  order: ORDER,
  selector: SELECTOR,
  serviceAccountSelector: SELECTOR,
  types: TYPES,
  ingress: RULES,
  egress: RULES,
  performanceHints: list(word('AssumeNeededOnEveryNode'), 1, 'set'),
};

const GLOBAL = {
  ...POLICY,
  namespaceSelector: SELECTOR,
  applyOnForward: FLAG,
  preDNAT: FLAG,
  doNotTrack: FLAG,
};

const isTrue = (field: string): string => `(has(self.${field}) && self.${field})`;

const GLOBAL_CHECKS = [
  check(
    `!(${isTrue('preDNAT')} && ${isTrue('doNotTrack')})`,
    'preDNAT and doNotTrack cannot both be true',
  ),
  check(
    `!${isTrue('preDNAT')} || !has(self.egress) || size(self.egress) == 0`,
    'preDNAT policy cannot have any egress rules',
  ),
  check(
    `!${isTrue('preDNAT')} || !has(self.types) || !('Egress' in self.types)`,
    "preDNAT policy cannot have 'Egress' type",
  ),
  check(
    `!(${isTrue('preDNAT')} || ${isTrue('doNotTrack')}) || ${isTrue('applyOnForward')}`,
    'applyOnForward must be true if either preDNAT or doNotTrack is true',
  ),
];

const STAGED = { stagedAction: word('Set', 'Delete', 'Learn', 'Ignore') };

const LABEL_SELECTOR: Schema = object({
  matchLabels: { type: 'object', additionalProperties: { type: 'string' } },
  matchExpressions: list(
    object(
      {
        key: text(317),
        operator: word('In', 'NotIn', 'Exists', 'DoesNotExist'),
        values: list(text(63), 256),
      },
      { required: ['key', 'operator'] },
    ),
    256,
  ),
});

/** Of networking.k8s.io, which validates it no further once it is staged. */
const KUBERNETES_PEER = object({
  podSelector: LABEL_SELECTOR,
  namespaceSelector: LABEL_SELECTOR,
  ipBlock: object({ cidr: NET, except: list(NET, 256) }, { required: ['cidr'] }),
});

const KUBERNETES_PORT = object({
  protocol: word('TCP', 'UDP', 'SCTP'),
  port: { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
  endPort: integer(1, 65_535),
});

const kubernetesRules = (peers: string): Schema =>
  list(object({ ports: list(KUBERNETES_PORT, 1024), [peers]: list(KUBERNETES_PEER, 1024) }), 1024);

const PORTS = list(
  object(
    {
      name: text(63, '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$'),
      protocol: {
        anyOf: [{ type: 'integer' }, { type: 'string' }],
        'x-kubernetes-int-or-string': true,
        pattern: '^([Tt][Cc][Pp]|[Uu][Dd][Pp]|[Ss][Cc][Tt][Pp]|6|17|132)$',
      },
      port: integer(1, 65_535),
    },
    { required: ['name', 'protocol', 'port'] },
  ),
  1024,
);

const PROFILES = list(text(253), 64);

const TIERED = [
  ['Tier', 'string', '.spec.tier'],
  ['Order', 'number', '.spec.order'],
] as const;

/** Tiers that are built in have fixed values: name, default action, order. */
const BUILT_IN_TIERS = [
  ['kube-admin', 'Pass', '1000'],
  ['default', 'Deny', '1000000'],
  ['kube-baseline', 'Pass', '10000000'],
] as const;

const TIER_CHECKS = BUILT_IN_TIERS.flatMap(([name, action, order]) => [
  check(
    `self.metadata.name != '${name}' || !has(self.spec.defaultAction) || self.spec.defaultAction == '${action}'`,
    `The '${name}' tier must have default action '${action}'`,
  ),
  check(
    `self.metadata.name != '${name}' || !has(self.spec.order) || self.spec.order == ${order}.0`,
    `${name} tier order must be ${order}`,
  ),
]);

export const KINDS: readonly Kind[] = [
  {
    kind: 'NetworkPolicy',
    plural: 'networkpolicies',
    shortNames: ['cnp', 'caliconetworkpolicy'],
    scope: 'Namespaced',
    spec: object(POLICY),
    columns: TIERED,
  },
  {
    kind: 'GlobalNetworkPolicy',
    plural: 'globalnetworkpolicies',
    shortNames: ['gnp', 'cgnp'],
    scope: 'Cluster',
    spec: object(GLOBAL, { checks: GLOBAL_CHECKS }),
    columns: TIERED,
  },
  {
    kind: 'StagedNetworkPolicy',
    plural: 'stagednetworkpolicies',
    shortNames: ['snp', 'scnp'],
    scope: 'Namespaced',
    spec: object({ ...POLICY, ...STAGED }),
    columns: TIERED,
  },
  {
    kind: 'StagedGlobalNetworkPolicy',
    plural: 'stagedglobalnetworkpolicies',
    shortNames: ['sgnp'],
    scope: 'Cluster',
    spec: object({ ...GLOBAL, ...STAGED }, { checks: GLOBAL_CHECKS }),
    columns: TIERED,
  },
  {
    kind: 'StagedKubernetesNetworkPolicy',
    plural: 'stagedkubernetesnetworkpolicies',
    shortNames: ['sknp'],
    scope: 'Namespaced',
    spec: object({
      ...STAGED,
      podSelector: LABEL_SELECTOR,
      policyTypes: TYPES,
      ingress: kubernetesRules('from'),
      egress: kubernetesRules('to'),
    }),
  },
  {
    kind: 'Tier',
    plural: 'tiers',
    shortNames: [],
    scope: 'Cluster',
    spec: object({ order: ORDER, defaultAction: word('Pass', 'Deny') }),
    checks: TIER_CHECKS,
    columns: [
      ['Order', 'number', '.spec.order'],
      ['DefaultAction', 'string', '.spec.defaultAction'],
    ],
  },
  {
    kind: 'NetworkSet',
    plural: 'networksets',
    shortNames: ['netsets'],
    scope: 'Namespaced',
    spec: object({ nets: list(NET, 100_000) }),
  },
  {
    kind: 'GlobalNetworkSet',
    plural: 'globalnetworksets',
    shortNames: ['gns'],
    scope: 'Cluster',
    spec: object({ nets: list(NET, 100_000) }),
  },
  {
    kind: 'HostEndpoint',
    plural: 'hostendpoints',
    shortNames: ['hep', 'heps'],
    scope: 'Cluster',
    spec: object(
      {
        node: { ...text(253), minLength: 1 },
        interfaceName: text(15, '^(\\*|[a-zA-Z0-9_.-]{1,15})$'),
        expectedIPs: list(IP, 1024),
        profiles: PROFILES,
        ports: PORTS,
      },
      {
        required: ['node'],
        checks: [
          check(
            'has(self.interfaceName) || (has(self.expectedIPs) && size(self.expectedIPs) > 0)',
            'at least one of interfaceName or expectedIPs must be specified',
          ),
        ],
      },
    ),
    columns: [
      ['Node', 'string', '.spec.node'],
      ['Interface', 'string', '.spec.interfaceName'],
    ],
  },
  {
    kind: 'Profile',
    plural: 'profiles',
    shortNames: [],
    scope: 'Cluster',
    spec: object({
      ingress: RULES,
      egress: RULES,
      labelsToApply: { type: 'object', additionalProperties: { type: 'string' } },
    }),
  },
];
