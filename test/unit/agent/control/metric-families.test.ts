import test from 'ava';
import { agentFamilies } from '../../../../agent/control/metric-families.ts';
import { printMetrics } from '../../../../agent/obs/metrics.ts';
import { fakeAgent } from '../../../support/agent-view.ts';

test('events on objects that were not sent are counted where there is an API', (t) => {
  const agent = fakeAgent(() => 5_000);
  const told = (): string[] =>
    printMetrics(agentFamilies(agent, 6_000))
      .split('\n')
      .filter((line) => line.startsWith('picket_object_events_dropped_total'));
  t.deepEqual(told(), []);
  agent.state.objectEvents = { dropped: 3 };
  t.deepEqual(told(), ['picket_object_events_dropped_total 3']);
});
