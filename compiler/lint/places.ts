/** Where things stand in a policy's manifest, by kind: one row per kind of spelling. */
import type { Path } from '../model/issue.ts';
import type { Direction, EntityMatch, Policy, PolicyKind } from '../model/policy.ts';

export type Side = 'source' | 'destination';

interface Spelling {
  /** What says whom the policy governs. */
  readonly scope: Path;
  /** What says who the other end is, below a rule. */
  peer(side: Side, entity: EntityMatch): Path;
  ports(side: Side): Path;
}

/** The field that was probably meant to restrict. */
const SELECTING = ['selector', 'namespaceSelector', 'serviceAccounts', 'notSelector'] as const;

const CALICO: Spelling = {
  scope: ['spec', 'selector'],
  peer: (side, entity) => [
    side,
    SELECTING.find((field) => entity[field] !== undefined) ?? 'selector',
  ],
  ports: (side) => [side, 'ports'],
};

const PEER_LISTS = { source: 'from', destination: 'to' } as const;

const KUBERNETES: Spelling = {
  scope: ['spec', 'podSelector'],
  peer: (side) => [PEER_LISTS[side]],
  ports: () => ['ports'],
};

const CLUSTER: Spelling = { ...KUBERNETES, scope: ['spec', 'subject'], ports: () => ['protocols'] };

const ADMIN: Spelling = { ...CLUSTER, ports: () => ['ports'] };

const SPELLINGS: Readonly<Record<PolicyKind, Spelling>> = {
  NetworkPolicy: CALICO,
  GlobalNetworkPolicy: CALICO,
  StagedNetworkPolicy: CALICO,
  StagedGlobalNetworkPolicy: CALICO,
  StagedKubernetesNetworkPolicy: KUBERNETES,
  KubernetesNetworkPolicy: KUBERNETES,
  KubernetesClusterNetworkPolicy: CLUSTER,
  AdminNetworkPolicy: ADMIN,
  BaselineAdminNetworkPolicy: ADMIN,
};

export function scopePath(policy: Policy): Path {
  return SPELLINGS[policy.policyKind].scope;
}

export function rulePath(direction: Direction, index: number): Path {
  return ['spec', direction, index];
}

export function peerPath(policy: Policy, rule: Path, side: Side, entity: EntityMatch): Path {
  return [...rule, ...SPELLINGS[policy.policyKind].peer(side, entity)];
}

export function portsPath(policy: Policy, rule: Path, side: Side): Path {
  return [...rule, ...SPELLINGS[policy.policyKind].ports(side)];
}
