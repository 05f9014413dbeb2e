/** Results of policy tests as text: for people, as TAP 14, and as JUnit XML. Comes in: results in order; goes out: lines. */
import type { TestResult } from './check.ts';

export type ResultFormat = 'human' | 'tap' | 'junit';

type Results = readonly TestResult[];

export const PRINTERS: Readonly<Record<ResultFormat, (results: Results) => readonly string[]>> = {
  human: printHuman,
  tap: printTap,
  junit: printJunit,
};

const LABELS = { passed: 'ok   ', failed: 'FAIL ', error: 'ERROR' } as const;

function count(results: Results, outcome: TestResult['outcome']): number {
  return results.filter((result) => result.outcome === outcome).length;
}

function placeOf({ expectation: { file, line } }: TestResult): string {
  return `${file}:${line}`;
}

function printHuman(results: Results): string[] {
  const lines = results.flatMap((result) => {
    const { outcome, expectation, reason, explanation } = result;
    const head = `${LABELS[outcome]} ${expectation.text}`;
    if (outcome === 'passed') return [head];
    return [head, ...[`${placeOf(result)}: ${reason}`, ...explanation].map(deeper)];
  });
  const errors = count(results, 'error');
  const more = errors === 0 ? '' : `, ${errors} could not be asked`;
  const summary = `${count(results, 'passed')} as expected, ${count(results, 'failed')} not${more}`;
  return [...lines, summary];
}

function deeper(line: string): string {
  return line === '' ? '' : `      ${line}`;
}

/** Source: testanything.org, TAP 14 specification. */
function printTap(results: Results): string[] {
  const points = results.flatMap((result, index) => {
    const { outcome, expectation, reason, explanation } = result;
    const title = expectation.text.replaceAll(/[\\#]/g, String.raw`\$&`);
    const head = `${outcome === 'passed' ? 'ok' : 'not ok'} ${index + 1} - ${title}`;
    if (outcome === 'passed') return [head];
    const details = explanation.map((line) => (line === '' ? '' : `    ${line}`));
    return [
      head,
      '  ---',
      `  message: ${JSON.stringify(reason)}`,
      `  severity: ${outcome === 'failed' ? 'fail' : 'error'}`,
      `  at: ${JSON.stringify(placeOf(result))}`,
      ...(details.length === 0 ? [] : ['  explanation: |', ...details]),
      '  ...',
    ];
  });
  return ['TAP version 14', `1..${results.length}`, ...points];
}

/** One suite per file, as Jenkins, GitLab and GitHub's actions read it. */
function printJunit(results: Results): string[] {
  const files = [...new Set(results.map(({ expectation }) => expectation.file))];
  const suites = files.flatMap((file) => {
    const own = results.filter(({ expectation }) => expectation.file === file);
    return [
      `  <testsuite ${attributes({ name: file, ...totals(own) })}>`,
      ...own.flatMap(printCase),
      '  </testsuite>',
    ];
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${attributes({ name: 'picket test', ...totals(results) })}>`,
    ...suites,
    '</testsuites>',
  ];
}

function totals(results: Results): Readonly<Record<string, number>> {
  const [failures, errors] = [count(results, 'failed'), count(results, 'error')];
  return { tests: results.length, failures, errors };
}

function printCase({ expectation, outcome, reason, explanation }: TestResult): string[] {
  const { text, file, line } = expectation;
  const head = `    <testcase ${attributes({ classname: file, name: text, file, line })}`;
  if (outcome === 'passed') return [`${head}/>`];
  const tag = outcome === 'failed' ? 'failure' : 'error';
  const body = escapeXml([`${file}:${line}: ${reason}`, ...explanation].join('\n'));
  return [
    `${head}>`,
    `      <${tag} ${attributes({ message: reason })}>${body}</${tag}>`,
    '    </testcase>',
  ];
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${escapeXml(String(value))}"`)
    .join(' ');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Characters that XML 1.0 cannot hold become U+FFFD. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\t\n\r\u0020-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
