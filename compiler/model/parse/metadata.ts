/**
 * `metadata` of every object. Comes in: the object; goes out: name, namespace, labels, annotations and age. In Calico's v1
 * CRDs the real metadata stands as JSON in an annotation (specification section 1.0.1). Does not know kinds beyond their scope.
 */
import type { Labels } from '../cluster.ts';
import { isDnsLabel, isDnsSubdomain, isLabelKey, isLabelValue } from './names.ts';
import {
  type Cursor,
  child,
  fail,
  isAbsent,
  isObject,
  readFields,
  readJson,
  readString,
  readTextMap,
  requirePresent,
  show,
  warn,
} from './reader.ts';

export type Scope = 'namespaced' | 'cluster';

export interface Metadata {
  /** Empty for cluster scope. */
  readonly namespace: string;
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  /** Milliseconds since the epoch; 0 when unknown. */
  readonly createdMs: number;
  readonly isDeleting: boolean;
  /** Where labels stand, for findings about them. */
  readonly labelsAt: Cursor;
  readonly annotationsAt: Cursor;
  readonly nameAt: Cursor;
}

const FIELDS = [
  'name',
  'namespace',
  'labels',
  'annotations',
  'creationTimestamp',
  'deletionTimestamp',
] as const;

/** The real metadata of an object stored in a v1 CRD. */
const STORED_METADATA = 'projectcalico.org/metadata';

/** Of an object whose `metadata` is `at`. Errors mean that the object cannot be used. */
export function readMetadata(at: Cursor, scope: Scope): Metadata {
  const fields = readFields(at, FIELDS, 'open');
  const labels = readLabels(fields.labels);
  return {
    namespace: readNamespace(fields.namespace, scope),
    name: readObjectName(fields.name),
    labels,
    annotations: readAnnotations(fields.annotations),
    createdMs: readTime(fields.creationTimestamp),
    isDeleting: typeof fields.deletionTimestamp.value === 'string',
    labelsAt: fields.labels,
    annotationsAt: fields.annotations,
    nameAt: fields.name,
  };
}

/**
 * The same for an object stored in `crd.projectcalico.org/v1`. `defaultTierPrefix`: the object is a policy of tier default,
 * whose old stored name may begin with `default.`.
 */
export function readStoredMetadata(at: Cursor, scope: Scope, defaultTierPrefix: boolean): Metadata {
  const outer = readMetadata(at, scope);
  const text = outer.annotations.get(STORED_METADATA);
  const inner = text === undefined ? undefined : readInnerMetadata(outer, text);
  const name = inner?.name ?? trimTier(outer.name, defaultTierPrefix);
  if (inner === undefined) return { ...outer, name };
  return {
    ...outer,
    name,
    labels: new Map([...inner.labels, ...[...outer.labels].filter(([key]) => isKeptOutside(key))]),
    annotations: new Map([...inner.annotations, ...outer.annotations]),
  };
}

interface InnerMetadata {
  readonly name: string | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
}

function readInnerMetadata(outer: Metadata, text: string): InnerMetadata | undefined {
  const at = child(outer.annotationsAt, STORED_METADATA, text);
  const json = readJson(text);
  if (json === undefined || !isObject(json.value)) {
    return fail(at, 'annotation-invalid', 'expected the metadata as a JSON object');
  }
  const fields = readFields({ ...at, value: json.value }, FIELDS, 'open');
  const name = readString(fields.name);
  return {
    name: name === undefined || name === '' ? undefined : checkName(fields.name, name),
    labels: readLabels(fields.labels),
    annotations: readAnnotations(fields.annotations),
  };
}

function isKeptOutside(key: string): boolean {
  return key.includes('projectcalico.org/') || key.includes('operator.tigera.io/');
}

function trimTier(name: string, isDefaultTier: boolean): string {
  const prefix = 'default.';
  return isDefaultTier && name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

function readObjectName(at: Cursor): string {
  const text = readString(at);
  if (text === undefined) requirePresent(at, 'the name');
  return text === undefined ? '' : checkName(at, text);
}

function checkName(at: Cursor, text: string): string {
  if (!isDnsSubdomain(text)) {
    fail(
      at,
      'bad-name',
      `${show(text)} is not a name: at most 253 lower-case letters, digits, "-" and "."`,
    );
  }
  return text;
}

/** Assumed where a namespaced object names none, as kubectl does. */
export const DEFAULT_NAMESPACE = 'default';

function readNamespace(at: Cursor, scope: Scope): string {
  const text = readString(at) ?? '';
  if (scope === 'cluster') {
    if (text !== '')
      warn(at, 'namespace-ignored', 'this kind has no namespace; the namespace is ignored');
    return '';
  }
  if (text === '') {
    warn(at, 'namespace-default', 'no namespace is given; "default" is assumed');
    return DEFAULT_NAMESPACE;
  }
  if (!isDnsLabel(text)) {
    fail(
      at,
      'bad-name',
      `${show(text)} is not a namespace: at most 63 lower-case letters, digits and "-"`,
    );
  }
  return text;
}

function readTime(at: Cursor): number {
  if (isAbsent(at)) return 0;
  const time = typeof at.value === 'string' ? Date.parse(at.value) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  const text = `${show(at.value)} is not a time like 2030-01-31T10:00:00Z; the age is unknown`;
  warn(at, 'timestamp-invalid', text);
  return 0;
}

/** Label map of an object. Texts that Kubernetes would refuse are kept, with a warning. */
export function readLabels(at: Cursor): ReadonlyMap<string, string> {
  const labels = readTextMap(at);
  for (const [key, value] of labels) {
    const field = child(at, key, value);
    if (!isLabelKey(key))
      warn(field, 'label-invalid', `${show(key)} is not a label key; it is kept as written`);
    else if (!isLabelValue(value)) {
      warn(field, 'label-invalid', `${show(value)} is not a label value; it is kept as written`);
    }
  }
  return labels;
}

/** UTF-16 units of all keys and values; Kubernetes counts 256 KiB. */
const MAX_ANNOTATIONS = 262_144;

/** Annotations of an object. They say little about packets, so what Kubernetes would refuse is kept, with a warning. */
function readAnnotations(at: Cursor): ReadonlyMap<string, string> {
  const annotations = readTextMap(at, Number.POSITIVE_INFINITY);
  let size = 0;
  for (const [key, value] of annotations) {
    size += key.length + value.length;
    if (isLabelKey(key.toLowerCase())) continue;
    warn(
      child(at, key, value),
      'annotation-key',
      `${show(key)} is not an annotation key; it is kept as written`,
    );
  }
  if (size > MAX_ANNOTATIONS) {
    warn(
      at,
      'annotations-too-long',
      `${size} characters of annotations, at most ${MAX_ANNOTATIONS} are allowed`,
    );
  }
  return annotations;
}

/** A record that inherits nothing, so that a label called `constructor` is a label like any other. */
export function toLabels(entries: Iterable<readonly [string, string]>): Labels {
  // Not by Object.create(null): V8 keeps such objects as hash tables, which take four times the memory.
  return Object.setPrototypeOf(Object.fromEntries(entries), null) as Labels;
}
