/** Expectations held against answers. Comes in: an expectation; goes out: whether it holds, and where not, why, in words. */
import { nearest } from '../../compiler/model/parse/nearest.ts';
import { policyId } from '../../compiler/model/policy.ts';
import { resourcesOf } from '../../compiler/oracle/world.ts';
import { answer } from './answer.ts';
import type { Answer, JudgedFlow, JudgedStage } from './answer.ts';
import { worldOf } from './ends.ts';
import type { Decider } from './expectation.ts';
import { printAnswer, printDecisive } from './print.ts';
import type { Scene } from './scene.ts';
import type { PlacedExpectation } from './test-file.ts';

export interface TestResult {
  readonly expectation: PlacedExpectation;
  /** `error` = it cannot be asked: a name is unknown, or no packet can go. */
  readonly outcome: 'passed' | 'failed' | 'error';
  /** One sentence; '' where it passed. */
  readonly reason: string;
  /** The answer, rule by rule; where it failed. */
  readonly explanation: readonly string[];
}

export function check(scene: Scene, expectation: PlacedExpectation): TestResult {
  const answered = answer(scene, expectation.question);
  if ('wrong' in answered) {
    return { expectation, outcome: 'error', reason: answered.wrong, explanation: [] };
  }
  const { value } = answered;
  const reason = objection(scene, expectation, value);
  return reason === undefined
    ? { expectation, outcome: 'passed', reason: '', explanation: [] }
    : { expectation, outcome: 'failed', reason, explanation: printAnswer(scene, value) };
}

/** Both families have to be as expected, decided by what is named. */
function objection(
  scene: Scene,
  { verdict, by }: PlacedExpectation,
  { flows }: Answer,
): string | undefined {
  const other = flows.find((flow) => flow.verdict !== verdict);
  if (other !== undefined) {
    const decided = describe(scene, other);
    const word = other.verdict === 'allow' ? 'allowed' : 'denied';
    return `expected ${verdict}, but IPv${other.family} is ${word} by ${decided}`;
  }
  if (by === undefined) return undefined;
  const others = flows.filter((flow) => !deciding(flow).some((stage) => isBy(stage, by.decider)));
  const [first] = others;
  if (first === undefined) return undefined;
  const hint = unknownDecider(scene, by.decider);
  return `expected by ${by.text}${hint}, but IPv${first.family} is decided by ${describe(scene, first)}`;
}

/** A deny is decided by one end, an allow by all. */
function deciding({ verdict, stages }: JudgedFlow): readonly JudgedStage[] {
  return stages.filter(({ decision }) => decision.verdict === verdict);
}

function describe(scene: Scene, flow: JudgedFlow): string {
  return deciding(flow)
    .map((stage) => printDecisive(scene, stage))
    .join(' and ');
}

function isBy({ decision: { decisive } }: JudgedStage, decider: Decider): boolean {
  if (decisive.kind === 'rule') {
    const { policy, direction, index } = decisive.rule;
    if (decider.kind !== 'rule' || decider.policy !== policy) return false;
    const { rule } = decider;
    return rule === undefined || (rule.direction === direction && rule.index === index);
  }
  return decider.kind === 'end-of-tier'
    ? decisive.reason === 'end-of-tier' && decisive.tier === decider.tier
    : decider.kind === 'reason' && decisive.reason === decider.reason;
}

/** ` (there is no such policy; …)`, or nothing. */
function unknownDecider(scene: Scene, decider: Decider): string {
  if (decider.kind !== 'rule') return '';
  const world = worldOf(scene, '');
  const known = [
    ...resourcesOf(world, 'Policy').map(policyId),
    ...resourcesOf(world, 'Profile').map(({ name }) => `pro/${name}`),
  ];
  if (known.includes(decider.policy)) return '';
  const near = nearest(decider.policy, known);
  return ` (there is none${near === undefined ? '' : `; did you mean ${near}?`})`;
}
