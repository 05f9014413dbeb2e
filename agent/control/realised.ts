/**
 * Policies and sets as they are realised here: rules with what they have counted, members, and who uses them. Comes in: the agent and the kernel's counters; goes out: plain data, bounded.
 */
import type { ResolvedPolicy } from '../../compiler/calc/resolved.ts';
import type { Profile } from '../../compiler/model/cluster.ts';
import { printRule } from '../../compiler/ir/print.ts';
import { lowerPolicy } from '../../compiler/ir/lower.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Family } from '../../compiler/model/ip.ts';
import { policyId } from '../../compiler/model/policy.ts';
import type { Action, Direction, Policy } from '../../compiler/model/policy.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import { ruleCounter } from '../../compiler/nft/lower-chain.ts';
import type { NftElement, NftSet } from '../../compiler/nft/program.ts';
import type { Counters } from '../dataplane/counters.ts';
import type { AgentView } from './agent-view.ts';
import { endpointsByPolicy } from './realised-endpoints.ts';
import { objectKey } from '../watch/source.ts';

/** Most rows of one answer, and most members of one set in it; `total` says how many there are. */
const MAX_ROWS = 1_000;
const MAX_MEMBERS = 1_000;
/** Members that are shown of each of several sets. */
const FEW_MEMBERS = 5;

export interface Rows<T> {
  readonly total: number;
  readonly rows: readonly T[];
}

export interface RealisedRule {
  readonly index: number;
  readonly action: Action;
  /** What it matches, one text per alternative and family where they differ. */
  readonly matches: readonly string[];
  /** Decimal digits; absent while the kernel has no such counter. */
  readonly packets: string | undefined;
  readonly bytes: string | undefined;
}

export interface RealisedPolicy {
  readonly id: string;
  readonly tier: string | undefined;
  readonly order: number | undefined;
  readonly source: string | undefined;
  /** Names of the local endpoints that it governs. */
  readonly endpoints: Rows<string>;
  readonly ingress: readonly RealisedRule[];
  readonly egress: readonly RealisedRule[];
}

export interface RealisedSet {
  /** As rules and the kernel's origin say it. */
  readonly id: string;
  readonly description: string;
  /** Names in the kernel. */
  readonly sets: readonly string[];
  readonly members: Rows<string>;
  /** Policies and profiles that refer to it. */
  readonly usedBy: Rows<string>;
}

/** The first of many, and how many there are. */
export function rowsOf<T>(all: readonly T[], most = MAX_ROWS): Rows<T> {
  return { total: all.length, rows: all.slice(0, most) };
}

/** Of one name or id, or all in use, in the order of their ids; profiles only by name. */
export function realisedPolicies(
  agent: AgentView,
  name: string | undefined,
  counters: Counters,
): Rows<RealisedPolicy> {
  const { engine } = agent;
  const wanted = engine
    .policies()
    .filter(({ id }) => (name === undefined ? !id.startsWith('pro/') : isNamed(id, name)))
    .sort((a, b) => compareUtf8(a.id, b.id));
  const shown = wanted.slice(0, MAX_ROWS);
  const users = endpointsByPolicy(agent);
  const origins = originsOf(agent, new Set(shown.map(({ id }) => id)));
  return {
    total: wanted.length,
    rows: shown.map((policy) => {
      const origin = origins.get(policy.id);
      return {
        id: policy.id,
        tier: origin?.tier,
        order: origin?.order,
        source: origin?.source,
        endpoints: rowsOf(users.get(policy.id) ?? [], FEW_MEMBERS * 4),
        ingress: rulesOf(policy, 'ingress', counters),
        egress: rulesOf(policy, 'egress', counters),
      };
    }),
  };
}

/** `np/shop/web` is meant by itself, `shop/web` and, without a namespace, its name. */
function isNamed(id: string, name: string): boolean {
  return id === name || id.slice(id.indexOf('/') + 1) === name;
}

interface PolicyOrigin {
  readonly tier: string | undefined;
  readonly order: number | undefined;
  readonly source: string | undefined;
}

