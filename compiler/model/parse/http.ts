/**
 * HTTP conditions of a rule. The kernel cannot check them, so a rule that has one is never used; this file only says so, and
 * says what the API would refuse besides. Source: specification sections 1.14 and 4.5, appendix B.
 */
import type { Action, Direction } from '../policy.ts';
import { type Cursor, fail, isAbsent, readFields, readList, readString, show } from './reader.ts';

/** Entries of `methods` and of `paths`. */
const MAX_ENTRIES = 20;

const MAX_PATH = 1024;

/** As the API lets it be written; it does not know other letter case. */
const TCP: readonly unknown[] = [6, '6', 'TCP'];

/** Reports an error for every condition, at least one. */
export function refuseHttp(
  at: Cursor,
  action: Action,
  direction: Direction,
  protocol: Cursor,
): void {
  if (isAbsent(at)) return;
  fail(at, 'http-unsupported', 'HTTP conditions cannot be checked in the kernel, remove http');
  if (!isAbsent(protocol) && !TCP.includes(protocol.value)) {
    fail(protocol, 'http-invalid', 'rules with HTTP match must have protocol TCP or unset');
  }
  if (action !== 'allow') fail(at, 'http-invalid', 'HTTP match is only valid on Allow rules');
  if (direction === 'egress') fail(at, 'http-invalid', 'HTTP match is not valid in egress rules');
  const fields = readFields(at, ['methods', 'paths', 'headers'], 'strict');
  checkMethods(fields.methods);
  for (const path of readList(fields.paths, MAX_ENTRIES)) checkPath(path);
}

function checkMethods(at: Cursor): void {
  const methods = readList(at, MAX_ENTRIES).map((entry) => readString(entry));
  if (new Set(methods).size < methods.length)
    fail(at, 'duplicate', 'a method stands twice in the list');
}

function checkPath(at: Cursor): void {
  const { exact, prefix } = readFields(at, ['exact', 'prefix'], 'strict');
  if (isAbsent(exact) === isAbsent(prefix)) {
    fail(at, 'http-invalid', 'a path must have exactly one of exact and prefix');
  }
  for (const part of [exact, prefix]) {
    const text = readString(part, MAX_PATH);
    if (text !== undefined && !/^\/[^ ?#]*$/.test(text)) {
      fail(
        part,
        'http-invalid',
        `${show(text)} must begin with "/" and not contain blank, "?" or "#"`,
      );
    }
  }
}
