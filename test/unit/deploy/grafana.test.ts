/** The dashboard's queries ask for metrics and labels that the exposition has. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { AgentMetrics } from '../../../agent/control/agent-metrics.ts';
import type { CounterReader, Counters } from '../../../agent/dataplane/counters.ts';
import { printMetrics } from '../../../agent/obs/metrics.ts';
import { fakeAgent } from '../../support/agent-view.ts';
import { namespaceObject, pod, v3 } from '../../support/raw-events.ts';
import { projectPath } from '../../support/tools.ts';

/** Every family with a sample. */
async function exposition(): Promise<string> {
  const agent = fakeAgent(() => 5_000);
  const value = { packets: 1n, bytes: 1n };
  const counters: Counters = new Map([
    ['ingress/np/shop/web/0', value],
    ['ingress/end-of-tier/default/x', value],
  ]);
  const metrics = new AgentMetrics({
    // The one method that is asked.
    counters: { read: () => Promise.resolve(counters) } as unknown as CounterReader,
    hasRules: () => true,
    flowLog: () => ({
      received: 1,
      lost: 0,
      dropped: 0,
      suppressed: 0,
      records: 1,
      outputs: { file: { written: 1, lost: 0 } },
    }),
    now: () => 6_000,
  });
  metrics.follow(agent);
  const world = [namespaceObject('shop'), pod('shop/web', ['10.0.0.1'])];
  await agent.give(world);
  await agent.give([v3('NetworkPolicy', 'shop/web', { ingress: [{ action: 'Deny' }] })], 4_000);
  const text = printMetrics(await metrics.families());
  metrics.close();
  return text;
}

/** Names of labels by metric. */
function labelsOf(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const line of text.split('\n')) {
    const [, name = '', labels = ''] = /^([a-z_]+)(\{.*\})? /.exec(line) ?? [];
    if (name === '') continue;
    const known = found.get(name) ?? new Set<string>();
    found.set(name, known);
    for (const [, label = ''] of labels.matchAll(/([a-z_]+)="/g)) known.add(label);
  }
  return found;
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly query: string }[] };
}

const DASHBOARD = JSON.parse(
  readFileSync(projectPath('deploy/grafana/picket.json'), 'utf8'),
) as Dashboard;

/** Given by Prometheus to every series. */
const TARGET_LABELS = ['instance', 'job'];

test('queries name metrics and labels that are there', async (t) => {
  const known = labelsOf(await exposition());
  const targets = DASHBOARD.panels.flatMap((panel) =>
    (panel.targets ?? []).map((target) => ({ title: panel.title, ...target })),
  );
  t.true(targets.length > 20);
  for (const { title, expr, legendFormat } of targets) {
    const [metric = ''] = /\b(picket|process)_[a-z_]+/.exec(expr) ?? [];
    const labels = known.get(metric);
    t.truthy(labels, `${title}: there is no ${metric}`);
    const matched = [...expr.matchAll(/([a-z_]+)=~?"/g)].map(([, label = '']) => label);
    const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) =>
      list.split(/, */),
    );
    const shown = [...legendFormat.matchAll(/\{\{([a-z_]+)\}\}/g)].map(([, label = '']) => label);
    for (const label of [...matched, ...grouped, ...shown]) {
      const isThere = labels?.has(label) === true || TARGET_LABELS.includes(label);
      t.true(isThere, `${title}: ${metric} has no label ${label}`);
    }
    for (const label of shown) {
      const isKept = !/\bby \(/.test(expr) || grouped.includes(label);
      t.true(isKept, `${title}: ${label} is aggregated away`);
    }
    t.is(expr.split('(').length, expr.split(')').length, title);
    if (/_(total|bucket)\b/.test(metric))
      t.regex(expr, /rate\(/, `${title}: a counter needs a rate`);
  }
});

test('variables ask for what is there', async (t) => {
  const known = labelsOf(await exposition());
  for (const { query } of DASHBOARD.templating.list) {
    const [, metric = ''] = /label_values\(([a-z_]+)/.exec(query) ?? [];
    if (metric !== '') t.true(known.has(metric), metric);
  }
});

test('metrics are named as Prometheus names them', async (t) => {
  const text = await exposition();
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    t.regex(name, /^(picket|process)_[a-z_]+$/);
    t.is(name.endsWith('_total'), type === 'counter', name);
  }
});
