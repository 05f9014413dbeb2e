/**
 * A soak: one host, one seed, so many rounds. In each something happens to the host, and then the kernel has to be where the oracle says, the tables of
 * others as they were, and the agent well. A seed makes the same steps each time; the moments at which they hit are the machine's.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readdirSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { arbitraryHostResources } from '../support/arbitrary.ts';
import { until } from '../support/cli.ts';
import { Watch, flowsOf, isAlwaysDenied, judge } from './judge.ts';
import type { Wrong } from './judge.ts';
import { KUBE_STEPS } from './kube-steps.ts';
import { objectsOf, startModel } from './model.ts';
import type { Model } from './model.ts';
import { Rig, untilInSync } from './rig.ts';
import type { Step, StepKind } from './step.ts';
import { STEPS } from './steps.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly isKube: boolean;
  /** Where it is kept what is wanted to find a failure. */
  readonly keepIn?: string;
  readonly print: (line: string) => void;
  /** Ends it after the round that is under way. */
  readonly signal?: AbortSignal;
}

/** Generous: only a soak that fails takes as long. */
const SETTLE_MS = 90_000;
/** Samples of packets that have to fare as they should, one after the other. */
const SAMPLES = 2;
/** What an agent with a small world may have; it has about 110. */
const MAX_RESIDENT_MIB = 300;

/** Throws with everything that is known when something is not as it should be. */
export async function soak(options: SoakOptions): Promise<void> {
  const { seed, rounds, isKube, print, keepIn } = options;
  await Rig.with(isKube, async (rig) => {
    let model = firstModel(seed, isKube);
    let title = 'start';
    try {
      await rig.change(model.written);
      rig.start();
      await new Round(rig, model, mix(seed, 0)).settle(undefined);
      for (let round = 1; round <= rounds && options.signal?.aborted !== true; round++) {
        const step = roundOf(model, mix(seed, round));
        title = `${round} ${step.title}`;
        print(`seed ${seed}: ${title}`);
        await new Round(rig, model, mix(seed, -round)).run(step);
        model = step.after;
      }
      title = 'end';
      await checkLeftovers(rig);
    } catch (error) {
      if (keepIn !== undefined) await rig.keep(keepIn, model);
      const where = keepIn === undefined ? '' : `; see ${keepIn}`;
      const replay = `npm run soak -- --seed ${seed} --rounds ${rounds}${isKube ? ' --kube' : ''}`;
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(`seed ${seed}, ${title}: ${text}\nagain: ${replay}${where}`, {
        cause: error,
      });
    }
  });
}

/** The same for the same seed; neighbouring seeds have nothing in common. */
function mix(seed: number, round: number): number {
  let hash = Math.imul(seed, 0x9e37_79b1) ^ Math.imul(round, 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 16), 0x045d_9f3b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}

function sample<T>(arbitrary: fc.Arbitrary<T>, seed: number): T {
  const [value] = fc.sample(fc.noBias(arbitrary), { seed, numRuns: 1 });
  return value as T;
}

function firstModel(seed: number, isKube: boolean): Model {
  const resources = sample(arbitraryHostResources, mix(seed, 0));
  return startModel(objectsOf(resources, isKube), isKube);
}

/** Every fourth time several at once. */
function roundOf(model: Model, seed: number): Step {
  const [isStorm, length] = sample(fc.tuple(fc.nat(3), fc.integer({ min: 2, max: 4 })), seed);
  if (isStorm > 0 || !model.isRunning) return stepOf(model, seed, () => true);
  const steps: Step[] = [];
  let [last, hasChanged] = [model, false];
  for (let at = 0; at < length; at++) {
    const step = stepOf(
      last,
      mix(seed, at),
      ({ storm }) => storm === 'often' || (storm === 'once' && !hasChanged),
    );
    hasChanged ||= step.after.written !== last.written;
    steps.push(step);
    last = step.after;
  }
  return {
    title: `at once: ${steps.map(({ title }) => title).join('; ')}`,
    after: last,
    between: undefined,
    run: async (rig) => {
      for (const step of steps) await step.run(rig);
    },
  };
}

function stepOf(model: Model, seed: number, isWanted: (kind: StepKind) => boolean): Step {
  const kinds: [string, StepKind][] = Object.entries({
    ...STEPS,
    ...(model.isKube ? KUBE_STEPS : {}),
  });
  const possible = kinds.flatMap(([name, kind]) => {
    const arbitrary = isWanted(kind) ? kind.of(model) : undefined;
    const named = arbitrary?.map((step): Step => ({
      ...step,
      title: `${name} ${step.title}`.trim(),
    }));
    return named === undefined ? [] : [{ weight: kind.weight, arbitrary: named }];
  });
  return sample(fc.oneof(...possible), seed);
}

class Round {
  readonly #rig: Rig;
  readonly #before: Model;
  readonly #seed: number;

