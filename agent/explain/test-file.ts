/**
 * A file of policy tests. Comes in: YAML text. Goes out: expectations with their lines, or everything that is malformed, with its line.
 * Strict: a test that silently does not run is worse than none.
 */
import { LineCounter, parseAllDocuments } from 'yaml';
import type { Path } from '../../compiler/model/issue.ts';
import { suggest } from '../../compiler/model/parse/nearest.ts';
import { YAML_OPTIONS, inspectDocument } from '../watch/yaml-document.ts';
import { offsetOf } from '../watch/yaml-offset.ts';
import { EXAMPLE, readExpectation } from './expectation.ts';
import type { Expectation } from './expectation.ts';

export interface PlacedExpectation extends Expectation {
  /** As the user gave it. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
}

export interface TestFile {
  readonly expectations: readonly PlacedExpectation[];
  /** `tests.yaml:3: …`; where there is one, nothing is to be run. */
  readonly problems: readonly string[];
}

const MAX_ALIASES = 100;

const SHAPE = `expected a mapping with a list of tests, like\ntests:\n  - ${EXAMPLE}`;

export function readTestFile(file: string, text: string): TestFile {
  const lines = new LineCounter();
  const expectations: PlacedExpectation[] = [];
  const problems: string[] = [];
  const report = (offset: number, message: string): void => {
    problems.push(`${file}:${Math.max(lines.linePos(offset).line, 1)}: ${message}`);
  };
  try {
    const parsed = parseAllDocuments(text, { ...YAML_OPTIONS, lineCounter: lines });
    const documents = 'empty' in parsed ? [] : parsed;
    for (const { offset, message } of documents.flatMap(inspectDocument)) report(offset, message);
    const [document, second] = documents;
    if (second !== undefined) report(second.range[0], 'a second document; write one');
    if (problems.length > 0) return { expectations, problems };
    const root: unknown = document?.toJS({ maxAliasCount: MAX_ALIASES });
    const offset = (path: Path): number => (document === undefined ? 0 : offsetOf(document, path));
    for (const { value, path } of readTests(root, (at, message) => report(offset(at), message))) {
      const read = readExpectation(value);
      if ('wrong' in read) report(offset([...path, ...read.wrong.path]), read.wrong.message);
      else expectations.push({ ...read.value, file, line: lines.linePos(offset(path)).line });
    }
  } catch (error) {
    // The parser recurses and refuses too many aliases; what it throws at is no test file.
    problems.push(`${file}: the file cannot be parsed: ${String(error)}`);
  }
  return { expectations, problems };
}

interface Test {
  readonly value: unknown;
  readonly path: Path;
}

function readTests(root: unknown, report: (path: Path, message: string) => void): readonly Test[] {
  if (typeof root !== 'object' || root === null || Array.isArray(root)) {
    report([], SHAPE);
    return [];
  }
  for (const key of Object.keys(root)) {
    if (key !== 'tests')
      report([key], `unknown key ${JSON.stringify(key)}${suggest(key, ['tests'])}`);
  }
  const tests: unknown = 'tests' in root ? root.tests : undefined;
  if (!Array.isArray(tests) || tests.length === 0) {
    report(tests === undefined ? [] : ['tests'], SHAPE);
    return [];
  }
  return tests.map((value: unknown, index): Test => ({ value, path: ['tests', index] }));
}
