/**
 * The objects in force as lines of JSON, so that whoever asks can judge by them without the agent's time. Comes in: the store; goes out: rows.
 * And back: rows; out: what questions need of a store.
 *
 * A row with an `end` says that it was complete: an agent that stops in the middle would else look like one that knows less.
 */
import type { Resource } from '../../compiler/model/cluster.ts';
import type { Path } from '../../compiler/model/issue.ts';
import type { Direction } from '../../compiler/model/policy.ts';
import type { HostInterface, OracleConfig } from '../../compiler/oracle/world.ts';
import type { Store } from '../store/store.ts';

export const OBJECTS_PATH = '/v1/objects';

type Lines = Readonly<Record<Direction, readonly (number | undefined)[]>>;

interface ObjectRow {
  readonly key: string;
  /** With big integers as `{"$bigint": "…"}`. */
  readonly resource: unknown;
  readonly source: string | undefined;
  /** Of the rules, where it has some. */
  readonly lines: Lines | undefined;
}

/** How the agent is set up to judge; the first row. */
export interface Judging {
  readonly node: string;
  readonly oracle: OracleConfig;
  /** Of the node, as the agent sees them. */
  readonly interfaces: readonly HostInterface[];
}

/** What is in force, as of now, made row by row. */
export function* objectRows(store: Store, judging: Judging): Generator {
  const resources = store.resources();
  yield toPlain(judging);
  for (const [key, resource] of resources) {
    const source = store.locate(key, [])?.source;
    const lines = linesOf(store, key, resource);
    yield { key, resource: toPlain(resource), source, lines } satisfies ObjectRow;
  }
  yield { end: resources.length };
}

function linesOf(store: Store, key: string, resource: Resource): Lines | undefined {
  if (resource.kind !== 'Policy' && resource.kind !== 'Profile') return undefined;
  const of = (direction: Direction): (number | undefined)[] => {
    const length = Math.max(-1, ...resource[direction].map(({ index }) => index)) + 1;
    return Array.from({ length }, (_, index) => {
      return store.locate(key, ['spec', direction, index])?.line;
    });
  };
  return { ingress: of('ingress'), egress: of('egress') };
}

/** A copy that JSON can say. */
function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return { $bigint: value.toString() };
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, toPlain(each)]));
}

function fromPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (typeof value !== 'object' || value === null) return value;
  const { $bigint } = value as { readonly $bigint?: unknown };
  if (typeof $bigint === 'string') return BigInt($bigint);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, fromPlain(each)]));
}

/** What a scene is made from. */
export type Objects = Pick<Store, 'resources' | 'locate'>;

export interface RunningObjects extends Judging {
  readonly objects: Objects;
}

/** `undefined` for rows that do not end: the agent stopped in between. Rows are those of an agent of this version. */
export function readObjects(rows: readonly unknown[]): RunningObjects | undefined {
  const last = rows.at(-1) as { readonly end?: unknown } | undefined;
  if (rows.length < 2 || last?.end !== rows.length - 2) return undefined;
  const judging = fromPlain(rows[0]) as Judging;
  return { ...judging, objects: objectsOf(rows.slice(1, -1) as ObjectRow[]) };
}

function objectsOf(rows: readonly ObjectRow[]): Objects {
  const byKey = new Map(rows.map((row) => [row.key, row]));
  return {
    resources: () =>
      [...byKey].map(([key, { resource }]): [string, Resource] => [
        key,
        fromPlain(resource) as Resource,
      ]),
    locate: (key, path) => {
      const row = byKey.get(key);
      return row?.source === undefined
        ? undefined
        : { source: row.source, line: lineOf(row, path) };
    },
  };
}

function lineOf({ lines }: ObjectRow, [, direction, index]: Path): number | undefined {
  if ((direction !== 'ingress' && direction !== 'egress') || typeof index !== 'number') {
    return undefined;
  }
  return lines?.[direction][index] ?? undefined;
}
