/**
 * A question to its answer: one flow for each IP family that both ends have, each judged by every node that governs an end of it. Refuses
 * to know how answers are printed.
 */
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { ImplicitReason, Verdict } from '../../compiler/oracle/decision.ts';
import { evaluateFlow, findEnd } from '../../compiler/oracle/flow.ts';
import type { FlowStage } from '../../compiler/oracle/stage.ts';
import { isSameAddress } from '../../compiler/oracle/world.ts';
import { addressOf, resolveEnds, worldOf } from './ends.ts';
import type { Place } from './ends.ts';
import { hopsOf, journeyOf, judgeHop } from './journey.ts';
import type { Journey } from './journey.ts';
import type { Question, Read, ServiceHeader } from './question.ts';
import type { Scene } from './scene.ts';

export interface JudgedStage extends FlowStage {
  /** The node that judges; '' where no node governs an end. */
  readonly node: string;
}

/** Denied by its last stage, or allowed by all. */
export interface JudgedFlow {
  readonly family: Family;
  /** As it arrives. */
  readonly packet: Packet;
  /** As it was sent, where its destination was replaced. */
  readonly before: Packet | undefined;
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

/** `wrong` names what is unknown, why no packet can go, or what else has to be said. */
export function answer(scene: Scene, question: Question): Read<Answer> {
  const ends = resolveEnds(scene, question);
  if ('wrong' in ends) return ends;
  const { source, destination } = ends.value;
  const flows: JudgedFlow[] = [];
  for (const family of [4, 6] as const) {
    const [saddr, daddr] = [addressOf(source, family), addressOf(destination, family)];
    const header = question.service[family];
    if (saddr === undefined || daddr === undefined || header === undefined) continue;
    if (question.via !== undefined && question.via.address.family !== family) continue;
    const journey = journeyOf(packetOf(saddr, daddr, header), question, source, destination);
    const flow = judge(scene, journey);
    if ('wrong' in flow) return flow;
    flows.push(flow.value);
  }
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
  const stages: JudgedStage[] = [];
  for (const node of nodes) {
    const world = worldOf(narrow(scene, [packet]), node);
    const [from, to] = [findEnd(world, packet.saddr), findEnd(world, packet.daddr)];
    const judged = evaluateFlow(world, { from, to, packet });
    stages.push(...judged.stages.map((stage) => ({ ...stage, node })));
    if (judged.verdict === 'deny') break;
  }
  return flowOf(packet, undefined, stages);
}

function judge(scene: Scene, journey: Journey): Read<JudgedFlow> {
  const { packet, before } = journey;
  const stages: JudgedStage[] = [];
  for (const { node, isTranslating } of hopsOf(scene, journey)) {
    const near = narrow(scene, [packet, before?.packet ?? packet]);
    const judged = judgeHop(
      near,
      node,
      isTranslating ? journey : { ...journey, before: undefined },
    );
    if ('wrong' in judged) return judged;
    stages.push(...judged.value.stages.map((stage) => ({ ...stage, node })));
    if (judged.value.verdict === 'deny') break;
  }
  return { value: flowOf(packet, before?.packet, stages) };
}

function flowOf(
  packet: Packet,
  before: Packet | undefined,
  stages: readonly JudgedStage[],
): JudgedFlow {
  const verdict = stages.at(-1)?.decision.verdict ?? 'allow';
  return { family: packet.family, packet, before, verdict, stages: withoutIdle(stages) };
}

/** Without the workloads that have none of the addresses: they play no part, and the oracle looks at everything for every rule. */
export function narrow(scene: Scene, packets: readonly Packet[]): Scene {
  const isNear = (own: Address): boolean =>
    packets.some(({ saddr, daddr }) => isSameAddress(own, saddr) || isSameAddress(own, daddr));
  const resources = scene.resources.filter(
    (resource) => resource.kind !== 'WorkloadEndpoint' || resource.addresses.some(isNear),
  );
  return { ...scene, resources };
}

const IDLE: readonly ImplicitReason[] = ['not-governed', 'no-host-endpoint'];

/** A node that governs neither end has nothing to say where another one has. */
function withoutIdle(stages: readonly JudgedStage[]): readonly JudgedStage[] {
  const busy = stages.filter(({ decision: { decisive } }) => {
    return decisive.kind === 'rule' || !IDLE.includes(decisive.reason);
  });
  return busy.length > 0 ? busy : stages.slice(0, 1);
}

function packetOf(saddr: Address, daddr: Address, header: ServiceHeader): Packet {
  const sport = header.sport ?? (header.dport === undefined ? undefined : SOURCE_PORT);
  return { family: saddr.family, saddr, daddr, ...header, sport };
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
