/**
 * What the oracle says of random packets over a host, and of the answers to them. Comes in: a world and flows; goes out: decisions, and where and how each
 * packet comes out when it is allowed. Sends nothing.
 */
import { evaluateFlow, isTakenUntracked } from '../../compiler/oracle/flow.ts';
import type { FlowDecision } from '../../compiler/oracle/flow.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { oracleFlow, replyTo, untranslated } from './host-flows.ts';
import type { HostFlow } from './host-flows.ts';
import { describePacket } from './world-table.ts';

export interface Answer {
  readonly flow: HostFlow;
  readonly decision: FlowDecision;
  /** Where and how it comes out. */
  readonly arriving: HostFlow;
}

/** What an untracked rule allows is not translated. */
export function decide(judged: World, flow: HostFlow): Answer {
  const asked = oracleFlow(judged, flow);
  const decision = evaluateFlow(judged, asked);
  if (flow.before === undefined || !isTakenUntracked(asked, decision)) {
    return { flow, decision, arriving: flow };
  }
  const arriving = untranslated(flow);
  return { flow, decision: evaluateFlow(judged, oracleFlow(judged, arriving)), arriving };
}

/** What comes back: part of a connection where one was let begin. */
export function decideReply(judged: World, { flow, decision }: Answer): Answer[] {
  const reply = replyTo(flow);
  if (reply === undefined) return [];
  const isTracked =
    decision.verdict === 'allow' && !isTakenUntracked(oracleFlow(judged, flow), decision);
  const state = isTracked ? 'established' : 'new';
  const answered = evaluateFlow(judged, { ...oracleFlow(judged, reply), state });
  return [{ flow: reply, decision: answered, arriving: reply }];
}

export function describeFlow({ packet, before, arrivesBy, from, to }: HostFlow): string {
  const via =
    before === undefined ? '' : ` via ${describePacket(before.packet)} to ${before.uplink}`;
  const places = `${from.kind} to ${to.kind === 'outside' ? to.interface : to.kind}`;
  return `${describePacket(packet)}${via}, ${places}, arrives by ${arrivesBy}`;
}
