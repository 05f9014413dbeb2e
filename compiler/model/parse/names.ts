/** Which texts are names, label keys and label values. Source: specification section 1.0.5 and Kubernetes' validation rules. */
import { type Cursor, fail, readString, requirePresent, show } from './reader.ts';

const LABEL = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const DNS_LABEL = new RegExp(`^${LABEL}$`);
const DNS_SUBDOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const QUALIFIED = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** Longest object name. */
const MAX_NAME = 253;

export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && DNS_LABEL.test(text);
}

export function isDnsSubdomain(text: string): boolean {
  return text.length <= MAX_NAME && DNS_SUBDOMAIN.test(text);
}

/** `[prefix/]name`. */
export function isLabelKey(text: string): boolean {
  const slash = text.indexOf('/');
  const name = text.slice(slash + 1);
  if (slash >= 0 && !isDnsSubdomain(text.slice(0, slash))) return false;
  return name.length <= 63 && QUALIFIED.test(name);
}

export function isLabelValue(text: string): boolean {
  return text === '' || (text.length <= 63 && QUALIFIED.test(text));
}

/** The name in a field that refers to another object; undefined when absent, empty or bad. */
export function readName(at: Cursor): string | undefined {
  const text = readString(at, MAX_NAME);
  if (text === undefined || text === '') return undefined;
  if (isDnsSubdomain(text)) return text;
  return fail(
    at,
    'bad-name',
    `${show(text)} is not a name: lower-case letters, digits, "-" and "."`,
  );
}

/** Like `readName`, but absent and empty are errors, too. */
export function readRequiredName(at: Cursor, what: string): string | undefined {
  if (at.value === '') return fail(at, 'missing', `${what} is empty`);
  return requirePresent(at, what) ? readName(at) : undefined;
}
