/** Answers for programs: plain data with text addresses; every rule with kind, namespace, name, tier, index, name, file and line. */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Decisive } from '../../compiler/oracle/decision.ts';
import { REASONS } from '../../compiler/oracle/explain.ts';
import type { Answer, JudgedFlow, JudgedStage } from './answer.ts';
import type { Scene } from './scene.ts';
import { walk } from './walk.ts';

export function answerToJson(scene: Scene, { question, from, to, verdict, flows }: Answer): object {
  return { question, verdict, from, to, flows: flows.map((flow) => flowToJson(scene, flow)) };
}

function flowToJson(scene: Scene, { packet, before, verdict, stages }: JudgedFlow): object {
  return {
    verdict,
    packet: packetToJson(packet),
    before: before && packetToJson(before),
    stages: stages.map((stage) => stageToJson(scene, stage)),
  };
}

function packetToJson(packet: Packet): object {
  const { saddr, daddr } = packet;
  return { ...packet, saddr: printAddress(saddr), daddr: printAddress(daddr) };
}

function stageToJson(scene: Scene, judged: JudgedStage): object {
  const { node, stage, endpointKind, endpoint, direction, decision } = judged;
  const { verdict, decisive } = decision;
  return {
    stage,
    direction,
    endpointKind,
    node: node === '' ? undefined : node,
    endpoint,
    verdict,
    decisive: decisiveToJson(scene, decisive),
    tiers: walk(scene, decision),
  };
}

function decisiveToJson(scene: Scene, decisive: Decisive): object {
  if (decisive.kind === 'implicit') {
    const { reason, tier, selectedBy } = decisive;
    return { implicit: { reason, tier, selectedBy, text: REASONS[reason] } };
  }
  const { policy: id, tier, direction, index, name } = decisive.rule;
  return { rule: { id, ...scene.placeOf(decisive.rule), tier, direction, index, ruleName: name } };
}
