/**
 * The bytes of one manifest file to the objects in it. Comes in: bytes. Goes out: objects with their keys and a way back to
 * lines, or what makes the file unreadable. Never throws. Knows no kind: what an object means is for compiler/model.
 */
import { LineCounter, parseAllDocuments } from 'yaml';
import type { Document } from 'yaml';
import type { Path } from '../../compiler/model/issue.ts';
import { expandList } from '../../compiler/model/parse/list.ts';
import { resourceKey } from '../../compiler/model/parse/resource.ts';
import { YAML_OPTIONS, inspectDocument } from './yaml-document.ts';
import { offsetOf } from './yaml-offset.ts';

/** Larger files are refused: 8 MiB. */
export const MAX_FILE_BYTES = 8 * 1024 * 1024;

/** Findings listed per file; the rest is counted. */
const MAX_ISSUES = 20;

/** How often one anchor may be used, counting uses of anchors that use it. Stops files that grow exponentially when read. */
const MAX_ALIASES = 1000;

export interface ManifestObject {
  /** `<group>/<kind>/<namespace>/<name>`. */
  readonly key: string;
  readonly object: unknown;
  /** 1-based line of the value at `path` inside the object, or of its nearest existing ancestor. */
  lineOf(path: Path): number;
}

export interface ManifestIssue {
  readonly severity: 'error' | 'warning';
  /** 1-based; `undefined` when the file as a whole is meant. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly message: string;
}

export interface Manifest {
  /** The text itself is in order, so objects without an issue may be used. Else `objects` is empty. */
  readonly isReadable: boolean;
  readonly objects: readonly ManifestObject[];
  readonly issues: readonly ManifestIssue[];
}

/** YAML with any number of documents, or JSON. Empty documents are skipped, lists are expanded. */
export function readManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > MAX_FILE_BYTES) {
    return unreadable(`the file is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB`);
  }
  if (bytes.includes(0)) return unreadable('the file is binary: it contains a NUL byte');
  const text = decode(bytes);
  if (text === undefined) return unreadable('the file is not valid UTF-8');
  try {
    return readText(text);
  } catch (error) {
    return unreadable(`the file cannot be parsed: ${whyNotParsed(error)}`);
  }
}

/** The parser recurses, and counts what aliases stand for; what is beyond either limit is no manifest. */
function whyNotParsed(error: unknown): string {
  if (error instanceof RangeError) return 'it is nested too deeply';
  if (error instanceof ReferenceError) return `its aliases stand for too much (${error.message})`;
  return String(error);
}

/** A file of which nothing can be used. */
export function unreadable(message: string): Manifest {
  const issue = { severity: 'error', line: undefined, column: undefined, message } as const;
  return { isReadable: false, objects: [], issues: [issue] };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

interface Parsed {
  readonly documents: readonly Document.Parsed[];
  readonly lines: LineCounter;
}

function parse(text: string): Parsed {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { ...YAML_OPTIONS, merge: true, lineCounter: lines });
  return { documents: 'empty' in documents ? [] : documents, lines };
}

function readText(text: string): Manifest {
  const parsed = parse(text);
  const syntax = parsed.documents.flatMap((document) =>
    inspectDocument(document).map(({ offset, ...rest }) => ({ ...rest, ...place(parsed, offset) })),
  );
  if (syntax.some(({ severity }) => severity === 'error')) {
    return { isReadable: false, objects: [], issues: limited(syntax) };
  }
  const lineOf = lineFinder(text, parsed);
  const objects: ManifestObject[] = [];
  const issues: ManifestIssue[] = [...syntax];
  for (const [index, document] of parsed.documents.entries()) {
    const root: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    if (root === null || root === undefined) continue;
    for (const { object, path } of expandList(root)) {
      const lineIn = (inner: Path): number => lineOf(index, [...path, ...inner]).line;
      const result = resourceKey(object);
      if ('key' in result) objects.push({ key: result.key, object, lineOf: lineIn });
      else {
        const { severity, message } = result.issue;
        const at = lineOf(index, [...path, ...result.issue.path]);
        issues.push({ severity, message, ...at });
      }
    }
  }
  return { isReadable: true, objects, issues: limited(issues) };
}

interface Place {
  readonly line: number;
  readonly column: number;
}

function place({ lines }: Parsed, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** Syntax trees are ten times larger than the text, so only the text is kept, and parsed again when somebody asks. */
function lineFinder(text: string, first: Parsed): (document: number, path: Path) => Place {
  let cache = new WeakRef(first);
  return (index, path) => {
    let parsed = cache.deref();
    if (parsed === undefined) {
      parsed = parse(text);
      cache = new WeakRef(parsed);
    }
    const document = parsed.documents[index];
    return place(parsed, document === undefined ? 0 : offsetOf(document, path));
  };
}

function limited(issues: readonly ManifestIssue[]): readonly ManifestIssue[] {
  if (issues.length <= MAX_ISSUES) return issues;
  const rest = issues.slice(MAX_ISSUES);
  const severity = rest.some((issue) => issue.severity === 'error') ? 'error' : 'warning';
  const message = `${rest.length} more findings in this file`;
  return [
    ...issues.slice(0, MAX_ISSUES),
    { severity, line: undefined, column: undefined, message },
  ];
}
