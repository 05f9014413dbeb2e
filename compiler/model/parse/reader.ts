/**
 * A typed reader over unknown data. Comes in: a value and its path; goes out: plain typed values, and a finding for
 * everything that does not fit. A bad value reads as absent *and* reports an error, which costs the whole object unless
 * somebody attempts to read the part alone. Knows nothing of policies. Never throws.
 */
import type { Issue, Path } from '../issue.ts';
import type { IssueCode } from './issues.ts';
import { nearest, suggest } from './nearest.ts';

/** Findings of one object. `errors` counts those that nobody has attempted, listed in `issues` or not. */
export interface Sink {
  readonly issues: Issue[];
  errors: number;
  dropped: number;
}

/** A value, where it stands, and what Picket does when it is wrong (the end of every error message). */
export interface Cursor {
  readonly value: unknown;
  readonly path: Path;
  readonly sink: Sink;
  readonly effect: string;
}

/** Of each severity, so that no number of warnings hides an error; enough to mend an object. The rest is counted. */
const MAX_ISSUES = 100;

export function rootCursor(value: unknown, effect: string): Cursor {
  return { value, path: [], sink: { issues: [], errors: 0, dropped: 0 }, effect };
}

export function child(at: Cursor, key: string | number, value: unknown): Cursor {
  return { value, path: [...at.path, key], sink: at.sink, effect: at.effect };
}

/** Kubernetes reads null as absent. */
export function isAbsent(at: Cursor): boolean {
  return at.value === undefined || at.value === null;
}

/** Reports an error. `text` says what is wrong and what would be right, without final punctuation. */
export function fail(at: Cursor, code: IssueCode, text: string): undefined {
  at.sink.errors++;
  push(at, 'error', code, `${text}; ${at.effect}`);
  return undefined;
}

/** Reports something that has a clear meaning all the same. `text` says what was done about it. */
export function warn(at: Cursor, code: IssueCode, text: string): undefined {
  push(at, 'warning', code, text);
  return undefined;
}

function push(at: Cursor, severity: Issue['severity'], code: IssueCode, message: string): void {
  const { issues } = at.sink;
  const listed = issues.reduce((count, issue) => count + (issue.severity === severity ? 1 : 0), 0);
  if (listed >= MAX_ISSUES) at.sink.dropped++;
  else
    issues.push(
      Object.freeze({ severity, code, path: Object.freeze(at.path), got: at.value, message }),
    );
}

/**
 * What `read` returns, or nothing when it reported an error. Either way the error goes no further: it costs this part only, and
 * `effect` says what that means. An error that nobody attempts costs the whole object.
 */
export function attempt<T>(at: Cursor, effect: string, read: (at: Cursor) => T): T | undefined {
  const before = at.sink.errors;
  const value = read({ ...at, effect });
  const isSound = at.sink.errors === before;
  at.sink.errors = before;
  return isSound ? value : undefined;
}

/** Every entry of a list that can be read; a bad one costs only itself. */
export function readEach<T>(
  at: Cursor,
  effect: string,
  read: (entry: Cursor) => T | undefined,
): readonly T[] {
  return readList(at).flatMap((entry) => attempt(entry, effect, read) ?? []);
}

/** The value for a message: short, on one line, never the whole of something large. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  }
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/**
 * What to do about a field that is not known. `strict`: an error, for conditions, because a condition left out widens a
 * rule. `scope`: an error when it looks like a misspelt known field, else a warning. `open`: nothing, for foreign objects.
 */
export type UnknownFields = 'strict' | 'scope' | 'warn' | 'open';

/** A cursor for every known field; all absent when the object is absent or not an object. */
export function readFields<K extends string>(
  at: Cursor,
  known: readonly K[],
  unknown: UnknownFields,
): Readonly<Record<K, Cursor>> {
  const value = readObject(at) ?? {};
  if (unknown !== 'open') reportUnknownFields(at, value, known, unknown);
  const fields = Object.fromEntries(
    known.map((name) => [
      name,
      child(at, name, Object.hasOwn(value, name) ? value[name] : undefined),
    ]),
  );
  return fields as Record<K, Cursor>;
}

/** One field, looked at without any check; absent when there is no object. */
export function fieldOf(at: Cursor, name: string): Cursor {
  const { value } = at;
  return child(at, name, isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined);
}

