/**
 * What should be so on the host that a soak torments: what the sources say, what the agent has accepted of it, what is in force. Pure: a step
 * turns one model into the next, and the kernel is held to it by the oracle.
 */
import type { Resource, WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import { parseResource, resourceKey } from '../../compiler/model/parse/resource.ts';
import type { World } from '../../compiler/oracle/world.ts';
import type { ManifestObject } from '../support/api-server/object-store.ts';
import { manifestOf } from '../support/manifest-of.ts';
import { HOST_INTERFACES } from '../support/pools.ts';
import { address, world } from '../support/world.ts';
import { WIRES } from '../support/world-table.ts';

/** The newest version of an object; one that is not readable is a file of nonsense. */
export interface Written {
  readonly object: ManifestObject;
  readonly isReadable: boolean;
}

/** Key to the newest version, or `undefined` for an object that goes. */
export type Changes = ReadonlyMap<string, Written | undefined>;

/** Interface to its addresses. */
export type Addresses = Readonly<Record<string, readonly string[]>>;

export interface Model {
  readonly isKube: boolean;
  readonly written: ReadonlyMap<string, Written>;
  /** By the agent that runs. */
  readonly accepted: ReadonlyMap<string, Resource>;
  readonly addresses: Addresses;
  readonly isRunning: boolean;
  readonly inForce: World;
  /** What `picket boot` loads; `undefined` where nobody can know. */
  readonly kept: World | undefined;
  /** Tables of others by name, like `inet theirs`. */
  readonly foreign: ReadonlySet<string>;
  readonly isDiskFull: boolean;
  /** A change was undone: an agent would hold everything until policies change. */
  readonly isHeld: boolean;
}

const INITIAL_ADDRESSES: Addresses = Object.fromEntries(
  HOST_INTERFACES.map(({ name, own }) => [name, own]),
);

export function startModel(objects: readonly ManifestObject[], isKube: boolean): Model {
  const written = new Map(objects.map((object) => [keyOf(object), { object, isReadable: true }]));
  const accepted = accept(new Map(), written);
  const inForce = worldOf(accepted, INITIAL_ADDRESSES);
  return {
    isKube,
    written,
    accepted,
    addresses: INITIAL_ADDRESSES,
    isRunning: true,
    inForce,
    kept: undefined,
    foreign: new Set(),
    isDiskFull: false,
    isHeld: false,
  };
}

/** Manifests, as JSON has them: without what is undefined. Profiles are nothing that an API server stores. */
export function objectsOf(resources: readonly Resource[], isKube: boolean): ManifestObject[] {
  const objects = resources.map((each) =>
    manifestOf(each.kind === 'WorkloadEndpoint' ? atHome(each) : each),
  );
  return objects
    .filter((object) => object !== undefined)
    .filter(({ kind }) => !isKube || kind !== 'Profile')
    .map((object) => JSON.parse(JSON.stringify(object)) as ManifestObject);
}

/** Every pod has an address, and so a wire, of its own: of two on one wire the agent cannot tell whose it is. */
function atHome(endpoint: WorkloadEndpoint): WorkloadEndpoint {
  const place = PLACES.indexOf(endpoint.id);
  return { ...endpoint, addresses: [...WIRES.keys()].slice(place, place + 1).map(address) };
}

const PLACES = ['shop', 'pay'].flatMap((ns) =>
  ['web', 'web-1', 'db', 'job', 'x'].map((name) => `${ns}/${name}`),
);

export function keyOf(object: ManifestObject): string {
  const key = resourceKey(object);
  if ('issue' in key) throw new TypeError(key.issue.message);
  return key.key;
}

export function worldOf(accepted: ReadonlyMap<string, Resource>, addresses: Addresses): World {
  const lo = { name: 'lo', addresses: [], isWorkload: false };
  const interfaces = Object.entries(addresses).map(([name, own]) => ({
    name,
    addresses: own.map(address),
    isWorkload: false,
  }));
  return world([...accepted.values()], {}, [lo, ...interfaces]);
}

/** What stays of `before` where the newest version is of no use: its last accepted version (design section 8). */
export function accept(
  before: ReadonlyMap<string, Resource>,
  changes: Changes,
): ReadonlyMap<string, Resource> {
  const after = new Map(before);
  for (const [key, change] of changes) {
    if (change === undefined) after.delete(key);
    if (change?.isReadable !== true) continue;
    const { value, issues } = parseResource(change.object, {});
    if (value !== undefined) after.set(key, value);
    else if (!issues.some(({ severity }) => severity === 'error')) after.delete(key);
  }
  return after;
}

/** What an agent knows that has just started. */
export function acceptAnew({ written }: Model): ReadonlyMap<string, Resource> {
  return accept(new Map(), written);
}

/** The sources say so now; an agent that runs follows. */
export function withChanges(model: Model, changes: Changes): Model {
  const written = new Map(model.written);
  for (const [key, change] of changes) {
    if (change === undefined) written.delete(key);
    else written.set(key, change);
  }
  const next = { ...model, written };
  if (!model.isRunning) return next;
  return inSync({ ...next, accepted: accept(model.accepted, changes) });
}

/** Whoever has come in sync enforces what it has accepted, with the addresses that there are. */
export function inSync(model: Model): Model {
  return { ...model, inForce: worldOf(model.accepted, model.addresses) };
}

/** Worlds by the way: of several changes any may be in force before the others. */
export function onTheWay(model: Model, changes: Changes): readonly World[] {
  let partly: (readonly [string, Written | undefined])[][] = [[]];
  for (const change of changes) partly = partly.flatMap((some) => [some, [...some, change]]);
  return partly.map((some) => withChanges(model, new Map(some)).inForce);
}
