/**
 * What questions are asked about: every resource once, who judges, and where rules stand in their manifests. Comes in: the store. Refuses
 * to know questions.
 */
import type { Resource } from '../../compiler/model/cluster.ts';
import { policyId } from '../../compiler/model/policy.ts';
import type { Rule } from '../../compiler/model/policy.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import type { RuleRef } from '../../compiler/oracle/decision.ts';
import type { HostInterface, OracleConfig } from '../../compiler/oracle/world.ts';
import type { Store } from '../store/store.ts';

/** A rule's owner and place. */
export interface RulePlace {
  /** `NetworkPolicy`, …, or `Profile`. */
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  /** `undefined` for what is built in. */
  readonly file: string | undefined;
  /** 1-based. */
  readonly line: number | undefined;
}

export interface LiveNode {
  readonly node: string;
  readonly interfaces: readonly HostInterface[];
}

export interface Scene {
  readonly resources: readonly Resource[];
  readonly config: OracleConfig;
  /** The only node that judges; `undefined` = each node judges its own workloads. */
  readonly node: string | undefined;
  /** A node whose interfaces are known as the machine has them; those of others are worked out from the manifests. */
  readonly live: LiveNode | undefined;
  placeOf(rule: RuleRef): RulePlace;
  /** Rules of a policy or profile (`pro/<name>`) as the model has them; empty where there is none. */
  rulesOf(id: string, direction: RuleRef['direction']): readonly Rule[];
}

export interface SceneOptions {
  readonly config: OracleConfig;
  readonly node: string | undefined;
  readonly live?: LiveNode | undefined;
}

export function sceneOf(store: Pick<Store, 'resources' | 'locate'>, options: SceneOptions): Scene {
  const chosen = electByIdentity(store.resources());
  const owners = new Map(
    [...chosen].flatMap(([, { key, resource }]) => {
      const id = ruleOwnerId(resource);
      return id === undefined ? [] : [[id, { key, resource }] as const];
    }),
  );
  return {
    config: options.config,
    node: options.node,
    live: options.live,
    resources: [...chosen.values()].map(({ resource }) => resource),
    rulesOf(id, direction) {
      const resource = owners.get(id)?.resource;
      return resource?.kind === 'Policy' || resource?.kind === 'Profile' ? resource[direction] : [];
    },
    placeOf({ policy, direction, index }) {
      const owner = owners.get(policy);
      const path = ['spec', direction, index];
      const place = owner && store.locate(owner.key, path);
      const names = owner === undefined ? nameOfId(policy) : namesOf(owner.resource);
      return { ...names, file: place?.source, line: place?.line };
    },
  };
}

interface Keyed {
  readonly key: string;
  readonly resource: Resource;
}

/** Of two objects that are the same to policy the one with the lowest key counts, as in calc. */
function electByIdentity(resources: readonly [string, Resource][]): ReadonlyMap<string, Keyed> {
  const chosen = new Map<string, Keyed>();
  for (const [key, resource] of resources.toSorted(([a], [b]) => compareUtf8(a, b))) {
    const identity = identityOf(resource);
    if (!chosen.has(identity)) chosen.set(identity, { key, resource });
  }
  return chosen;
}

function identityOf(resource: Resource): string {
  if (resource.kind === 'Policy') return `Policy/${policyId(resource)}`;
  if (resource.kind === 'WorkloadEndpoint') return `WorkloadEndpoint/${resource.id}`;
  const namespace = 'namespace' in resource ? (resource.namespace ?? '') : '';
  return `${resource.kind}/${namespace}/${resource.name}`;
}

function ruleOwnerId(resource: Resource): string | undefined {
  if (resource.kind === 'Policy') return policyId(resource);
  return resource.kind === 'Profile' ? `pro/${resource.name}` : undefined;
}

type Names = Pick<RulePlace, 'kind' | 'namespace' | 'name'>;

function namesOf(resource: Resource): Names {
  if (resource.kind === 'Policy') {
    return { kind: resource.policyKind, namespace: resource.namespace, name: resource.name };
  }
  return {
    kind: resource.kind,
    namespace: undefined,
    name: 'name' in resource ? resource.name : '',
  };
}

/** Built-in profiles are in no store. */
function nameOfId(id: string): Names {
  return { kind: 'Profile', namespace: undefined, name: id.slice(id.indexOf('/') + 1) };
}
