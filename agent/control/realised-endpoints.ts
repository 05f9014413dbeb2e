/** Endpoints as they are realised here: where they are, and what judges them in effective order. Comes in: the agent; goes out: plain data. */
import type {
  ResolvedDirection,
  ResolvedEndpoint,
  ResolvedTier,
} from '../../compiler/calc/resolved.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import { hostOrigin } from '../../compiler/nft/host-endpoints.ts';
import { HOST_STAGE_NAMES } from '../../compiler/nft/host-stages.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import type { AgentView } from './agent-view.ts';

/** Tiers in order; then the profiles; then deny. */
export type RealisedDirection = ResolvedDirection;

export interface RealisedEndpoint {
  readonly kind: 'workload' | 'host';
  readonly name: string;
  /** Empty for an endpoint whose packets are found by address. Of a wildcard: those that are there now. */
  readonly interfaces: readonly string[];
  readonly byAddress: boolean;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly ingress: RealisedDirection;
  readonly egress: RealisedDirection;
  /** Host endpoints: stages of their own, where any policy is in them. */
  readonly stages: Readonly<Record<string, readonly ResolvedTier[]>>;
  /** Of `interfaces`, those that the kernel does not have now. */
  readonly absent: readonly string[];
  /** It has what appears later too, but for interfaces of workloads and of other host endpoints. */
  readonly isWildcard: boolean;
  /** Directions, or stages of a host endpoint, that are closed because the kernel refused their rules. */
  readonly closed: readonly string[];
}

/** In the order of their names. */
export function realisedEndpoints(agent: AgentView): readonly RealisedEndpoint[] {
  const { engine } = agent;
  return [
    ...engine.endpoints().map((endpoint) => workload(agent, endpoint)),
    ...hosts(engine),
  ].sort((a, b) => compareUtf8(a.name, b.name));
}

function workload(
  { engine: { compiler } }: AgentView,
  { endpoint, addresses, ingress, egress }: ResolvedEndpoint,
): RealisedEndpoint {
  const placement = compiler.endpoint(endpoint.id)?.placement;
  return {
    kind: 'workload',
    name: endpoint.id,
    interfaces: placement?.interfaces ?? [],
    byAddress: placement?.byAddress ?? false,
    addresses: addresses.map(printAddress),
    labels: endpoint.labels,
    ingress,
    egress,
    stages: {},
    absent: [],
    isWildcard: false,
    closed: (['ingress', 'egress'] as const).filter((direction) =>
      compiler.refused.has(`endpoint ${endpoint.id} ${direction}`),
    ),
  };
}

type PlacedHost = ReturnType<AgentView['engine']['hostEndpoints']>[number];

function hosts(engine: AgentView['engine']): readonly RealisedEndpoint[] {
  const all = engine.hostEndpoints();
  const present = engine.interfaces();
  const owned = new Set(all.flatMap(({ placement }) => placement.interfaces));
  const free = present.filter(
    ({ name, isWorkload }) => name !== 'lo' && !isWorkload && !owned.has(name),
  );
  const names = new Set(present.map(({ name }) => name));
  return all.map((each) =>
    host(
      each,
      free.map(({ name }) => name),
      names,
      engine.compiler.refused,
    ),
  );
}

function host(
  { resolved, placement }: PlacedHost,
  free: readonly string[],
  present: ReadonlySet<string>,
  refused: ReadonlySet<string>,
): RealisedEndpoint {
  const { endpoint, normal } = resolved;
  const { interfaces, isDefault } = placement;
  const stages = Object.entries(stagesOf(resolved)).filter(([, tiers]) => tiers.length > 0);
  return {
    kind: 'host',
    name: endpoint.name,
    interfaces: isDefault ? [...interfaces, ...free].sort(compareUtf8) : interfaces,
    absent: interfaces.filter((name) => !present.has(name)),
    isWildcard: isDefault,
    byAddress: false,
    addresses: endpoint.expectedIPs.map(printAddress),
    labels: endpoint.labels,
    ...normal,
    stages: Object.fromEntries(stages),
    closed: HOST_STAGE_NAMES.filter((stage) =>
      refused.has(`${hostOrigin(endpoint.name)} ${stage}`),
    ),
  };
}

/** Stages beside what the host itself receives and sends. */
function stagesOf({
  forward,
  preDnat,
  untracked,
}: PlacedHost['resolved']): Readonly<Record<string, readonly ResolvedTier[]>> {
  return {
    'untracked ingress': untracked.ingress,
    'pre-DNAT ingress': preDnat,
    'forward ingress': forward?.ingress ?? [],
    'forward egress': forward?.egress ?? [],
    'untracked egress': untracked.egress,
  };
}

/** Names of the endpoints that each policy or profile governs, in order. */
export function endpointsByPolicy({ engine }: AgentView): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, Set<string>>();
  const add = (name: string, { tiers, profiles }: ResolvedDirection): void => {
    for (const id of [...tiers.flatMap(({ policies }) => policies), ...profiles]) {
      users.set(id, (users.get(id) ?? new Set<string>()).add(name));
    }
  };
  for (const { endpoint, ingress, egress } of engine.endpoints()) {
    for (const direction of [ingress, egress]) add(endpoint.id, direction);
  }
  for (const { resolved } of engine.hostEndpoints()) {
    const name = `host endpoint ${resolved.endpoint.name}`;
    add(name, { tiers: Object.values(stagesOf(resolved)).flat(), profiles: [] });
    add(name, resolved.normal.ingress);
    add(name, resolved.normal.egress);
  }
  return new Map([...users].map(([id, names]) => [id, [...names].sort(compareUtf8)]));
}
