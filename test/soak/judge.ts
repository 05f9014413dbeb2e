/**
 * Random packets of all kinds through the kernel, and what the oracle says of them. Comes in: worlds; goes out: packets that fared otherwise, each
 * with the reason why it should not have. Two ways: everything once, with answers; and the same few packets again and again while something happens.
 */
import { setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import { explainFlow } from '../../compiler/oracle/explain.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { translate } from '../support/dnat.ts';
import type { Fabric, Probe } from '../support/fabric.ts';
import { decide, decideReply, describeFlow } from '../support/host-answers.ts';
import type { Answer } from '../support/host-answers.ts';
import { arbitraryHostFlows, probeOf, translationsOf } from '../support/host-flows.ts';
import type { HostFlow } from '../support/host-flows.ts';

export interface Wrong {
  readonly flow: HostFlow;
  readonly isOpen: boolean;
  /** It answers another one, so that its fate depends on that one's too. */
  readonly isReply: boolean;
  readonly text: string;
}

/** About 40 flows, the same for the same seed. */
export function flowsOf(seed: number): readonly HostFlow[] {
  return fc.sample(fc.noBias(arbitraryHostFlows), { seed, numRuns: 1 })[0] ?? [];
}

/** New connections, then answers to them. Answers only where all else is as it should be. */
export async function judge(
  fabric: Fabric,
  inForce: World,
  flows: readonly HostFlow[],
): Promise<readonly Wrong[]> {
  await translate(fabric.router, translationsOf(flows));
  await fabric.forgetConnections();
  const answers = flows.map((flow) => decide(inForce, flow));
  const wrong = await compare(fabric, answers, false);
  if (wrong.length > 0) return wrong;
  return compare(
    fabric,
    answers.flatMap((answer) => decideReply(inForce, answer)),
    true,
  );
}

async function compare(
  fabric: Fabric,
  answers: readonly Answer[],
  isReply: boolean,
): Promise<readonly Wrong[]> {
  const arrived = await fabric.probe(answers.map(({ flow, arriving }) => probeOf(flow, arriving)));
  return answers.flatMap(({ flow, decision }, index) => {
    const isThere = arrived[index] === true;
    if ((decision.verdict === 'allow') === isThere) return [];
    const how = isThere ? 'arrived' : 'did not arrive';
    const what = `${isReply ? 'answer ' : ''}${describeFlow(flow)}`;
    const text = `${what} ${how}, but:\n${explainFlow(decision)}`;
    return [{ flow, isOpen: isThere, isReply, text }];
  });
}

/** Whether every one of the worlds denies it. */
export function isAlwaysDenied(worlds: readonly World[], flow: HostFlow): boolean {
  return worlds.every((each) => decide(each, flow).decision.verdict !== 'allow');
}

/**
 * Sends what every world denies, and what every world allows, without a pause. `finish` ends it and says what fared otherwise meanwhile. What the host
 * sends to itself is left out: to connection tracking its second packet may answer the first.
 */
export class Watch {
  readonly #fabric: Fabric;
  readonly #rows: readonly {
    readonly probe: Probe;
    readonly isAllowed: boolean;
    readonly flow: HostFlow;
  }[];
  readonly #wrong = new Map<HostFlow, Wrong>();
  readonly #done: Promise<void>;
  #isOver = false;
  rounds = 0;

  constructor(
    fabric: Fabric,
    worlds: readonly World[],
    flows: readonly HostFlow[],
    hasCuts: boolean,
  ) {
    this.#fabric = fabric;
    const rows = flows
      .filter(
        ({ before, from, to }) =>
          before === undefined && (from.kind !== 'host' || to.kind !== 'host'),
      )
      .map((flow) => {
        const verdicts = new Set(
          worlds.map((each) => decide(each, flow).decision.verdict === 'allow'),
        );
        return {
          flow,
          probe: probeOf(flow, flow),
          isAllowed: verdicts.has(true),
          isSame: verdicts.size === 1,
        };
      });
    this.#rows = rows.filter(({ isSame, isAllowed }) => isSame && !(hasCuts && isAllowed));
    this.#done = this.#run(hasCuts);
  }

  async finish(): Promise<readonly Wrong[]> {
    this.#isOver = true;
    await this.#done;
    return [...this.#wrong.values()];
  }

  async #run(hasCuts: boolean): Promise<void> {
    await this.#fabric.forgetConnections();
    do {
      const arrived = await this.#fabric
        .probe(this.#rows.map(({ probe }) => probe))
        .catch((error: unknown) => {
          // A wire that is gone cannot send.
          if (hasCuts && String(error).includes('netprobe')) return [];
          throw error;
        });
      for (const [index, { flow, isAllowed }] of this.#rows.entries()) {
        if (arrived[index] === undefined || arrived[index] === isAllowed) continue;
        const how = isAllowed
          ? 'did not arrive for a moment, always allowed'
          : 'arrived for a moment, never allowed';
        this.#wrong.set(flow, {
          flow,
          isOpen: !isAllowed,
          isReply: false,
          text: `${describeFlow(flow)} ${how}`,
        });
      }
      this.rounds++;
      await delay(2);
    } while (!this.#isOver);
  }
}
