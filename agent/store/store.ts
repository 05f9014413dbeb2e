/**
 * Current objects by key. Comes in: raw events. Goes out: accepted resources and everything that was found wrong with them. An object that
 * turns unusable keeps its last accepted version; one that never was usable governs nothing, and readiness says so (design section 8).
 */
import type { Resource } from '../../compiler/model/cluster.ts';
import { printPath } from '../../compiler/model/issue.ts';
import type { Issue, Path } from '../../compiler/model/issue.ts';
import { parseResource } from '../../compiler/model/parse/resource.ts';
import type { ParseContext } from '../../compiler/model/parse/resource.ts';
import type { Origin, RawEvent } from '../watch/event.ts';
import { objectKey } from '../watch/source.ts';
import { Shared } from './shared.ts';

/** An issue with its place, ready to print. */
export interface Finding {
  readonly severity: Issue['severity'];
  readonly code: string;
  /** File or API resource. */
  readonly source: string;
  readonly line: number | undefined;
  /** `<group>/<kind>/<namespace>/<name>`, '' where unknown. */
  readonly object: string;
  readonly path: string;
  readonly got: unknown;
  readonly message: string;
}

export type StoreChange =
  | { readonly op: 'put'; readonly key: string; readonly resource: Resource }
  | { readonly op: 'delete'; readonly key: string };

interface Entry {
  /** Last accepted version. */
  readonly resource: Resource | undefined;
  /** Of the newest version, accepted or not. */
  readonly findings: readonly Finding[];
  readonly isStale: boolean;
  /** Of the newest version. */
  readonly origin: Origin;
}

const NONE: readonly Finding[] = [];

const PASSING = new Set<Resource['kind']>(['WorkloadEndpoint', 'Service', 'ServiceEndpoints']);

export class Store {
  readonly #context: ParseContext;
  readonly #entries = new Map<string, Entry>();
  readonly #shared = new Shared();
  /** Last accepted versions of another store, of objects that nobody has told us of yet. */
  readonly #inherited: Map<string, Resource>;

  #policyVersion = 0;

  /** `inherited`: what `kept` said of the store before, so that an object that is refused now as it was then stays in force. */
  constructor(context: ParseContext, inherited: ReadonlyMap<string, Resource> = new Map()) {
    this.#context = context;
    this.#inherited = new Map(inherited);
  }

  /** Another number after every change of anything but workloads and services, which come and go by themselves. */
  get policyVersion(): number {
    return this.#policyVersion;
  }

  /** Takes one event; `change` is what the calculation has to hear, `findings` what is new to report. */
  take(event: RawEvent): { change: StoreChange | undefined; findings: readonly Finding[] } {
    const before = this.#entries.get(event.key);
    const inherited = this.#inherited.get(event.key);
    this.#inherited.delete(event.key);
    if (event.op === 'delete') {
      this.#noteKind(before?.resource);
      this.#entries.delete(event.key);
      const change = before?.resource === undefined ? undefined : event;
      return { change, findings: [] };
    }
    const { value: parsed, issues } = parseResource(event.object, this.#context);
    const value = parsed && this.#shared.share(parsed, before?.resource);
    const findings = issues.length === 0 ? NONE : issues.map((issue) => locate(issue, event));
    const isRefused = value === undefined && issues.some((issue) => issue.severity === 'error');
    const kept = isRefused ? (before?.resource ?? inherited) : value;
    const { origin } = event;
    this.#entries.set(event.key, { resource: kept, findings, isStale: isRefused, origin });
    if (isRefused && inherited === undefined) return { change: undefined, findings };
    this.#noteKind(kept ?? before?.resource);
    if (kept !== undefined) {
      return { change: { op: 'put', key: event.key, resource: kept }, findings };
    }
    const wasThere = before?.resource !== undefined;
    return { change: wasThere ? { op: 'delete', key: event.key } : undefined, findings };
  }

  #noteKind(resource: Resource | undefined): void {
    if (resource !== undefined && !PASSING.has(resource.kind)) this.#policyVersion++;
  }

  /** Keys of objects whose newest version is not the one in force. */
  stale(): string[] {
    return [...this.#entries].filter(([, entry]) => entry.isStale).map(([key]) => key);
  }

  /** Accepted versions that the sources would not tell again, for the store that comes after this one. */
  kept(): ReadonlyMap<string, Resource> {
    const kept = new Map(this.#inherited);
    for (const [key, { isStale, resource }] of this.#entries) {
      if (isStale && resource !== undefined) kept.set(key, resource);
    }
    return kept;
  }

  /** Every object there is has been told of: what is still inherited is of objects that are gone. */
  forgetInherited(): void {
    this.#inherited.clear();
  }

  /** The accepted version that is in force; `undefined` = none ever was, or there is no such object. */
  resource(key: string): Resource | undefined {
    return this.#entries.get(key)?.resource;
  }

  findings(): Finding[] {
    return [...this.#entries.values()].flatMap((entry) => entry.findings);
  }

  /** Where a value of an object stands; `undefined` for an object that is not there. */
  locate(
    key: string,
    path: Path,
  ): { readonly source: string; readonly line: number | undefined } | undefined {
    const origin = this.#entries.get(key)?.origin;
    return origin && { source: origin.source, line: origin.lineOf(path) };
  }

  resources(): [string, Resource][] {
    return [...this.#entries].flatMap(([key, { resource }]): [string, Resource][] =>
      resource === undefined ? [] : [[key, resource]],
    );
  }
}

function locate(issue: Issue, event: RawEvent & { op: 'put' }): Finding {
  return {
    severity: issue.severity,
    code: issue.code,
    source: event.origin.source,
    line: event.origin.lineOf(issue.path),
    object: objectKey(event.key),
    path: printPath(issue.path),
    got: issue.got,
    message: issue.message,
  };
}
