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

test('many changes return memory once, and later ones again; garbage of the start is collected before', async (t) => {
  const events = new EventEmitter<AgentEvents>();
  const done: string[] = [];
  const trimMemory = (): number => done.push('trim');
  returnMemory(events, { trimMemory }, () => void done.push('collect'), 1);
  await delay(5);
  t.deepEqual(done, [], 'nothing was applied');
  for (const expected of [
    ['collect', 'trim'],
    ['collect', 'trim', 'trim'],
  ]) {
    for (let change = 0; change < 10; change++) events.emit('applied', APPLIED);
    await until('it is returned', () => done.length >= expected.length);
    await delay(5);
    t.deepEqual(done, expected);
  }
});
