/** What a step of a soak is, and what steps are made of. */
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { World } from '../../compiler/oracle/world.ts';
import { arbitraryHostResources } from '../support/arbitrary.ts';
import { keyOf, objectsOf, onTheWay } from './model.ts';
import type { Changes, Model, Written } from './model.ts';
import type { Rig } from './rig.ts';

export interface Step {
  /** As it is printed. */
  readonly title: string;
  /** What is so when it has settled. */
  readonly after: Model;
  /** What may be in force on the way, besides before and after; `undefined` = anything, so nothing is watched. */
  readonly between: readonly World[] | undefined;
  /** Wires are cut: what is allowed may not arrive for a moment. */
  readonly hasCuts?: boolean;
  /** An interface whose packets are not watched. */
  readonly unwatched?: string;
  run(rig: Rig): Promise<void>;
}

/** A kind of step: how often it comes, and what it can be now; `undefined` = nothing. */
export interface StepKind {
  readonly weight: number;
  /**
   * May come right before or after others, while those are still under way. `once`: what the sources say changes, and of a second change it would
   * not be certain which versions anybody has seen.
   */
  readonly storm?: 'often' | 'once';
  readonly of: (model: Model) => Arbitrary<Step> | undefined;
}

/** Above this many objects more go than come: where there are too many policies nothing is allowed. */
const MANY = 30;

/** Some objects that come, change or go. */
export function arbitraryChanges(model: Model): Arbitrary<Changes> {
  const coming = arbitraryHostResources
    .chain((all) => fc.shuffledSubarray([...all], { minLength: 1, maxLength: 3 }))
    .map((all) => objectsOf(all, model.isKube))
    .map((all) => new Map(all.map((object) => [keyOf(object), { object, isReadable: true }])));
  const going = arbitraryKeys(model, 4).map((keys) => new Map(keys.map((key) => [key, undefined])));
  const spoilt = arbitraryKeys(model, 2).map(
    (keys) => new Map(keys.map((key, index) => [key, spoil(model, key, index)])),
  );
  const more = model.written.size > MANY ? 1 : 5;
  return fc
    .oneof(
      { weight: more, arbitrary: coming },
      { weight: 3, arbitrary: going },
      { weight: 2, arbitrary: spoilt },
    )
    .filter((changes) => changes.size > 0);
}

function arbitraryKeys(model: Model, maxLength: number): Arbitrary<string[]> {
  // The last object would leave nothing to apply.
  return fc.shuffledSubarray([...model.written.keys()].slice(1), { minLength: 1, maxLength });
}

/** As a typing error does: in the file, or in what the object governs. */
function spoil({ isKube, written }: Model, key: string, index: number): Written | undefined {
  const object = written.get(key)?.object;
  if (object === undefined) return undefined;
  const isPolicy = String(object['kind']).endsWith('NetworkPolicy');
  if (!isPolicy && isKube) return { object, isReadable: true };
  if (!isKube && (!isPolicy || index === 0)) return { object, isReadable: false };
  const spec = { ...(object['spec'] as object), selector: 'has(' };
  return { object: { ...object, spec }, isReadable: true };
}

export function printChanges(changes: Changes): string {
  return [...changes]
    .map(([key, change]) => {
      if (change === undefined) return `-${key}`;
      const spec = change.object['spec'] as { readonly selector?: string } | undefined;
      const isSpoilt = !change.isReadable || spec?.selector === 'has(';
      return `${isSpoilt ? '!' : '+'}${key}`;
    })
    .join(' ');
}

/** Worlds on the way to the changes, whether the agent knows of before or has just started. */
export function onTheWayAnew(model: Model, changes: Changes, fresh: Model): readonly World[] {
  return [...onTheWay(model, changes), ...onTheWay(fresh, changes)];
}