  constructor(rig: Rig, before: Model, seed: number) {
    this.#rig = rig;
    this.#before = before;
    this.#seed = seed;
  }

  async run(step: Step): Promise<void> {
    const { fabric } = this.#rig;
    const worlds = step.between && [this.#before.inForce, step.after.inForce, ...step.between];
    const watched = flowsOf(this.#seed).filter((flow) => !touches(flow, step.unwatched));
    const foreign = await this.#foreignTables(this.#before);
    const watch = worlds && new Watch(fabric, worlds, watched, step.hasCuts === true);
    try {
      await step.run(this.#rig);
      // A moment longer: what follows a step follows at once.
      await delay(30);
    } finally {
      complain((await watch?.finish()) ?? []);
    }
    await new Round(this.#rig, step.after, this.#seed).settle(worlds);
    const after = await this.#foreignTables(step.after);
    for (const [name, text] of after) {
      const was = foreign.get(name);
      if (was !== undefined && was !== text)
        throw new Error(`table ${name} was changed:\n${was}\nnow:\n${text}`);
    }
  }

  /** Waits until the kernel is where it should be, never more open than any of `worlds`. */
  async settle(worlds: Step['between']): Promise<void> {
    const { fabric } = this.#rig;
    const { inForce, isRunning } = this.#before;
    const end = Date.now() + SETTLE_MS;
    for (let good = 0, at = 0; good < SAMPLES; at++) {
      const wrong = await judge(fabric, inForce, flowsOf(mix(this.#seed, good)));
      if (wrong.length === 0) {
        good++;
        continue;
      }
      if (worlds)
        complain(
          wrong.filter(
            ({ flow, isOpen, isReply }) => isOpen && !isReply && isAlwaysDenied(worlds, flow),
          ),
        );
      if (!isRunning || Date.now() > end) complain(wrong);
      good = 0;
      await delay(20 + at * 5);
    }
    if (isRunning) await this.#checkAgent();
  }

  async #checkAgent(): Promise<void> {
    const rig = this.#rig;
    await untilInSync(rig, SETTLE_MS);
    const { stdout } = await rig.say([0, 4], 'status', '-o', 'json');
    const { refused } = JSON.parse(stdout) as { refused: { total: number } };
    if (refused.total > 0) throw new Error(`refused by the kernel: ${stdout}`);
    const mib = rig.residentMib();
    if (mib > MAX_RESIDENT_MIB) throw new Error(`the agent has ${mib} MiB`);
    const unknown = rig.log.find(
      ({ verdict, rule }) => verdict === 'unknown' && rule !== undefined,
    );
    if (unknown !== undefined)
      throw new Error(`a rule that nobody knows: ${JSON.stringify(unknown)}`);
  }

  async #foreignTables({ foreign }: Model): Promise<ReadonlyMap<string, string>> {
    const tables = [...foreign].map(async (name): Promise<[string, string]> => [
      name,
      await this.#rig.nft('-s', `list table ${name}`),
    ]);
    return new Map(await Promise.all(tables));
  }
}

function touches(
  { from, to, arrivesBy }: ReturnType<typeof flowsOf>[number],
  name: string | undefined,
): boolean {
  const ends = [from, to].flatMap((end) => (end.kind === 'outside' ? [end.interface] : []));
  return name !== undefined && [...ends, arrivesBy].includes(name);
}

function complain(wrong: readonly Wrong[]): void {
  if (wrong.length === 0) return;
  const kinds = new Set(wrong.map(({ isOpen }) => (isOpen ? 'FAIL-OPEN' : 'fail-closed')));
  throw new Error(
    `${[...kinds].join(', ')}, ${wrong.length} packets:\n${wrong
      .slice(0, 3)
      .map(({ text }) => text)
      .join('\n\n')}`,
  );
}

/** What may be left once the agent has ended. */
const LASTING = [
  /^(run|state)\/netns(\/[^/]+)?$/,
  /^run\/netns\/[^/]+\/(origin|undone)\.json$/,
  /^state\/netns\/[^/]+\/(state|host-policy)$/,
  /^run\/picket-\d+\.rules\.json$/,
  /\/filler$/,
];

async function checkLeftovers(rig: Rig): Promise<void> {
  // One that was killed leaves its socket to the next.
  const lasting = rig.isRunning ? LASTING : [...LASTING, /^run\/picket-\d+\.sock$/];
  if (rig.isRunning) await rig.stop('SIGTERM');
  await until('the guards have ended', () => rig.host.guards().length === 0);
  const files = rig.files().filter((name) => !lasting.some((pattern) => pattern.test(name)));
  if (files.length > 0) throw new Error(`left behind: ${files.join(', ')}`);
  const { path } = rig.fabric.router;
  const processes = readdirSync('/proc').filter(
    (entry) => /^\d+$/.test(entry) && commandOf(entry).includes(path),
  );
  if (processes.length > 0)
    throw new Error(`still running: ${processes.map(commandOf).join(', ')}`);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
