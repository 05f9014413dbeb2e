/**
 * Types that a configuration key can have. Comes in: a decoded YAML value, or a variable's text. Goes out: the checked value, or what is
 * wrong and what would be right. Knows no key.
 */
import { printCidr, toCidr } from '../../compiler/model/ip.ts';
import type { Cidr } from '../../compiler/model/ip.ts';
import type { Path } from '../../compiler/model/issue.ts';
import { suggest } from '../../compiler/model/parse/nearest.ts';
import { DURATION_FORM, printDuration, toDurationMs } from './duration.ts';

/** `path` is inside the value: the index of a bad list entry. */
export interface WrongValue {
  readonly path: Path;
  readonly got: unknown;
  readonly message: string;
}

export type ReadValue<T> = { readonly value: T } | { readonly wrong: WrongValue };

export interface ValueType<T> {
  /** What is right, for people: `true or false`. */
  readonly expected: string;
  read(value: unknown): ReadValue<T>;
  /** The YAML value that an environment variable's text stands for; unchanged where it stands for none. */
  fromText(text: string): unknown;
  /** As YAML, one line. */
  print(value: T): string;
}

function wrong(got: unknown, message: string, path: Path = []): { readonly wrong: WrongValue } {
  return { wrong: { path, got, message: `${show(got)} is not right: ${message}` } };
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Any text of one line. */
export function text(expected: string): ValueType<string> {
  return {
    expected,
    read: (value) =>
      typeof value === 'string' && !/\p{Cc}/u.test(value)
        ? { value }
        : wrong(value, `write ${expected}`),
    fromText: (raw) => raw,
    print: (value) => JSON.stringify(value),
  };
}

/** Text that has a form; `form` in words is `expected`. */
export function pattern(form: RegExp, expected: string): ValueType<string> {
  return {
    ...text(expected),
    read: (value) =>
      typeof value === 'string' && form.test(value) ? { value } : wrong(value, `write ${expected}`),
  };
}

export const FLAG: ValueType<boolean> = {
  expected: 'true or false',
  read: (value) =>
    typeof value === 'boolean' ? { value } : wrong(value, 'write true or false, without quotes'),
  fromText: (raw) => ({ true: true, false: false })[raw] ?? raw,
  print: String,
};

/** A whole number, both ends included. */
export function integer(first: number, last: number): ValueType<number> {
  const expected = `a whole number from ${first} to ${last}`;
  return {
    expected,
    read: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= first && value <= last
        ? { value }
        : wrong(value, `write ${expected}, without quotes`),
    fromText: (raw) => (/^-?\d{1,15}$/.test(raw) ? Number(raw) : raw),
    print: String,
  };
}

/** Milliseconds; 0, which is written as the empty text, = off. */
export const DURATION: ValueType<number> = {
  expected: `${DURATION_FORM}; empty: off`,
  read(value) {
    const ms = value === '' ? 0 : typeof value === 'string' ? toDurationMs(value) : undefined;
    return ms === undefined ? wrong(value, `write ${DURATION.expected}`) : { value: ms };
  },
  fromText: (raw) => raw,
  print: (value) => JSON.stringify(value === 0 ? '' : printDuration(value)),
};

/** One of these words, spelled exactly so. */
export function word<const W extends string>(...words: readonly W[]): ValueType<W> {
  const expected = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  return {
    expected,
    read(value) {
      const found = words.find((each) => each === value);
      if (found !== undefined) return { value: found };
      const hint = typeof value === 'string' ? suggest(value, words) : '';
      return wrong(value, `write ${expected}${hint}`);
    },
    fromText: (raw) => raw,
    print: (value) => value,
  };
}

/** In an environment variable: separated by commas; `[]` is the empty list. */
export function list<T>(entry: ValueType<T>): ValueType<readonly T[]> {
  const expected = `a list, each entry ${entry.expected}`;
  return {
    expected,
    read(value) {
      if (!Array.isArray(value)) return wrong(value, `write ${expected}`);
      const values: T[] = [];
      for (const [index, each] of (value as readonly unknown[]).entries()) {
        const read = entry.read(each);
        if ('wrong' in read) return { wrong: { ...read.wrong, path: [index, ...read.wrong.path] } };
        values.push(read.value);
      }
      return { value: values };
    },
    fromText: (raw) =>
      raw.trim() === '[]' ? [] : raw.split(',').map((part) => entry.fromText(part.trim())),
    print: (values) => `[${values.map((value) => entry.print(value)).join(', ')}]`,
  };
}

/** An address prefix without host bits. */
export const PREFIX: ValueType<Cidr> = {
  expected: 'a prefix like 10.96.0.0/12 or fd00:96::/112',
  read(value) {
    const cidr = typeof value === 'string' && value.includes('/') ? toCidr(value) : undefined;
    if (cidr === undefined) return wrong(value, `write ${PREFIX.expected}`);
    const canonical = toCidr(String(value).replace(/\/.*/, ''));
    return canonical?.value === cidr.value
      ? { value: cidr }
      : wrong(value, `it has host bits set; write ${printCidr(cidr)}`);
  },
  fromText: (raw) => raw,
  print: (value) => JSON.stringify(printCidr(value)),
};
