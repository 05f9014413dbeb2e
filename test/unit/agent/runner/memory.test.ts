import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import type { AgentEvents } from '../../../../agent/runner/agent.ts';
import { returnMemory } from '../../../../agent/runner/memory.ts';
import { until } from '../../../support/cli.ts';

const APPLIED: AgentEvents['applied'][0] = {
  report: { operations: {}, transactions: 1, quarantined: [], released: [], more: false },
  startedMs: 0,
  endedMs: 0,
};

test('many changes return memory once, and later ones again', async (t) => {
  const events = new EventEmitter<AgentEvents>();
  let count = 0;
  const trimMemory = (): number => ++count;
  returnMemory(events, { trimMemory }, 1);
  await delay(5);
  t.is(count, 0, 'nothing was applied');
  for (const expected of [1, 2]) {
    for (let change = 0; change < 10; change++) events.emit('applied', APPLIED);
    await until('it is returned', () => count >= expected);
    await delay(5);
    t.is(count, expected);
  }
});
