/** `picket test`: unit tests for policies. From manifests: no kernel, no root. */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { describeErrno } from '../errors.ts';
import { check } from '../explain/check.ts';
import { PRINTERS } from '../explain/results.ts';
import type { ResultFormat } from '../explain/results.ts';
import { readTestFile } from '../explain/test-file.ts';
import type { PlacedExpectation } from '../explain/test-file.ts';
import { CommandError, EXIT } from './exit.ts';
import { configOption, manifestsOption } from './options.ts';
import { hasErrors, printIssues, printLine } from './report.ts';
import { judgeOption, liveOption, loadScene } from './scene.ts';
import type { SceneFlags } from './scene.ts';

interface TestOptions extends SceneFlags {
  readonly format: ResultFormat;
}

export function testCommand(): Command {
  return new Command('test')
    .summary('hold policies to expectations, without a kernel')
    .description(
      'Judges every connection that the files expect something of, as picket explain does, and says which ones are\n' +
        'not as expected and why. For the CI of people who write policies. Needs neither root nor a kernel.',
    )
    .argument('<files...>', 'YAML files of expectations')
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(judgeOption())
    .addOption(liveOption())
    .addOption(
      new Option('-f, --format <format>', 'human, or tap or junit for programs')
        .choices(Object.keys(PRINTERS))
        .default('human'),
    )
    .addHelpText(
      'after',
      `
A file:
  tests:
    - allow shop/web -> shop/db tcp/5432
    - deny 203.0.113.9 -> shop/web tcp/22 by gnp/deny-ssh ingress[0]
    - deny shop/web -> host icmp by end of tier default
    - deny 203.0.113.9@eth1 -> host tcp/80 by no-profile
    - allow 203.0.113.9 -> shop/web tcp/8080 via 192.0.2.1:30080
    - { expect: allow, from: shop/web, to: shop/api, port: tcp/8080, by: np/shop/api }

Ends and ports are as for picket explain. With names, every IP family that both ends have must be as expected. "by" names
what decides (for allow, at either end): a policy, one rule of it, a profile (pro/kns.NAMESPACE), "end of tier NAME", or
a reason that picket explain prints.

Example:
  picket test tests/*.yaml --manifests policies --format junit > results.xml

Exit codes: 0 all as expected; 3 one is not; 4 all are, but a manifest is invalid and governed fail closed; 1 failed;
2 usage, also for malformed files, and then nothing is judged.`,
    )
    .action(async (files: readonly string[], options: TestOptions) => {
      process.exitCode = await test(files, options);
    });
}

async function test(files: readonly string[], options: TestOptions): Promise<number> {
  const expectations = readExpectations(files);
  const { scene, issues } = await loadScene(options);
  printIssues(issues, 'text');
  const results = expectations.map((expectation) => check(scene, expectation));
  for (const line of PRINTERS[options.format](results)) printLine(line);
  if (results.some(({ outcome }) => outcome !== 'passed')) return EXIT.denied;
  return hasErrors(issues) ? EXIT.degraded : EXIT.good;
}

/** Of all files, or a CommandError that lists everything that is malformed in any of them. */
function readExpectations(files: readonly string[]): readonly PlacedExpectation[] {
  const read = files.map((file) => readTestFile(file, readText(file)));
  const problems = read.flatMap((each) => each.problems);
  if (problems.length > 0) {
    throw new CommandError(
      `malformed tests, nothing is judged:\n${problems.join('\n')}`,
      EXIT.usage,
    );
  }
  return read.flatMap((each) => each.expectations);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    const why = errno === undefined ? String(error) : describeErrno(-errno);
    throw new CommandError(`reading ${file}: ${why}`, EXIT.usage, { cause: error });
  }
}
