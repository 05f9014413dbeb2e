/**
 * The agent's metrics. Comes in: its events, its state, the kernel's counters. Goes out: families for the exposition. They live as long as the
 * process; the agents behind them change with the configuration.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import manifest from '../../package.json' with { type: 'json' };
import type { CounterReader, Counters } from '../dataplane/counters.ts';
import type { FlowLogCounts } from '../flowlog/flow-log.ts';
import { byLabel, Histogram, single } from '../obs/metrics.ts';
import type { Family } from '../obs/metrics.ts';
import type { AgentView } from './agent-view.ts';
import { DeniedTotals } from './denied-totals.ts';
import { observeDelays } from './enforcement-delay.ts';
import { agentFamilies, flowLogFamilies, ruleFamilies } from './metric-families.ts';

const DELAY_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const OPERATION_BOUNDS = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 10_000, 100_000];

/** Milliseconds between two looks at the event loop. */
const LOOP_RESOLUTION_MS = 20;

export interface AgentMetricsOptions {
  readonly counters: CounterReader;
  /** Whether each rule has series of its own. */
  readonly hasRules: () => boolean;
  readonly flowLog: () => FlowLogCounts | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export class AgentMetrics {
  readonly #options: AgentMetricsOptions;
  readonly #delay = new Histogram(
    'picket_event_to_enforced_seconds',
    'From when a source heard of a change until the kernel had it, by kind of object.',
    DELAY_BOUNDS,
    'kind',
  );
  readonly #apply = new Histogram(
    'picket_apply_duration_seconds',
    'From the wake-up to the answer of the kernel, of applies that changed something.',
    DELAY_BOUNDS,
  );
  readonly #size = new Histogram(
    'picket_transaction_operations',
    'Operations of one nf_tables transaction.',
    OPERATION_BOUNDS,
  );
  readonly #loop: ReturnType<typeof monitorEventLoopDelay>;
  readonly #denied = new DeniedTotals();
  readonly #operations = new Map<string, number>();
  #transactions = 0;
  #failures = 0;
  #repairs = 0;
  #agent: AgentView | undefined;

  constructor(options: AgentMetricsOptions) {
    this.#options = options;
    this.#loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
    this.#loop.enable();
  }

  /** From now on this agent is measured. */
  follow(agent: AgentView): void {
    this.#agent = agent;
    observeDelays(agent, this.#delay);
    agent.events.on('applied', ({ report, startedMs, endedMs }) => {
      if (report.transactions === 0) return;
      this.#transactions += report.transactions;
      this.#apply.observe((endedMs - startedMs) / 1000);
      let size = 0;
      for (const [name, count] of Object.entries(report.operations)) {
        this.#operations.set(name, (this.#operations.get(name) ?? 0) + count);
        size += count;
      }
      this.#size.observe(size / report.transactions);
    });
    agent.events.on('failed', () => this.#failures++);
    agent.events.on('foreign', () => this.#repairs++);
  }

  close(): void {
    this.#loop.disable();
  }

  /** What cannot be read is left out. */
  async families(): Promise<readonly Family[]> {
    const { flowLog, counters } = this.#options;
    const values = await counters.read().catch((): Counters => new Map());
    const agent = this.#agent;
    return [
      ...this.#processFamilies(),
      ...this.#applyFamilies(),
      ...(agent === undefined ? [] : agentFamilies(agent, this.#options.now())),
      ...this.#deniedFamilies(values, agent),
      ...(agent === undefined || !this.#options.hasRules() ? [] : ruleFamilies(agent, values)),
      ...flowLogFamilies(flowLog()),
    ];
  }

  #processFamilies(): Family[] {
    const { user, system } = process.cpuUsage();
    const loop = [
      ['0.5', lagSeconds(this.#loop.percentile(50))],
      ['0.99', lagSeconds(this.#loop.percentile(99))],
      ['1', lagSeconds(this.#loop.max)],
    ] as const;
    this.#loop.reset();
    const help = 'How late the event loop came, since the last scrape, by part of the looks.';
    return [
      {
        name: 'picket_build_info',
        help: 'Versions.',
        type: 'gauge',
        samples: [
          { labels: { version: manifest.version, node_version: process.version }, value: 1 },
        ],
      },
      single(
        'process_cpu_seconds_total',
        'counter',
        'User and system time.',
        (user + system) / 1e6,
      ),
      single('process_resident_memory_bytes', 'gauge', 'Memory.', process.memoryUsage.rss()),
      single(
        'process_start_time_seconds',
        'gauge',
        'When the process started, since the epoch.',
        Math.round(performance.timeOrigin) / 1000,
      ),
      byLabel('picket_event_loop_lag_seconds', 'gauge', help, 'part', loop),
    ];
  }

  #applyFamilies(): Family[] {
    return [
      this.#delay.family(),
      this.#apply.family(),
      this.#size.family(),
      single('picket_transactions_total', 'counter', 'Transactions committed.', this.#transactions),
      byLabel(
        'picket_operations_total',
        'counter',
        'Operations committed, by kind.',
        'operation',
        this.#operations,
      ),
      single('picket_apply_failures_total', 'counter', 'Applies that failed.', this.#failures),
      single(
        'picket_drift_repairs_total',
        'counter',
        'Changes of our table by others, which were repaired.',
        this.#repairs,
      ),
    ];
  }

  #deniedFamilies(values: Counters, agent: AgentView | undefined): Family[] {
    this.#denied.add(values, agent?.engine.policies() ?? []);
    const totals = this.#denied.totals();
    const family = (unit: 'packets' | 'bytes'): Family => ({
      name: `picket_denied_${unit}_total`,
      help: `Denied ${unit}, by direction and reason.`,
      type: 'counter',
      samples: totals.map(({ direction, reason, [unit]: value }) => ({
        labels: { direction, reason },
        value,
      })),
    });
    return [family('packets'), family('bytes')];
  }
}

/** The histogram measures from one look to the next; before the first look it has no numbers. */
function lagSeconds(ns: number): number {
  return Number.isFinite(ns) ? Math.max(0, ns / 1e9 - LOOP_RESOLUTION_MS / 1e3) : 0;
}
