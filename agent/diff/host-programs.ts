/**
 * What host endpoints say of a packet, quickly: one program for each stage that an endpoint has, and the order in which stages count. Comes in:
 * resolved host endpoints; goes out: verdicts. Failsafes are the oracle's; refuses to know which interface has which endpoint.
 */
import type {
  ResolvedDirection,
  ResolvedHostEndpoint,
  ResolvedTier,
} from '../../compiler/calc/resolved.ts';
import type { IrDecision } from '../../compiler/ir/eval.ts';
import type { Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Direction } from '../../compiler/model/policy.ts';
import { isFailsafe, isFailsafeReply } from '../../compiler/oracle/failsafe.ts';
import type { Failsafes } from '../../compiler/oracle/failsafe.ts';
import type { StageName } from '../../compiler/oracle/stage.ts';
import type { Program } from './program.ts';

export type HostStage = Exclude<StageName, 'from-workload' | 'to-workload' | 'post-dnat'>;

/** Absent: the stage has nothing to say. */
export type HostPrograms = Readonly<Partial<Record<HostStage, Readonly<Record<Family, Program>>>>>;

const STAGE_DIRECTION: Readonly<Record<HostStage, Direction>> = {
  'untracked-in': 'ingress',
  'pre-dnat': 'ingress',
  input: 'ingress',
  'forward-in': 'ingress',
  'forward-out': 'egress',
  'untracked-out': 'egress',
  output: 'egress',
};

/** The compiler of a stage, as the world has it. */
type Compile = (resolved: ResolvedDirection, direction: Direction, family: Family) => Program;

export function hostPrograms(host: ResolvedHostEndpoint, compile: Compile): HostPrograms {
  const { normal, forward, preDnat, untracked } = host;
  const resolved: Readonly<Record<HostStage, ResolvedDirection | undefined>> = {
    'untracked-in': undecided(untracked.ingress),
    'pre-dnat': undecided(preDnat),
    input: normal.ingress,
    'forward-in': undecided(forward?.ingress ?? []),
    'forward-out': undecided(forward?.egress ?? []),
    'untracked-out': undecided(untracked.egress),
    output: normal.egress,
  };
  const programs: Partial<Record<HostStage, Readonly<Record<Family, Program>>>> = {};
  for (const stage of STAGES) {
    const tiers = resolved[stage];
    if (tiers === undefined) continue;
    const direction = STAGE_DIRECTION[stage];
    programs[stage] = { 4: compile(tiers, direction, 4), 6: compile(tiers, direction, 6) };
  }
  return programs;
}

function undecided(tiers: readonly ResolvedTier[]): ResolvedDirection | undefined {
  return tiers.length === 0 ? undefined : { tiers, profiles: [] };
}

const STAGES = Object.keys(STAGE_DIRECTION) as readonly HostStage[];

/** A stage on a packet's way, and what judges there. */
export interface StageOnWay {
  readonly stage: HostStage;
  readonly program: Program | undefined;
}

/** `stages` in the order of the way; `decide` runs a program in its world. */
export function passesStages(
  decide: (program: Program, packet: Packet) => IrDecision,
  stages: readonly StageOnWay[],
  packet: Packet,
  failsafes: Failsafes,
): boolean {
  let isAccepted = false;
  for (const { stage, program } of stages) {
    if (program === undefined) continue;
    // What an earlier stage has allowed counts for nothing at the other interface.
    if (isAccepted && stage !== 'forward-out') continue;
    if (isSafe(failsafes, stage, packet)) continue;
    const { verdict, by } = decide(program, packet);
    const isNormal = stage === 'input' || stage === 'output';
    if (by.kind === 'no-profile' && !isNormal) continue;
    if (verdict === 'deny') return false;
    const isEarly = stage === 'pre-dnat' || stage.startsWith('untracked');
    if (isEarly && by.kind === 'rule') isAccepted = true;
  }
  return true;
}

function isSafe(failsafes: Failsafes, stage: HostStage, packet: Packet): boolean {
  if (stage.startsWith('forward')) return false;
  const direction = STAGE_DIRECTION[stage];
  return (
    isFailsafe(failsafes, direction, packet) ||
    (stage.startsWith('untracked') && isFailsafeReply(failsafes, direction, packet))
  );
}
