/** Families made from what there is at the time of the scrape: the agent's state, rules with their counters, the flow log's counts. */
import { ruleCounter } from '../../compiler/nft/lower-chain.ts';
import type { Counters } from '../dataplane/counters.ts';
import type { FlowLogCounts } from '../flowlog/flow-log.ts';
import { byLabel, single } from '../obs/metrics.ts';
import type { Family, Sample } from '../obs/metrics.ts';
import type { AgentView } from './agent-view.ts';
import { stateOf } from './status.ts';

/** Rules that are exposed one by one, where that is wanted. */
const MAX_RULES = 5_000;

export function agentFamilies(agent: AgentView, nowMs: number): Family[] {
  return [
    ...stateFamilies(agent),
    ...sizeFamilies(agent),
    ...sourceFamilies(agent, nowMs),
    ...objectEventFamilies(agent),
  ];
}

function stateFamilies(agent: AgentView): Family[] {
  const { engine, state } = agent;
  const findings = engine.store.findings();
  const count = (severity: string): number =>
    findings.filter((finding) => finding.severity === severity).length;
  return [
    gauge(
      'picket_in_sync',
      '1 when the kernel has everything that the sources say.',
      stateOf(agent) === 'in-sync' ? 1 : 0,
    ),
    gauge(
      'picket_panic_open',
      '1 while nothing is enforced because of picket panic-open.',
      state.panicOpenSinceMs === undefined ? 0 : 1,
    ),
    gauge(
      'picket_quarantined_objects',
      'Refused by the kernel and enforced fail closed.',
      engine.compiler.refused.size,
    ),
    gauge(
      'picket_stale_objects',
      'Objects whose newest version is invalid and not in force.',
      engine.store.stale().length,
    ),
    byLabel('picket_findings', 'gauge', 'What is wrong with objects.', 'severity', [
      ['error', count('error')],
      ['warning', count('warning')],
    ]),
  ];
}

function sizeFamilies({ engine }: AgentView): Family[] {
  const { table } = engine;
  const sets = [...table.sets.desired.keys()];
  return [
    gauge('picket_endpoints', 'Workloads governed on this node.', engine.endpoints().length),
    gauge('picket_host_endpoints', 'Host endpoints here.', engine.hostEndpoints().length),
    gauge(
      'picket_policies',
      'Policies that govern something on this node.',
      engine.policies().filter(({ id }) => !id.startsWith('pro/')).length,
    ),
    gauge('picket_sets', 'Sets in the table.', sets.length),
    gauge(
      'picket_set_elements',
      'Elements of all sets.',
      sets.reduce((sum, name) => sum + table.sizeOf(name), 0),
    ),
    gauge('picket_chains', 'Chains in the table.', table.chains.desired.size),
  ];
}

function sourceFamilies({ state }: AgentView, nowMs: number): Family[] {
  const family = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    value: (source: (typeof state.sources)[number]) => number,
  ): Family => {
    const values = state.sources.map((source) => [source.name, value(source)] as const);
    return byLabel(`picket_source_${name}`, type, help, 'source', values);
  };
  const age = ({ lastBatchMs }: (typeof state.sources)[number]): number =>
    (nowMs - (lastBatchMs ?? state.startedMs)) / 1000;
  return [
    family('synced', 'gauge', '1 when it is complete.', ({ isSynced }) => Number(isSynced)),
    family('age_seconds', 'gauge', 'Since it last said something, or since the start.', age),
    family('events_total', 'counter', 'Objects and changes taken.', ({ events }) => events),
    family('issues', 'gauge', 'What is wrong with it now.', ({ issues }) => issues.length),
  ];
}

function objectEventFamilies({ state: { objectEvents } }: AgentView): Family[] {
  if (objectEvents === undefined) return [];
  const help =
    'Events on objects of the API that were not sent: too many, or the server took none.';
  return [single('picket_object_events_dropped_total', 'counter', help, objectEvents.dropped)];
}

/** Rules in the order of their policies' ids, so that a limit always leaves out the same ones. */
export function ruleFamilies({ engine }: AgentView, values: Counters): Family[] {
  const packets: Sample[] = [];
  const bytes: Sample[] = [];
  let omitted = 0;
  for (const policy of engine.policies().sort((a, b) => (a.id < b.id ? -1 : 1))) {
    for (const direction of ['ingress', 'egress'] as const) {
      const actions = new Map(policy[direction].map(({ rule }) => [rule.index, rule.action]));
      for (const [index, action] of actions) {
        const value = values.get(ruleCounter(policy.id, direction, index).name);
        if (value === undefined) continue;
        if (packets.length >= MAX_RULES) {
          omitted++;
          continue;
        }
        const labels = { policy: policy.id, direction, rule: String(index), action };
        packets.push({ labels, value: value.packets });
        bytes.push({ labels, value: value.bytes });
      }
    }
  }
  return [
    ruleFamily('packets', packets),
    ruleFamily('bytes', bytes),
    single(
      'picket_policy_rules_omitted',
      'gauge',
      `Rules without series of their own: more than ${MAX_RULES} are in force.`,
      omitted,
    ),
  ];
}

export function flowLogFamilies(counts: FlowLogCounts | undefined): Family[] {
  if (counts === undefined) return [];
  const outputs = Object.entries(counts.outputs);
  return [
    logTotal('packets', 'Packets that the kernel logged and we received.', counts.received),
    logTotal('packets_lost', 'Packets that the kernel logged and we lost.', counts.lost),
    logTotal('packets_dropped', 'Packets of flows for which there was no room.', counts.dropped),
    logTotal('packets_suppressed', 'Packets that a rate limit did not log.', counts.suppressed),
    logTotal('records', 'Flow records made.', counts.records),
    byLabel(
      'picket_log_records_written_total',
      'counter',
      'Flow records written, by output.',
      'output',
      outputs.map(([name, { written }]) => [name, written] as const),
    ),
    byLabel(
      'picket_log_records_lost_total',
      'counter',
      'Flow records lost, by output.',
      'output',
      outputs.map(([name, { lost }]) => [name, lost] as const),
    ),
  ];
}

function gauge(name: string, help: string, value: number): Family {
  return single(name, 'gauge', help, value);
}

function logTotal(name: string, help: string, value: number): Family {
  return single(`picket_log_${name}_total`, 'counter', help, value);
}

function ruleFamily(unit: string, samples: readonly Sample[]): Family {
  return {
    name: `picket_policy_rule_${unit}_total`,
    help: `${unit === 'packets' ? 'Packets' : 'Bytes'} of new connections that a policy rule matched.`,
    type: 'counter',
    samples,
  };
}
