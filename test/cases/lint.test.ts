/**
 * `picket lint -o json` over test/cases/lint, all files in one run. A comment `# expect error spec.x, warning spec.y` on a line names
 * what must be reported there. Errors are expected completely; of warnings there may be more, about what the files say together.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import test from 'ava';
import { picket } from '../support/cli.ts';

const FOLDER = join(import.meta.dirname, 'lint');

interface Reported {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  readonly line: number;
  readonly path: string;
}

/** `9 error spec.policyTypes[1]`. */
function expectationsOf(file: string): readonly string[] {
  const lines = readFileSync(join(FOLDER, file), 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    const listed = /# expect (.*)$/.exec(line)?.[1] ?? '';
    return listed === '' ? [] : listed.split(', ').map((text) => `${index + 1} ${text}`);
  });
}

let run: Promise<readonly Reported[]> | undefined;

/** Lints once for all tests. */
function lint(): Promise<readonly Reported[]> {
  run ??= picket(['lint', '--manifests', FOLDER, '-o', 'json']).then(({ stdout }) => {
    const report = JSON.parse(stdout) as { readonly issues: readonly Reported[] };
    return report.issues;
  });
  return run;
}

function isError(text: string): boolean {
  return / error /.test(text);
}

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'))) {
  test(file, async (t) => {
    const issues = (await lint()).filter((issue) => basename(issue.file) === file);
    const reported = [...new Set(issues.map((one) => `${one.line} ${one.severity} ${one.path}`))];
    const expected = [...new Set(expectationsOf(file))];
    t.deepEqual(reported.filter(isError).toSorted(), expected.filter(isError).toSorted());
    t.deepEqual(
      expected.filter((text) => !reported.includes(text)),
      [],
      reported.join('\n'),
    );
  });
}