function originsOf(
  { engine }: AgentView,
  ids: ReadonlySet<string>,
): ReadonlyMap<string, PolicyOrigin> {
  const origins = new Map<string, PolicyOrigin>();
  for (const [key, resource] of engine.store.resources()) {
    const isOwner = resource.kind === 'Policy' || resource.kind === 'Profile';
    const id = isOwner ? ownerId(resource) : undefined;
    if (id === undefined || !ids.has(id) || origins.has(id)) continue;
    const place = engine.store.locate(key, []);
    const source = place && `${place.source}${place.line === undefined ? '' : `:${place.line}`}`;
    origins.set(id, {
      tier: resource.kind === 'Policy' ? resource.tier : undefined,
      order: resource.kind === 'Policy' ? resource.order : undefined,
      source: source ?? objectKey(key),
    });
  }
  return origins;
}

function ownerId(resource: Policy | Profile): string {
  return resource.kind === 'Policy' ? policyId(resource) : `pro/${resource.name}`;
}

/** Rules that share an index, as those of a converted policy do, are one here: they share their counter. */
function rulesOf(policy: ResolvedPolicy, direction: Direction, counters: Counters): RealisedRule[] {
  const byIndex = new Map<number, { readonly action: Action; readonly matches: Set<string> }>();
  for (const { rule } of policy[direction]) {
    byIndex.set(rule.index, { action: rule.action, matches: new Set() });
  }
  for (const family of [4, 6] as const) {
    for (const rule of lowerPolicy(policy, direction, family).rules) {
      const [, ...words] = printRule(rule, family).split(' ');
      byIndex.get(rule.index)?.matches.add(words.join(' '));
    }
  }
  return [...byIndex].map(([index, { action, matches }]) => {
    const value = counters.get(ruleCounter(policy.id, direction, index).name);
    return {
      index,
      action,
      matches: [...matches],
      packets: value?.packets.toString(),
      bytes: value?.bytes.toString(),
    };
  });
}

/** `name` is an id or the name of a kernel set; without it, all address sets in use. */
export function realisedSets({ engine }: AgentView, name: string | undefined): Rows<RealisedSet> {
  const users = new Map<string, string[]>();
  for (const { id, sets } of engine.policies()) {
    for (const set of sets.keys()) {
      const known = users.get(set);
      if (known === undefined) users.set(set, [id]);
      else known.push(id);
    }
  }
  const kernelSets = new Map<string, NftSet[]>();
  for (const set of engine.table.sets.desired.values()) {
    if (!set.origin.startsWith(SET_ORIGIN)) continue;
    const id = set.origin.slice(SET_ORIGIN.length);
    kernelSets.set(id, [...(kernelSets.get(id) ?? []), set]);
  }
  const wanted = [...kernelSets]
    .filter(([id, sets]) => name === undefined || id === name || sets.some((s) => s.name === name))
    .sort(([a], [b]) => compareUtf8(a, b));
  const most = name === undefined ? FEW_MEMBERS : MAX_MEMBERS;
  return {
    total: wanted.length,
    rows: wanted.slice(0, MAX_ROWS).map(([id, sets]) => ({
      id,
      description: sets[0]?.comment ?? '',
      sets: sets.map((set) => set.name),
      members: membersOf(engine.table, sets, most),
      usedBy: rowsOf((users.get(id) ?? []).toSorted(compareUtf8), FEW_MEMBERS * 4),
    })),
  };
}

const SET_ORIGIN = 'set ';

function membersOf(
  table: AgentView['engine']['table'],
  sets: readonly NftSet[],
  most: number,
): Rows<string> {
  let total = 0;
  const rows: string[] = [];
  for (const set of sets) {
    const elements = table.elementsOf(set.name);
    total += elements.length;
    const family: Family = set.key[0] === 'ipv6_addr' ? 6 : 4;
    for (const element of elements.slice(0, most - rows.length)) {
      rows.push(printMember(element, family));
    }
  }
  return { total, rows };
}

/** `10.0.0.1`, `10.0.0.0-10.0.255.255`, `10.0.0.1 tcp/80` as numbers. */
function printMember({ key: [value, protocol, port], keyEnd }: NftElement, family: Family): string {
  const address = printAddress({ family, value: BigInt(value ?? 0) });
  if (protocol !== undefined) return `${address} ${protocol}/${port}`;
  const end = keyEnd?.[0];
  if (end === undefined || end === value) return address;
  return `${address}-${printAddress({ family, value: BigInt(end) })}`;
}