function readObject(at: Cursor): Readonly<Record<string, unknown>> | undefined {
  if (isAbsent(at)) return undefined;
  if (isObject(at.value)) return at.value;
  return fail(at, 'not-an-object', `expected an object, found ${show(at.value)}`);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function reportUnknownFields(
  at: Cursor,
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
  unknown: Exclude<UnknownFields, 'open'>,
): void {
  for (const name of Object.keys(value)) {
    const field = child(at, name, value[name]);
    if (known.includes(name) || isAbsent(field)) continue;
    const text = `unknown field ${show(name)}${suggest(name, known)}`;
    const isMisspelt =
      nearest(
        name,
        known.filter((other) => isAbsent(fieldOf(at, other))),
      ) !== undefined;
    if (unknown === 'strict' || (unknown === 'scope' && isMisspelt))
      fail(field, 'unknown-field', text);
    else warn(field, 'unknown-field', `${text}; it is ignored`);
  }
}

/** Text of at most `max` characters; undefined when absent. */
export function readString(at: Cursor, max = 65_536): string | undefined {
  if (isAbsent(at)) return undefined;
  if (typeof at.value !== 'string') {
    return fail(at, 'not-a-string', `expected text, found ${show(at.value)}`);
  }
  if (at.value.length > max) {
    return fail(at, 'too-long', `${at.value.length} characters, at most ${max} are allowed`);
  }
  return at.value;
}

export function readNumber(at: Cursor): number | undefined {
  if (isAbsent(at)) return undefined;
  if (typeof at.value === 'number' && Number.isFinite(at.value)) return at.value;
  return fail(at, 'not-a-number', `expected a finite number, found ${show(at.value)}`);
}

export function readInteger(at: Cursor, min: number, max: number): number | undefined {
  const value = readNumber(at);
  if (value === undefined) return undefined;
  if (!Number.isInteger(value)) {
    return fail(at, 'not-an-integer', `expected a whole number, found ${value}`);
  }
  if (value >= min && value <= max) return value;
  return fail(at, 'out-of-range', `${value} is not between ${min} and ${max}`);
}

export function readBoolean(at: Cursor): boolean | undefined {
  if (isAbsent(at)) return undefined;
  if (typeof at.value === 'boolean') return at.value;
  return fail(at, 'not-a-boolean', `expected true or false, found ${show(at.value)}`);
}

/** One of the words. With `anyCase` other letter case is read as the right word, with a warning. */
export function readWord<T extends string>(
  at: Cursor,
  words: readonly T[],
  anyCase: 'any-case' | 'exact',
): T | undefined {
  const text = readString(at);
  if (text === undefined) return undefined;
  const exact = words.find((word) => word === text);
  if (exact !== undefined) return exact;
  const similar = words.find((word) => word.toLowerCase() === text.toLowerCase());
  if (similar !== undefined && anyCase === 'any-case') {
    warn(at, 'letter-case', `${show(text)} is read as ${show(similar)}, which is how it is spelt`);
    return similar;
  }
  const hint = similar ?? nearest(text, words);
  const list = words.map((word) => JSON.stringify(word)).join(', ');
  const meant = hint === undefined ? '' : ` (did you mean ${JSON.stringify(hint)}?)`;
  return fail(at, 'not-in-list', `${show(text)} is none of ${list}${meant}`);
}

/** A cursor per entry; empty when absent or bad. */
export function readList(at: Cursor, max = Number.POSITIVE_INFINITY): readonly Cursor[] {
  if (isAbsent(at)) return [];
  if (!Array.isArray(at.value)) {
    fail(at, 'not-a-list', `expected a list, found ${show(at.value)}`);
    return [];
  }
  const entries: readonly unknown[] = at.value;
  if (entries.length > max) {
    fail(at, 'too-many', `${entries.length} entries, at most ${max} are allowed`);
    return [];
  }
  return entries.map((entry, index) => child(at, index, entry));
}

/** Absent or without entries. What is no list at all is not empty. */
export function isEmptyList(at: Cursor): boolean {
  return isAbsent(at) || (Array.isArray(at.value) && at.value.length === 0);
}

/** Entries that must be there: an absent or null entry is an error, too. */
export function requirePresent(at: Cursor, what: string): boolean {
  if (!isAbsent(at)) return true;
  fail(at, 'missing', `${what} is missing`);
  return false;
}

/** Text values of at most `max` characters by key; keys keep their order. A bad value is an error and left out. */
export function readTextMap(at: Cursor, max?: number): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const [key, value] of Object.entries(readObject(at) ?? {})) {
    const field = child(at, key, value);
    const text = readString(field, max);
    if (text !== undefined) map.set(key, text);
    else if (isAbsent(field)) map.set(key, '');
  }
  return map;
}

/** The data in a JSON text, or nothing when it is none. */
export function readJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined; // JSON.parse has no other way to say no.
  }
}

/** Freezes plain data all the way down, and returns it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) deepFreeze(part);
    Object.freeze(value);
  }
  return value;
}
