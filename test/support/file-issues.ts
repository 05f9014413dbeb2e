/** What is wrong with files, as one line each. */
import type { FileIssue } from '../../agent/watch/file-set.ts';

/** `dir/a.yaml:3:5: error: message`. */
export function printFileIssue({ file, line, column, severity, message }: FileIssue): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return `${place}: ${severity}: ${message}`;
}
