/** Output is a function of current state: whatever the order of events, what is desired and what is in the kernel are the same bytes. */
import test from 'ava';
import { FakeDataplane } from '../../agent/dataplane/fake.ts';
import type { Engine } from '../../agent/engine/engine.ts';
import type { RawEvent } from '../../agent/watch/event.ts';
import { printTable } from '../../compiler/nft/print-table.ts';
import type { NftOp } from '../../compiler/nft/program.ts';
import { openEngine, put } from '../support/raw-events.ts';
import { EXPANDERS, stepsOf } from '../support/states.ts';
import type { State, Step } from '../support/states.ts';
import { printKernelTable } from '../support/table-text.ts';
import { WORLDS } from './worlds.ts';

class Node {
  readonly fake: FakeDataplane;
  readonly engine: Engine;

  constructor(fake = new FakeDataplane()) {
    this.fake = fake;
    this.engine = openEngine(fake);
  }

  /** Throws on an object that is not accepted: a state list with a typing error proves nothing. */
  take(events: readonly RawEvent[]): void {
    const errors = this.engine.take(events).filter(({ severity }) => severity === 'error');
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '));
  }

  async describe(): Promise<string> {
    const { table } = this.engine;
    const counters = [...table.counters.desired.keys()].sort();
    const kernel = printKernelTable(await this.fake.dump());
    return [printTable(table), 'counters', ...counters, 'kernel', kernel].join('\n');
  }
}

/** When events are calculated and when the kernel hears of them. */
const CADENCES: Readonly<Record<string, (node: Node, step: Step) => Promise<void>>> = {
  'apply after every event': async (node, { events }) => {
    for (const event of events) {
      node.take([event]);
      await node.engine.apply();
    }
  },
  'apply after every state': async (node, { events }) => {
    node.take(events);
    await node.engine.apply();
  },
  'calculate after every event': (node, { events }) => {
    for (const event of events) {
      node.take([event]);
      node.engine.compile();
    }
    return Promise.resolve();
  },
  'apply at the end': (node, { events }) => {
    node.take(events);
    return Promise.resolve();
  },
};

/** A node that never knew anything but this state. */
async function build(state: State): Promise<Node> {
  const node = new Node();
  node.take(state.map(put));
  await node.engine.apply();
  return node;
}

for (const world of WORLDS) {
  for (const [expander, expand] of Object.entries(EXPANDERS)) {
    test(`${world.name}: ${expander}`, async (t) => {
      const steps = expand(world.states);
      for (const [cadence, run] of Object.entries(CADENCES)) {
        const node = new Node();
        for (const step of steps) await run(node, step);
        await node.engine.apply();
        const fresh = await build(steps.at(-1)?.state ?? []);
        t.is(await node.describe(), await fresh.describe(), cadence);
        t.is(node.fake.dumps, 2, 'one dump at the start, one by this test');
      }
    });
  }

  test(`${world.name}: every state on the way`, async (t) => {
    const node = new Node();
    for (const { events, state } of stepsOf([...world.states, ...world.states.toReversed()])) {
      node.take(events);
      await node.engine.apply();
      t.is(await node.describe(), await (await build(state)).describe());
    }
  });

  test(`${world.name}: a restart in any state sends what a running agent would send`, async (t) => {
    for (const before of world.states) {
      for (const after of world.states) {
        const [running, stopped] = [await build(before), await build(before)];
        const events = stepsOf([before, after])[1]?.events ?? [];
        running.take(events);
        await running.engine.apply();
        const restarted = new Node(stopped.fake);
        restarted.take(after.map(put));
        await restarted.engine.apply();
        t.is(await restarted.describe(), await running.describe());
        t.deepEqual(sentSince(restarted, 1), sentSince(running, 1));
      }
    }
  });
}

/** Operations after the first `count` transactions, sorted. */
function sentSince(node: Node, count: number): string[] {
  return node.fake.transactions.slice(count).flat().flatMap(printOp).sort();
}

function printOp(op: NftOp): string[] {
  switch (op.op) {
    case 'add-elements':
    case 'delete-elements':
      return op.elements.map((element) => `${op.op} ${op.set.name} ${element.key.join(' ')}`);
    case 'add-set':
      return [`${op.op} ${op.set.name}`];
    case 'add-chain':
      return [`${op.op} ${op.chain.name}`];
    case 'add-rule':
      return [`${op.op} ${op.chain}`];
    case 'add-counter':
      return [`${op.op} ${op.counter.name}`];
    case 'delete-set':
    case 'delete-chain':
    case 'flush-chain':
    case 'delete-counter':
      return [`${op.op} ${op.name}`];
    case 'add-table':
    case 'delete-table':
      return [op.op];
  }
}
