/**
 * Every folder beside this file is a case: manifests.yaml and packets.txt, whose verdicts are written by hand from the specification.
 * Three evaluators are held to them: the oracle, the calculation with the IR evaluator, and real packets in the kernel. CASES limits
 * the run to the folders whose name contains its value.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Calc } from '../../compiler/calc/calc.ts';
import { evalProgram } from '../../compiler/ir/eval.ts';
import type { IrDecision } from '../../compiler/ir/eval.ts';
import type { Decision } from '../../compiler/oracle/decision.ts';
import { explainFlow, nameStage } from '../../compiler/oracle/explain.ts';
import type { FlowDecision } from '../../compiler/oracle/flow.ts';
import type { StageName } from '../../compiler/oracle/stage.ts';
import { Calculated } from '../support/calculated.ts';
import type { HostList } from '../support/calculated.ts';
import { sendInKernel } from '../support/case-node.ts';
import type { CasePacket } from '../support/case-packets.ts';
import { decide, readCase } from '../support/case.ts';
import type { PolicyCase } from '../support/case.ts';
import { keyOf } from '../support/keys.ts';
import { kernelTest } from '../support/needs.ts';
import { NODE } from '../support/world.ts';

const FOLDER = import.meta.dirname;
const ONLY = process.env['CASES'] ?? '';

const names = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'lint' && entry.name.includes(ONLY))
  .map(({ name }) => name)
  .sort();

for (const name of names) {
  test(`${name}: findings`, (t) => {
    const { issues, table } = readCase(FOLDER, name);
    t.deepEqual(issues.filter(isError).toSorted(), table.issues.filter(isError).toSorted());
    const unseen = table.issues.filter((expected) => !issues.includes(expected));
    t.deepEqual(unseen, [], `seen: ${issues.join('; ')}`);
  });

  test(`${name}: oracle`, (t) => {
    const policyCase = readCase(FOLDER, name);
    const wrong = policyCase.table.packets.flatMap((expected) => {
      const flow = decide(policyCase, expected);
      const isRight =
        flow.verdict === expected.verdict && (expected.by ?? reasonOf(flow)) === reasonOf(flow);
      return isRight ? [] : [`${where(expected)}\n${explainFlow(flow)}`];
    });
    t.deepEqual(wrong, []);
  });

  test(`${name}: calculation and IR`, (t) => {
    const policyCase = readCase(FOLDER, name);
    const calculated = calculate(policyCase);
    const wrong = policyCase.table.packets.flatMap((expected) =>
      disagreements(policyCase, calculated, expected),
    );
    t.deepEqual(wrong, []);
  });

  const needs = ['root', 'netns', 'cc', 'addon', ...(isTranslated(name) ? ['nft' as const] : [])] as const;
  kernelTest(`${name}: kernel`, needs, async (t) => {
    const policyCase = readCase(FOLDER, name);
    const arrived = await sendInKernel(policyCase);
    const wrong = policyCase.table.packets.flatMap((expected, index) => {
      const seen = arrived[index] === true ? 'allow' : 'deny';
      return seen === expected.verdict ? [] : [`${where(expected)}\nin the kernel: ${seen}`];
    });
    t.deepEqual(wrong, []);
  });
}

test('every case is found', (t) => t.true(names.length > 0 || ONLY !== ''));

/** Another table, which the nft command makes, replaces destinations. */
function isTranslated(name: string): boolean {
  return / via /.test(readFileSync(join(FOLDER, name, 'packets.txt'), 'utf8'));
}

function isError(issue: string): boolean {
  return issue.startsWith('error');
}

function where({ line, text }: CasePacket): string {
  return `packets.txt:${line}: ${text}`;
}

/** `knp/shop/web ingress[0]`, `end of tier default`, or a built-in reason; of the last stage. */
function reasonOf({ stages }: FlowDecision): string {
  const decisive = stages.at(-1)?.decision.decisive;
  if (decisive?.kind === 'rule') {
    const { policy, direction, index } = decisive.rule;
    return `${policy} ${direction}[${index}]`;
  }
  return decisive?.tier === undefined ? (decisive?.reason ?? '') : `end of tier ${decisive.tier}`;
}

function calculate(policyCase: PolicyCase): Calculated {
  const calc = new Calc(NODE);
  for (const resource of policyCase.world.resources) calc.put(keyOf(resource), resource);
  const calculated = new Calculated();
  calculated.apply(calc.flush());
  return calculated;
}

/** At every endpoint where policy has to decide, the program of its stage says what the oracle says. */
function disagreements(
  policyCase: PolicyCase,
  calculated: Calculated,
  expected: CasePacket,
): readonly string[] {
  return decide(policyCase, expected).stages.flatMap((stage) => {
    const text = printOracle(stage.decision);
    const { endpoint, endpointKind, direction } = stage;
    if (endpoint === undefined || text === undefined) return [];
    const isBefore = BEFORE_DNAT.includes(stage.stage);
    const packet = (isBefore ? expected.before?.packet : undefined) ?? expected.packet;
    const { family } = packet;
    const program =
      endpointKind === 'workload'
        ? calculated.programOf(endpoint, direction, family)
        : calculated.hostProgramOf(endpoint, LISTS[stage.stage] ?? 'normal', direction, family);
    const actual = program && printIr(evalProgram(program, packet, calculated.memberOf(family)));
    return actual === text
      ? []
      : [`${where(expected)}\n${nameStage(stage)}: ${actual}, not ${text}`];
  });
}

/** Stages of a host endpoint that have lists of their own. */
const LISTS: Readonly<Partial<Record<StageName, HostList>>> = {
  'untracked-in': 'untracked',
  'untracked-out': 'untracked',
  'pre-dnat': 'pre-dnat',
  'forward-in': 'forward',
  'forward-out': 'forward',
};

const BEFORE_DNAT: readonly StageName[] = ['untracked-in', 'untracked-out', 'pre-dnat'];

/** `undefined` where policy is not asked. */
function printOracle({ verdict, decisive }: Decision): string | undefined {
  if (decisive.kind === 'rule')
    return `${verdict} by ${decisive.rule.policy}[${decisive.rule.index}]`;
  const { reason, tier, selectedBy } = decisive;
  if (reason === 'end-of-tier') return `${verdict} by end of ${tier ?? ''}`;
  if (reason === 'no-profile') return `${verdict} by no profile`;
  // What is undecided falls off the end of a program that has no profiles.
  if (reason === 'undecided') return 'deny by no profile';
  // The calculation stands a denying rule in for it.
  return reason === 'missing-profile' ? `${verdict} by ${selectedBy.join('')}[0]` : undefined;
}

function printIr({ verdict, by }: IrDecision): string {
  if (by.kind === 'rule') return `${verdict} by ${by.rule.policy}[${by.rule.index}]`;
  return `${verdict} by ${by.kind === 'end-of-tier' ? `end of ${by.tier}` : 'no profile'}`;
}
