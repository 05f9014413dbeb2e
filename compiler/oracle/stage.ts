/**
 * A flow and the stages on its way, as data, and what the stages share: which link a packet is on, what connection tracking has decided.
 * Refuses to know policies.
 */
import type { HostEndpoint, WorkloadEndpoint } from '../model/cluster.ts';
import type { Packet } from '../model/packet.ts';
import type { Direction } from '../model/policy.ts';
import { decideImplicitly } from './decision.ts';
import type { Decision } from './decision.ts';
import type { HostInterface, World } from './world.ts';

/** Where a packet comes from or goes to. A workload of another node is judged there, not here. */
export type FlowEnd =
  | { readonly kind: 'workload'; readonly endpoint: WorkloadEndpoint }
  /** A process of this node, host-networked pods included. */
  | { readonly kind: 'host' }
  | { readonly kind: 'external' }
  /** An interface with the workload prefix that no endpoint claims. */
  | { readonly kind: 'unknown-interface' };

export interface Flow {
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  /** As it arrives: after DNAT. */
  readonly packet: Packet;
  /** Names of the host's interfaces on the way, looked up in the world; of no matter at a local workload. `undefined` = not known, not judged. */
  readonly inInterface?: string | undefined;
  readonly outInterface?: string | undefined;
  /** What it was where its destination was replaced. An untracked Allow prevents that: `isTakenUntracked`. */
  readonly before?: BeforeDnat | undefined;
  /** To connection tracking; default `new`. */
  readonly state?: ConnectionState | undefined;
}

export interface BeforeDnat {
  readonly packet: Packet;
  /** Of a packet of this host: the interface that its first route names. */
  readonly outInterface?: string | undefined;
}

export type ConnectionState = 'new' | 'established' | 'invalid';

export type StageName =
  | 'untracked-in'
  | 'pre-dnat'
  | 'input'
  | 'forward-in'
  | 'from-workload'
  | 'to-workload'
  | 'forward-out'
  | 'untracked-out'
  | 'output'
  | 'post-dnat';

/** One judgement. */
export interface FlowStage {
  readonly stage: StageName;
  readonly direction: Direction;
  /** `undefined` where no endpoint is involved. */
  readonly endpointKind: 'workload' | 'host' | undefined;
  /** The workload's id or the host endpoint's name. */
  readonly endpoint: string | undefined;
  readonly decision: Decision;
}

/** A flow on its way. */
export interface Way {
  readonly world: World;
  readonly flow: Flow;
  /** Untracked or pre-DNAT policy has allowed it, so the host endpoint's later stages accept it (section 3.6). */
  readonly isAcceptedEarlier: boolean;
  /** An untracked Allow has taken it out of connection tracking. */
  readonly isUntracked: boolean;
}

/** `undefined` = the stage has nothing to say. */
export type Judge = (way: Way) => FlowStage | undefined;

/** An interface of a workload, known or not, or one of the host. */
export type Link =
  { readonly kind: 'workload' } | { readonly kind: 'host'; readonly interface: HostInterface };

const DIRECTIONS: { readonly [S in StageName]: Direction } = {
  'untracked-in': 'ingress',
  'pre-dnat': 'ingress',
  input: 'ingress',
  'forward-in': 'ingress',
  'from-workload': 'egress',
  'to-workload': 'ingress',
  'forward-out': 'egress',
  'untracked-out': 'egress',
  output: 'egress',
  'post-dnat': 'egress',
};

export function stageOf(
  stage: StageName,
  endpoint: WorkloadEndpoint | HostEndpoint | undefined,
  decision: Decision,
): FlowStage {
  const direction = DIRECTIONS[stage];
  switch (endpoint?.kind) {
    case undefined:
      return { stage, direction, endpointKind: undefined, endpoint: undefined, decision };
    case 'WorkloadEndpoint':
      return { stage, direction, endpointKind: 'workload', endpoint: endpoint.id, decision };
    case 'HostEndpoint':
      return { stage, direction, endpointKind: 'host', endpoint: endpoint.name, decision };
  }
}

/** The workload of this node at an end. */
export function localWorkload(world: World, end: FlowEnd): WorkloadEndpoint | undefined {
  return end.kind === 'workload' && end.endpoint.node === world.node ? end.endpoint : undefined;
}

/** `undefined` where nobody knows by which interface. */
export function linkIn({ world, flow: { from, inInterface } }: Way): Link | undefined {
  return linkOf(world, from, inInterface);
}

export function linkOut({ world, flow: { to, outInterface } }: Way): Link | undefined {
  return linkOf(world, to, outInterface);
}

/** By name; one that the world does not list has no addresses. */
export function linkNamed(world: World, name: string | undefined): Link | undefined {
  if (name === undefined) return undefined;
  const known = world.interfaces.find((each) => each.name === name);
  if (known?.isWorkload === true) return { kind: 'workload' };
  return { kind: 'host', interface: known ?? { name, addresses: [], isWorkload: false } };
}

function linkOf(world: World, end: FlowEnd, name: string | undefined): Link | undefined {
  const isWorkload = end.kind === 'unknown-interface' || localWorkload(world, end) !== undefined;
  return isWorkload ? { kind: 'workload' } : linkNamed(world, name);
}

/** What is decided before policy where connections are tracked (section 6.2.1). */
export function decideByState({ world, flow, isUntracked }: Way): Decision | undefined {
  if (isUntracked) return undefined;
  if (flow.state === 'established') return decideImplicitly('allow', 'established');
  const isDenied = flow.state === 'invalid' && world.config.denyInvalid;
  return isDenied ? decideImplicitly('deny', 'invalid') : undefined;
}
