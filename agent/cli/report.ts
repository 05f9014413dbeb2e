/** What commands print: findings as `file:line: severity: path: message`, reports as one line or one JSON object. */
import { plainLine, plainText } from '../obs/plain-text.ts';
import type { Finding } from '../store/store.ts';
import type { FileIssue } from '../watch/file-set.ts';
import type { OutputFormat } from './options.ts';

/** A finding about an object, or about a file as a whole. */
export interface ReportedIssue {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  readonly line: number | undefined;
  readonly object: string | undefined;
  readonly path: string | undefined;
  readonly got: unknown;
  readonly code: string | undefined;
  readonly message: string;
}

export function fromFinding(finding: Finding): ReportedIssue {
  const { severity, line, object, path, got, code, message } = finding;
  return { severity, file: finding.source, line, object, path, got, code, message };
}

export function fromFileIssue({ severity, file, line, message }: FileIssue): ReportedIssue {
  const nothing = { object: undefined, path: undefined, got: undefined, code: undefined };
  return { severity, file, line, message, ...nothing };
}

export function hasErrors(issues: readonly ReportedIssue[]): boolean {
  return issues.some(({ severity }) => severity === 'error');
}

/** `policies/web.yaml:12: error: spec.ingress[0].action: …`. */
export function printIssue({ severity, file, line, path, message }: ReportedIssue): string {
  const place = line === undefined ? file : `${file}:${line}`;
  return plainLine(`${place}: ${severity}: ${path ? `${path}: ` : ''}${message}`);
}

/** Issues go to standard error as text, or are part of the JSON that `printJson` writes. */
export function printIssues(issues: readonly ReportedIssue[], output: OutputFormat): void {
  if (output === 'json') return;
  for (const issue of issues) process.stderr.write(`${printIssue(issue)}\n`);
}

export function printLine(text: string): void {
  process.stdout.write(`${plainText(text)}\n`);
}

export function printJson(value: unknown): void {
  printLine(JSON.stringify(value, jsonSafe, 2));
}

/** Big integers as strings, maps and sets as objects and lists. */
function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value;
}
