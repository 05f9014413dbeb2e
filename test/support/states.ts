/**
 * State lists after felix's calc_graph_fv_test.go: a world is a list of states, a state is everything that exists. Expanders make other lists
 * and other ways to get from state to state; all must end in the same table. Comes in: worlds. Goes out: steps for an engine.
 */
import type { RawEvent } from '../../agent/watch/event.ts';
import { keyOf, put } from './raw-events.ts';

/** All objects that exist at one time. */
export type State = readonly object[];

export interface World {
  readonly name: string;
  readonly states: readonly State[];
}

/** Events that are taken together, and the state that they lead to. */
export interface Step {
  readonly events: readonly RawEvent[];
  readonly state: State;
}

/** From state to state by what differs. */
export function stepsOf(states: readonly State[]): Step[] {
  return states.map((state, index) => ({ events: diff(states[index - 1] ?? [], state), state }));
}

function diff(before: State, after: State): RawEvent[] {
  const had = new Map(before.map((object) => [keyOf(object), JSON.stringify(object)]));
  const has = new Set(after.map(keyOf));
  const gone = [...had.keys()].filter((key) => !has.has(key));
  return [
    ...gone.map((key): RawEvent => ({ op: 'delete', key })),
    ...after.filter((object) => had.get(keyOf(object)) !== JSON.stringify(object)).map(put),
  ];
}

type Expander = (states: readonly State[]) => readonly Step[];

/** Ways through a world. The last step always leads to one of its states. */
export const EXPANDERS: Readonly<Record<string, Expander>> = {
  plain: stepsOf,
  reverse: (states) => stepsOf(states.toReversed()),
  'there and back': (states) => stepsOf([...states, ...states.toReversed()]),
  'insert empty': (states) => stepsOf(states.flatMap((state) => [[], state])),
  duplicate: (states) =>
    stepsOf(states).flatMap((step) => [step, { ...step, events: step.state.map(put) }]),
  squash: (states) => {
    const steps = stepsOf(states);
    const last = steps.at(-1);
    return last === undefined ? [] : [{ ...last, events: steps.flatMap(({ events }) => events) }];
  },
  'split, removals last': (states) =>
    stepsOf(states).map(({ events, state }) => ({ state, events: events.toReversed() })),
  ...Object.fromEntries(
    [1, 2, 3, 4].map((seed): [string, Expander] => [
      `random order ${seed}`,
      (states) => {
        const random = randomFrom(seed);
        return stepsOf(states).map(({ events, state }) => ({
          state,
          events: shuffle(events, random),
        }));
      },
    ]),
  ),
};

/** A small generator with a seed (mulberry32); 0 <= value < 1. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
