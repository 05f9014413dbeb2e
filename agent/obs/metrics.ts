/**
 * Metrics in Prometheus' text format: families of samples, and histograms that are observed into. Comes in: names, labels, numbers; goes
 * out: the exposition. Refuses to know what is measured.
 *
 * Our own and not prom-client: see agent/adr/0017-metrics.md.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
 */

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export type LabelValues = Readonly<Record<string, string>>;

export interface Sample {
  /** What the sample's name has behind the family's, such as `_bucket`. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  readonly labels?: LabelValues;
  readonly value: number | bigint;
}

export interface Family {
  /** `picket_…`, with its unit: `_seconds`, `_bytes`; counters end in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly Sample[];
}

/** A family with one sample without labels. */
export function single(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: number | bigint,
): Family {
  return { name, type, help, samples: [{ value }] };
}

/** A gauge or counter with one label: a sample for each entry. */
export function byLabel(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  label: string,
  values: Iterable<readonly [string, number | bigint]>,
): Family {
  const samples = [...values].map(([text, value]) => ({ labels: { [label]: text }, value }));
  return { name, type, help, samples };
}

/** Families without samples are left out. */
export function printMetrics(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(printFamily)
    .join('');
}

function printFamily({ name, help, type, samples }: Family): string {
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  const lines = samples.map(
    ({ suffix = '', labels = {}, value }) =>
      `${name}${suffix}${printLabels(labels)} ${printNumber(value)}\n`,
  );
  return `# HELP ${name} ${text}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function printLabels(labels: LabelValues): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escape(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function printNumber(value: number | bigint): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}

interface Series {
  readonly labels: LabelValues;
  /** By bucket; the last one is for everything larger. */
  readonly counts: number[];
  sum: number;
}

/** Label sets that one histogram keeps; what comes beyond is counted under `other`. */
const MAX_SERIES = 64;

/** Observations by bucket, for at most one label of few values. */
export class Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #label: string | undefined;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** `bounds` ascend; values are in the unit that the name says. */
  constructor(name: string, help: string, bounds: readonly number[], label?: string) {
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#label = label;
    if (label === undefined) this.#seriesOf('');
  }

  observe(value: number, label = ''): void {
    const series = this.#seriesOf(label);
    const at = this.#bounds.findIndex((bound) => value <= bound);
    const bucket = at < 0 ? this.#bounds.length : at;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += value;
  }

  family(): Family {
    const samples = [...this.#series.values()].flatMap((series) => this.#samplesOf(series));
    return { name: this.#name, help: this.#help, type: 'histogram', samples };
  }

  #seriesOf(label: string): Series {
    const name = this.#series.has(label) || this.#series.size < MAX_SERIES ? label : 'other';
    const known = this.#series.get(name);
    if (known !== undefined) return known;
    const labels: LabelValues = this.#label === undefined ? {} : { [this.#label]: name };
    const series = { labels, counts: Array<number>(this.#bounds.length + 1).fill(0), sum: 0 };
    this.#series.set(name, series);
    return series;
  }

  #samplesOf({ labels, counts, sum }: Series): Sample[] {
    let total = 0;
    const buckets = [...this.#bounds, Infinity].map((bound, index): Sample => {
      total += counts[index] ?? 0;
      const le = bound === Infinity ? '+Inf' : String(bound);
      return { suffix: '_bucket', labels: { ...labels, le }, value: total };
    });
    return [
      ...buckets,
      { suffix: '_sum', labels, value: sum },
      { suffix: '_count', labels, value: total },
    ];
  }
}
