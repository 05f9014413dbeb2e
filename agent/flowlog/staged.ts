/**
 * What staged policies would have done to a flow: the oracle judges it as if they were enforced. Comes in: flows; goes out: the staged rules
 * that would have decided or passed. Costs nothing where no policy is staged, and is bounded elsewhere. Refuses to know packets and time.
 */
import type { Packet } from '../../compiler/model/packet.ts';
import type { Direction } from '../../compiler/model/policy.ts';
import type { Decision } from '../../compiler/oracle/decision.ts';
import { judgePacket } from '../explain/answer.ts';
import type { Scene } from '../explain/scene.ts';
import type { RecordStaged } from './record.ts';
import type { Flow } from './window.ts';

/** Ids of staged policies: `snp/`, `sgnp/`, `sknp/`. */
const STAGED_ID = /^s(np|gnp|knp)\//;

/** For a source port that nobody knows. */
const ANY_SOURCE_PORT = 40_000;

/** A scene in which staged policies are enforced. */
export function stagedScene(scene: Scene): Scene {
  const resources = scene.resources.map((resource) =>
    resource.kind === 'Policy' ? { ...resource, staged: false } : resource,
  );
  return { ...scene, resources };
}

/** `scene` is of `stagedScene`, with a node. Empty for a flow whose addresses or protocol are unknown. */
export function judgeStaged(scene: Scene, flow: Flow, direction: Direction): RecordStaged[] {
  const packet = packetOf(flow);
  if (packet === undefined || scene.node === undefined) return [];
  const { stages } = judgePacket(scene, packet, [scene.node]);
  return stages.flatMap((stage) => (stage.direction === direction ? stagedIn(stage.decision) : []));
}

function stagedIn({ trace, decisive, verdict }: Decision): RecordStaged[] {
  const matched = trace.flatMap((step): RecordStaged[] => {
    if (step.kind !== 'match' || step.action === 'log') return [];
    const { policy, tier, index } = step.rule;
    if (tier === undefined || !STAGED_ID.test(policy)) return [];
    return [{ policy, tier, action: step.action, rule: index }];
  });
  if (decisive.kind !== 'implicit' || verdict !== 'deny') return matched;
  const { tier, selectedBy } = decisive;
  if (tier === undefined) return matched;
  const ends = selectedBy.filter((id) => STAGED_ID.test(id));
  return [...matched, ...ends.map((policy): RecordStaged => ({ policy, tier, action: 'deny' }))];
}

function packetOf(flow: Flow): Packet | undefined {
  const { family, source, destination, protocol, dport, icmpType, icmpCode } = flow;
  if (family === undefined || source === undefined || destination === undefined) return undefined;
  if (protocol === undefined) return undefined;
  const sport = dport === undefined ? undefined : (flow.sport ?? ANY_SOURCE_PORT);
  return { family, saddr: source, daddr: destination, protocol, sport, dport, icmpType, icmpCode };
}
