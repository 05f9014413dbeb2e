/**
 * Any manifest object to a value of the model. Comes in: decoded YAML or JSON of unknown shape; goes out: a frozen value, and
 * every finding with its path. Never throws. A result without value and without error says that the object is as good as
 * absent; without value but with an error, that the last accepted version stays.
 */
import type { Resource } from '../cluster.ts';
import type { Checked, Issue } from '../issue.ts';
import { KIND_NAMES, type KindRow, KINDS_BY_VERSION, STORED_CALICO } from './kinds.ts';
import { DEFAULT_NAMESPACE, type Metadata, readMetadata, readStoredMetadata } from './metadata.ts';
import { suggest } from './nearest.ts';
import { LOG_ALLOWED } from './well-known.ts';
import type { PodContext } from './endpoint-parts.ts';
import {
  type Cursor,
  attempt,
  child,
  deepFreeze,
  fail,
  fieldOf,
  isObject,
  readFields,
  readString,
  requirePresent,
  rootCursor,
  show,
  warn,
} from './reader.ts';

/** What the agent knows that changes the meaning of objects. */
export type ParseContext = PodContext;

/**
 * `object` as decoded, one resource and no List (see list.ts). Value and findings are frozen; `got` in a finding is the input
 * itself. Names are those of `metadata`; two stored objects may read as the same policy.
 */
export function parseResource(object: unknown, context: ParseContext): Checked<Resource> {
  const root = rootCursor(object, '');
  const value = attempt(root, LAST_VERSION_STAYS, (at) => readResource(at, context));
  const { issues, dropped } = root.sink;
  if (dropped > 0) issues.push(moreIssues(object, dropped));
  return Object.freeze({ value: deepFreeze(value), issues: Object.freeze(issues) });
}

const LAST_VERSION_STAYS =
  'the last accepted version of this object stays in force, and without one it governs nothing';

function moreIssues(object: unknown, dropped: number): Issue {
  const message = `${dropped} more findings are not listed`;
  return Object.freeze({
    severity: 'warning',
    code: 'more-issues',
    path: [],
    got: object,
    message,
  });
}

function readResource(root: Cursor, context: ParseContext): Resource | undefined {
  if (!isObject(root.value)) {
    return fail(root, 'not-an-object', `expected an object, found ${show(root.value)}`);
  }
  const row = findKind(root, readIdentity(root));
  if (row === undefined) return undefined;
  if (row.isStrict) readFields(root, TOP_FIELDS, 'scope');
  const meta = readMeta(root, row);
  const value = row.parse({ root, spec: fieldOf(root, 'spec'), meta, context });
  return value && withLogAllowed(value, meta);
}

function withLogAllowed(value: Resource, { annotations, annotationsAt }: Metadata): Resource {
  const text = annotations.get(LOG_ALLOWED);
  if (text === undefined || (value.kind !== 'Policy' && value.kind !== 'Profile')) return value;
  if (text !== 'true' && text !== 'false') {
    const at = child(annotationsAt, LOG_ALLOWED, text);
    warn(at, 'annotation-invalid', `${show(text)} is neither "true" nor "false"; it is ignored`);
  }
  return text === 'true' ? { ...value, logAllowed: true } : value;
}

const TOP_FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status'] as const;

interface Identity {
  readonly apiVersion: string;
  readonly kind: string;
}

function readIdentity(root: Cursor): Identity {
  const [version, kind] = [fieldOf(root, 'apiVersion'), fieldOf(root, 'kind')];
  for (const at of [version, kind]) {
    if (at.value === '') fail(at, 'missing', 'apiVersion and kind must not be empty');
  }
  requirePresent(version, 'apiVersion');
  requirePresent(kind, 'kind');
  return { apiVersion: readString(version) ?? '', kind: readString(kind) ?? '' };
}

function findKind(root: Cursor, { apiVersion, kind }: Identity): KindRow | undefined {
  if (apiVersion === '' || kind === '') return undefined;
  const row = KINDS_BY_VERSION.get(apiVersion)?.get(kind);
  if (row !== undefined) return row;
  if (isListKind(kind)) {
    return fail(root, 'list-invalid', 'a List must have items, and not lie too deep in others');
  }
  const versions = [...KINDS_BY_VERSION].filter(([, kinds]) => kinds.has(kind)).map(([v]) => v);
  const at = fieldOf(root, versions.length > 0 ? 'apiVersion' : 'kind');
  if (versions.length > 0) {
    const text = `${kind} is read as ${versions.join(', ')}, not as ${show(apiVersion)}`;
    return fail(at, 'unsupported-version', text);
  }
  return warn(
    at,
    'unknown-kind',
    `objects of kind ${show(kind)} are not used${suggest(kind, KIND_NAMES)}`,
  );
}

function readMeta(root: Cursor, row: KindRow): Metadata {
  const at = fieldOf(root, 'metadata');
  requirePresent(at, 'metadata');
  if (fieldOf(root, 'apiVersion').value !== STORED_CALICO) return readMetadata(at, row.scope);
  const tier = fieldOf(fieldOf(root, 'spec'), 'tier').value;
  const isDefaultTier = row.isPolicy && DEFAULT_TIERS.includes(tier);
  return readStoredMetadata(at, row.scope, isDefaultTier);
}

/** As written, or not. */
const DEFAULT_TIERS: readonly unknown[] = [undefined, null, '', 'default'];

function isListKind(kind: string): boolean {
  return kind === 'List' || KIND_NAMES.some((name) => kind === `${name}List`);
}

/** `<group>/<kind>/<namespace>/<name>`; empty group for core objects, empty namespace for cluster scope. */
export function resourceKey(object: unknown): { readonly key: string } | { readonly issue: Issue } {
  const root = rootCursor(object, 'the object is not used');
  const key = readKey(root);
  const issue = root.sink.issues.find(({ severity }) => severity === 'error');
  return issue === undefined ? { key } : { issue };
}

function readKey(root: Cursor): string {
  if (!isObject(root.value)) {
    fail(root, 'not-an-object', `expected an object, found ${show(root.value)}`);
    return '';
  }
  const { apiVersion, kind } = readIdentity(root);
  const metadata = fieldOf(root, 'metadata');
  const [namespaceAt, nameAt] = [fieldOf(metadata, 'namespace'), fieldOf(metadata, 'name')];
  requirePresent(nameAt, 'metadata.name');
  const name = readString(nameAt) ?? '';
  const scope = KINDS_BY_VERSION.get(apiVersion)?.get(kind)?.scope;
  const given = scope === 'cluster' ? '' : (readString(namespaceAt) ?? '');
  const namespace = scope === 'namespaced' && given === '' ? DEFAULT_NAMESPACE : given;
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  for (const [at, part] of [
    [nameAt, name],
    [namespaceAt, namespace],
    [fieldOf(root, 'kind'), kind],
  ] as const) {
    if (part.includes('/')) fail(at, 'bad-name', `${show(part)} contains "/"`);
  }
  if (name === '') fail(nameAt, 'bad-name', 'the name is empty');
  return `${group}/${kind}/${namespace}/${name}`;
}
