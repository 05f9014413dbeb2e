/**
 * Answers for people: the verdict first, then per flow and judged end what decided and, on the way there, every tier, policy and rule.
 * Comes in: an answer; goes out: lines.
 */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Decisive } from '../../compiler/oracle/decision.ts';
import { nameStage, REASONS } from '../../compiler/oracle/explain.ts';
import type { Answer, JudgedFlow, JudgedStage } from './answer.ts';
import type { RulePlace, Scene } from './scene.ts';
import { walk } from './walk.ts';
import type { WalkedPolicy, WalkedRule, WalkedTier } from './walk.ts';

const WORDS = { allow: 'allowed', deny: 'DENIED', mixed: 'DENIED for one IP family only' } as const;

function printVerdict(verdict: Answer['verdict']): string {
  return WORDS[verdict];
}

/** Lines without breaks. */
export function printAnswer(scene: Scene, answer: Answer): readonly string[] {
  const { question, verdict, flows } = answer;
  const lines = [`${question}: ${printVerdict(verdict)}`];
  for (const [index, flow] of flows.entries()) {
    const stages = flow.stages.flatMap((stage) => printStage(scene, stage));
    const before = flows[index - 1];
    const isSame =
      before !== undefined &&
      before.stages.flatMap((stage) => printStage(scene, stage)).join('\n') === stages.join('\n');
    lines.push(
      '',
      printFlow(flow),
      ...(isSame ? ['  the same, rule for rule'] : stages.map(indent)),
    );
  }
  return lines;
}

function indent(line: string): string {
  return `  ${line}`;
}

function printFlow({ family, packet, before, verdict }: JudgedFlow): string {
  const via = before === undefined ? '' : ` (sent to ${printAddress(before.daddr)})`;
  const ends = `${printAddress(packet.saddr)} -> ${printAddress(packet.daddr)}${via}`;
  return `IPv${family} ${ends}: ${WORDS[verdict]}`;
}

function printStage(scene: Scene, stage: JudgedStage): string[] {
  const { node, decision } = stage;
  const where = node === '' ? '' : `, node ${node}`;
  return [
    `${nameStage(stage)}${where}: ${WORDS[decision.verdict]}`,
    `  by ${printDecisive(scene, stage)}`,
    ...walk(scene, decision).flatMap(printTier).map(indent),
  ];
}

/** What decided, in one line: `GlobalNetworkPolicy deny-ssh ingress[0] (tier default), policies/deny.yaml:12`. */
export function printDecisive(scene: Scene, stage: JudgedStage): string {
  const { decisive } = stage.decision;
  if (decisive.kind === 'implicit') return printImplicit(decisive, stage);
  const { rule } = decisive;
  const place = scene.placeOf(rule);
  const { kind, namespace, name } = place;
  const whole = namespace === undefined ? name : `${namespace}/${name}`;
  const called = rule.name === undefined ? '' : ` "${rule.name}"`;
  const tier = rule.tier === undefined ? ' (no policy decides)' : ` (tier ${rule.tier})`;
  return `${kind} ${whole} ${rule.direction}[${rule.index}]${called}${tier}, ${printPlace(place)}`;
}

function printImplicit(
  { reason, tier, selectedBy }: Decisive & { readonly kind: 'implicit' },
  { direction }: JudgedStage,
): string {
  const policies = selectedBy.join(', ');
  if (reason === 'end-of-tier') {
    return `end of tier ${tier ?? ''}: selected by ${policies}, no ${direction} rule matched`;
  }
  return `${reason}: ${REASONS[reason]}${policies === '' ? '' : ` (${policies})`}`;
}

function printPlace({ file, line }: RulePlace): string {
  if (file === undefined) return 'built in';
  return line === undefined ? file : `${file}:${line}`;
}

function printTier({ tier, policies, passes }: WalkedTier): string[] {
  const title = tier === undefined ? 'profiles' : `tier ${tier}`;
  const lines = policies.flatMap(printPolicy).map(indent);
  return [title, ...lines, ...(passes ? ['  passes on'] : [])];
}

function printPolicy({ id, reached, rules }: WalkedPolicy): string[] {
  if (!reached) return [`${id}: not reached`];
  if (rules.length === 0) return [`${id}: no rules for this direction`];
  return [id, ...rules.map(printRule).map(indent)];
}

function printRule(rule: WalkedRule): string {
  const { index, ruleName, action, matches, because } = rule;
  const called = ruleName === undefined ? '' : ` "${ruleName}"`;
  const result = matches ? 'matches' : `no match: ${because.join(', ')}`;
  return `[${index}]${called} ${action}: ${result} (${printPlace(rule)})`;
}
