/**
 * The verdict on a packet on its way over this node, stage by stage in the order of the kernel's hooks (specification sections 3.6 to
 * 3.9 and 6.2):
 *
 *   arriving     untracked-in, from-workload (its source), pre-dnat
 *     to us      input (tunnels), from-workload, input
 *     forwarded  forward-in, from-workload, to-workload, forward-out
 *   from us      untracked-out, output or (its destination replaced) post-dnat, to-workload
 *
 * What we send to ourselves goes both ways. Refuses to know routing and address translation: a flow says where the packet comes in and
 * goes out, and what it was before.
 */
import type { Address } from '../model/ip.ts';
import { decideImplicitly } from './decision.ts';
import type { ImplicitReason, Verdict } from './decision.ts';
import {
  judgeForwardIn,
  judgeForwardOut,
  judgeInput,
  judgeOutput,
  judgePostDnat,
  judgePreDnat,
  judgeTunnel,
  judgeUntrackedIn,
  judgeUntrackedOut,
} from './host-stages.ts';
import { stageOf } from './stage.ts';
import type { Flow, FlowEnd, FlowStage, Judge, Way } from './stage.ts';
import {
  judgeEndpointToHost,
  judgeFromWorkload,
  judgeSource,
  judgeToWorkload,
} from './workload-stages.ts';
import { isSameAddress, ownerOf, resourcesOf } from './world.ts';
import type { World } from './world.ts';

/** Denied by the first stage that denies, which is then the last; allowed when all allow. At least one stage. */
export interface FlowDecision {
  readonly verdict: Verdict;
  readonly stages: readonly FlowStage[];
}

/** Accepted for good: what comes later in the hook does not see the packet any more (section 6.2.4). */
const FINAL: readonly ImplicitReason[] = ['tunnel', 'neighbour-discovery'];

const FROM_HOST: readonly Judge[] = [judgeUntrackedOut, judgeOutput, judgePostDnat];
const ARRIVING: readonly Judge[] = [judgeUntrackedIn, judgeSource, judgePreDnat];
const TO_HOST: readonly Judge[] = [judgeTunnel, judgeFromWorkload, judgeEndpointToHost, judgeInput];
const FORWARDED: readonly Judge[] = [
  judgeForwardIn,
  judgeFromWorkload,
  judgeToWorkload,
  judgeForwardOut,
];

export function evaluateFlow(world: World, flow: Flow): FlowDecision {
  const stages: FlowStage[] = [];
  for (const leg of legsOf(flow)) {
    // Marks and connection tracking of what leaves do not outlive the way over `lo`.
    let way: Way = { world, flow: leg.flow, isAcceptedEarlier: false, isUntracked: false };
    for (const judge of leg.judges) {
      const stage = judge(way);
      if (stage === undefined) continue;
      stages.push(stage);
      const { verdict, decisive } = stage.decision;
      if (verdict === 'deny') return { verdict, stages };
      if (decisive.kind === 'implicit' && FINAL.includes(decisive.reason)) break;
      way = after(way, stage);
    }
  }
  if (stages.length === 0) {
    const decision = decideImplicitly('allow', 'not-governed');
    stages.push(stageOf('to-workload', undefined, decision));
  }
  return { verdict: 'allow', stages };
}

interface Leg {
  readonly flow: Flow;
  readonly judges: readonly Judge[];
}

function legsOf(flow: Flow): readonly Leg[] {
  const { from, to } = flow;
  if (from.kind !== 'host') {
    return [{ flow, judges: [...ARRIVING, ...(to.kind === 'host' ? TO_HOST : FORWARDED)] }];
  }
  if (to.kind !== 'host') return [{ flow, judges: [...FROM_HOST, judgeToWorkload] }];
  // What arrives by `lo` has been translated where it was sent.
  const arriving = { ...flow, before: undefined };
  return [
    { flow, judges: FROM_HOST },
    { flow: arriving, judges: [...ARRIVING, ...TO_HOST] },
  ];
}

/** Only a rule's Allow counts: a failsafe ends nothing but its own stage (section 6.1). */
function after(way: Way, { stage, decision }: FlowStage): Way {
  if (decision.decisive.kind !== 'rule') return way;
  const isUntracked = stage === 'untracked-in' || stage === 'untracked-out';
  return {
    ...way,
    isUntracked: way.isUntracked || isUntracked,
    isAcceptedEarlier: way.isAcceptedEarlier || isUntracked || stage === 'pre-dnat',
  };
}

/**
 * An untracked rule has allowed it before its destination could be replaced, for which there has to be a connection: it goes to where it was
 * sent. A flow with `before` that was judged so has to be asked for without.
 */
export function isTakenUntracked({ from }: Flow, { stages }: FlowDecision): boolean {
  const first = from.kind === 'host' ? 'untracked-out' : 'untracked-in';
  return stages.some(
    ({ stage, decision: { verdict, decisive } }) =>
      stage === first && verdict === 'allow' && decisive.kind === 'rule',
  );
}

/** Who has the address: the workload that owns it, this node, or somebody else. */
export function findEnd(world: World, address: Address): FlowEnd {
  const endpoint = ownerOf(world, address);
  if (endpoint !== undefined) return { kind: 'workload', endpoint };
  const hasAddress = (own: Address): boolean => isSameAddress(own, address);
  const isHost =
    world.interfaces.some(({ addresses }) => addresses.some(hasAddress)) ||
    resourcesOf(world, 'Node').some((n) => n.name === world.node && n.addresses.some(hasAddress)) ||
    resourcesOf(world, 'HostEndpoint').some(
      (host) => host.node === world.node && host.expectedIPs.some(hasAddress),
    );
  return { kind: isHost ? 'host' : 'external' };
}
