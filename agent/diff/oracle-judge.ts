/** The oracle's word on a packet in two scenes, with what decided in each. */
import { judgePacket } from '../explain/answer.ts';
import type { JudgedFlow } from '../explain/answer.ts';
import { printDecisive } from '../explain/print.ts';
import type { Scene } from '../explain/scene.ts';
import type { Judge } from './compare.ts';

export function oracleJudge(before: Scene, after: Scene): Judge {
  return (packet, nodes) => {
    const was = judgePacket(before, packet, nodes);
    const is = judgePacket(after, packet, nodes);
    if (was.verdict === is.verdict) return undefined;
    return {
      before: was.verdict,
      after: is.verdict,
      byBefore: decisive(before, was),
      byAfter: decisive(after, is),
    };
  };
}

/** The last stage has decided: it denied, or nobody did. */
function decisive(scene: Scene, { stages }: JudgedFlow): string {
  const stage = stages.at(-1);
  return stage === undefined ? 'nobody' : printDecisive(scene, stage);
}
