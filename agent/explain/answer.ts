/**
 * A question to its answer: one flow for each IP family that both ends have, each judged by every node that governs an end of it, with the
 * oracle. Refuses to know how answers are printed.
 */
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Verdict } from '../../compiler/oracle/decision.ts';
import { evaluateFlow, findEnd } from '../../compiler/oracle/flow.ts';
import type { FlowEnd, FlowStage } from '../../compiler/oracle/stage.ts';
import { isSameAddress, ownerOf } from '../../compiler/oracle/world.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { addressOf, resolveEnds, worldOf } from './ends.ts';
import type { Place } from './ends.ts';
import type { Question, Read, ServiceHeader } from './question.ts';
import type { Scene } from './scene.ts';

export interface JudgedStage extends FlowStage {
  /** The node that judges; '' where no node governs an end. */
  readonly node: string;
}

/** Denied by its last stage, or allowed by all. */
export interface JudgedFlow {
  readonly family: Family;
  readonly packet: Packet;
  readonly verdict: Verdict;
  readonly stages: readonly JudgedStage[];
}

export interface Answer {
  readonly question: string;
  readonly from: string;
  readonly to: string;
  /** `mixed` = one family is allowed, the other is not. */
  readonly verdict: Verdict | 'mixed';
  /** At least one; IPv4 first. */
  readonly flows: readonly JudgedFlow[];
}

/** Of questions without ports of their own. */
const SOURCE_PORT = 40_000;

/** `wrong` names what is unknown, or why no packet can go. */
export function answer(scene: Scene, question: Question): Read<Answer> {
  const ends = resolveEnds(scene, question);
  if ('wrong' in ends) return ends;
  const { source, destination } = ends.value;
  const flows = ([4, 6] as const).flatMap((family): JudgedFlow[] => {
    const [saddr, daddr] = [addressOf(source, family), addressOf(destination, family)];
    const header = question.service[family];
    if (saddr === undefined || daddr === undefined || header === undefined) return [];
    const packet = packetOf(saddr, daddr, header);
    return [judge(scene, packet, source, destination)];
  });
  const [first] = flows;
  if (first === undefined) return { wrong: noFamily(question, source, destination) };
  const verdict = flows.every((flow) => flow.verdict === first.verdict) ? first.verdict : 'mixed';
  const { text } = question;
  return {
    value: { question: text, from: source.name, to: destination.name, verdict, flows },
  };
}

/** A packet between whoever has its addresses. */
export function judgePacket(scene: Scene, packet: Packet, nodes: readonly string[]): JudgedFlow {
  return judgeOn(scene, packet, nodes, (world) => ({
    from: findEnd(world, packet.saddr),
    to: findEnd(world, packet.daddr),
  }));
}

function judge(scene: Scene, packet: Packet, source: Place, destination: Place): JudgedFlow {
  const owner = ownerOf(worldOf(scene, ''), packet.daddr);
  const receiving = owner?.node ?? destination.node;
  const everywhere = [source.node, receiving].filter((node) => node !== undefined);
  const nodes = scene.node === undefined ? [...new Set(everywhere)] : [scene.node];
  return judgeOn(scene, packet, nodes, (world) => ({
    from: source.endIn(world, packet.saddr),
    to: destination.endIn(world, packet.daddr),
  }));
}

type Ends = Readonly<Record<'from' | 'to', FlowEnd>>;

/** In the order of the nodes, until one denies. */
function judgeOn(
  whole: Scene,
  packet: Packet,
  nodes: readonly string[],
  endsIn: (world: World) => Ends,
): JudgedFlow {
  const stages: JudgedStage[] = [];
  const scene = narrow(whole, packet);
  const { family } = packet;
  for (const node of nodes.length === 0 ? [''] : nodes) {
    const world = worldOf(scene, node);
    const flow = evaluateFlow(world, { ...endsIn(world), packet });
    stages.push(...flow.stages.map((stage) => ({ ...stage, node })));
    if (flow.verdict === 'deny') {
      return { family, packet, verdict: 'deny', stages: withoutIdle(stages) };
    }
  }
  return { family, packet, verdict: 'allow', stages: withoutIdle(stages) };
}

/** Without the workloads that have neither address: they play no part, and the oracle looks at everything for every rule. */
function narrow(scene: Scene, { saddr, daddr }: Packet): Scene {
  const isNear = (own: Address): boolean => isSameAddress(own, saddr) || isSameAddress(own, daddr);
  const resources = scene.resources.filter(
    (resource) => resource.kind !== 'WorkloadEndpoint' || resource.addresses.some(isNear),
  );
  return { ...scene, resources };
}

/** A node that governs neither end has nothing to say where another one has. */
function withoutIdle(stages: readonly JudgedStage[]): readonly JudgedStage[] {
  const busy = stages.filter(({ decision: { decisive } }) => {
    return decisive.kind === 'rule' || decisive.reason !== 'not-governed';
  });
  return busy.length > 0 ? busy : stages.slice(0, 1);
}

function packetOf(saddr: Address, daddr: Address, header: ServiceHeader): Packet {
  const sport = header.dport === undefined ? undefined : SOURCE_PORT;
  return { family: saddr.family, saddr, daddr, sport, ...header };
}

function noFamily({ service }: Question, source: Place, destination: Place): string {
  const families = ([4, 6] as const).filter((family) => service[family] !== undefined);
  const only = families.length === 2 ? '' : `, and the protocol is one of IPv${families.join()}`;
  return `no packet can go: ${describeFamilies(source)}, ${describeFamilies(destination)}${only}`;
}

function describeFamilies({ name, addresses }: Place): string {
  const families = new Set(addresses.map(({ family }) => family));
  return `${name} has ${families.size === 2 ? 'IPv4 and IPv6' : `only IPv${[...families].join()}`}`;
}
