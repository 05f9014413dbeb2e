/**
 * A packet's way over the nodes: which of them judge it, where its destination is replaced, by which interfaces it comes and goes. Comes in: a
 * packet between two places; goes out: what each node says. Where nobody names an interface, all that are possible have to agree.
 */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { evaluateFlow, findEnd, isTakenUntracked } from '../../compiler/oracle/flow.ts';
import type { FlowDecision } from '../../compiler/oracle/flow.ts';
import type { BeforeDnat, ConnectionState, Flow, FlowEnd } from '../../compiler/oracle/stage.ts';
import { ownerOf } from '../../compiler/oracle/world.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { hostWith, onlyNode, worldOf } from './ends.ts';
import type { Place } from './ends.ts';
import { interfaceWith, possibleInterfaces } from './interfaces.ts';
import type { Question, Read } from './question.ts';
import type { Scene } from './scene.ts';

export interface Journey {
  readonly packet: Packet;
  readonly before: BeforeDnat | undefined;
  readonly source: Place;
  readonly destination: Place;
  readonly state: ConnectionState | undefined;
}

export function journeyOf(
  packet: Packet,
  { via, state }: Question,
  source: Place,
  destination: Place,
): Journey {
  if (via === undefined) return { packet, before: undefined, source, destination, state };
  const { address: daddr, port = packet.dport } = via;
  // Protocols without ports have none before either.
  const dport = packet.dport === undefined ? undefined : port;
  const before = { packet: { ...packet, daddr, dport }, outInterface: via.interface };
  return { packet, before, source, destination, state };
}

/** A node that judges, in the order of the way. */
interface Hop {
  readonly node: string;
  /** Its service proxy replaces the destination. */
  readonly isTranslating: boolean;
}

export function hopsOf(scene: Scene, journey: Journey): readonly Hop[] {
  const { packet, before, source, destination } = journey;
  const receiving = ownerOf(worldOf(scene, ''), packet.daddr)?.node ?? destination.node;
  const first = source.node ?? (before && hostWith(scene, before.packet.daddr));
  const translating = first ?? receiving ?? onlyNode(scene);
  const named = [first, receiving].filter((node) => node !== undefined);
  const isInterfaceSaid = source.interface !== undefined || destination.interface !== undefined;
  const passed = isInterfaceSaid ? [onlyNode(scene) ?? ''] : [''];
  const everywhere = named.length > 0 ? [...new Set(named)] : passed;
  const nodes = scene.node === undefined ? everywhere : [scene.node];
  return nodes.map((node) => ({
    node,
    isTranslating: scene.node !== undefined || node === translating,
  }));
}

/** `wrong` where the answer depends on the interface. */
export function judgeHop(scene: Scene, node: string, journey: Journey): Read<FlowDecision> {
  const world = worldOf(scene, node);
  const { source, destination, packet, state } = journey;
  const [from, to] = [source.endIn(world, packet.saddr), destination.endIn(world, packet.daddr)];
  const isOwn = from.kind === 'host' && to.kind === 'host';
  const between = (end: FlowEnd, outside: Place, other: Place, own: Address): Interfaces => {
    if (isOwn) return ['lo'];
    const isHere = end.kind === 'workload' ? end.endpoint.node === node : end.kind !== 'external';
    if (isHere) return [undefined];
    return interfacesBetween(scene, node, { outside, other, own });
  };
  const arrivedAt = journey.before?.packet.daddr ?? packet.daddr;
  const incoming = between(from, source, destination, arrivedAt);
  const outgoing = between(to, destination, source, packet.saddr);
  const judged = incoming.flatMap((inInterface) =>
    outgoing.map((outInterface) => {
      const before = withInterface(journey.before, outInterface);
      const flow = { from, to, packet, inInterface, outInterface, before, state };
      return { flow, decision: evaluate(world, flow) };
    }),
  );
  return agreeing(node, judged);
}

/** By whatever interface: one answer, or which interfaces make a difference. */
function agreeing(node: string, judged: readonly Judged[]): Read<FlowDecision> {
  const [first] = judged;
  if (first === undefined) return { wrong: `node ${node} has no interface` };
  const other = judged.find(({ decision }) => decision.verdict !== first.decision.verdict);
  if (other === undefined) return { value: first.decision };
  const [a, b] = [first, other].map(describe);
  const { from, packet, inInterface, outInterface = '' } = first.flow;
  const end = from.kind === 'host' ? 'host' : printAddress(packet.saddr);
  const example = `${end}@${inInterface ?? outInterface}`;
  return {
    wrong: `it depends on the interface of node ${node}: ${a}, ${b}; say one, as ${example}`,
  };
}

type Interfaces = readonly (string | undefined)[];

interface Crossing {
  readonly outside: Place;
  /** The end on this side. */
  readonly other: Place;
  /** The address on this side. */
  readonly own: Address;
}

/** By which interfaces packets may pass between the node and the outside. */
function interfacesBetween(scene: Scene, node: string, crossing: Crossing): Interfaces {
  const { outside, other, own } = crossing;
  // What a host at the other end says is an interface of that host.
  if (outside.interface !== undefined && !outside.isHost) return [outside.interface];
  if (other.isHost && other.node === node && other.interface !== undefined) {
    return [other.interface];
  }
  const named = interfaceWith(scene, node, own);
  return named === undefined ? possibleInterfaces(scene, node) : [named];
}

/** The first route of what the host sends is taken to be the second one too, where nobody says otherwise. */
function withInterface(
  before: BeforeDnat | undefined,
  outInterface: string | undefined,
): BeforeDnat | undefined {
  return before && { ...before, outInterface: before.outInterface ?? outInterface };
}

/** What is not translated goes to where it was sent. */
function evaluate(world: World, flow: Flow): FlowDecision {
  const decision = evaluateFlow(world, flow);
  if (flow.before === undefined || !isTakenUntracked(flow, decision)) return decision;
  const { packet, outInterface } = flow.before;
  const to = findEnd(world, packet.daddr);
  return evaluateFlow(world, { ...flow, packet, to, outInterface, before: undefined });
}

interface Judged {
  readonly flow: Flow;
  readonly decision: FlowDecision;
}

function describe({ flow: { inInterface, outInterface }, decision }: Judged): string {
  const word = decision.verdict === 'allow' ? 'allowed' : 'denied';
  const ways = [
    ...(inInterface === undefined ? [] : [`in by ${inInterface}`]),
    ...(outInterface === undefined ? [] : [`out by ${outInterface}`]),
  ];
  return `${ways.join(' and ')} ${word}`;
}
