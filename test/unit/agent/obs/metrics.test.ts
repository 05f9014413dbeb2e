/** The exposition, held to Prometheus' text format by hand. */
import test from 'ava';
import { byLabel, Histogram, printMetrics, single } from '../../../../agent/obs/metrics.ts';
import type { Family } from '../../../../agent/obs/metrics.ts';

const ROWS: readonly { readonly name: string; readonly in: Family; readonly out: string }[] = [
  {
    name: 'a number',
    in: single('a_total', 'counter', 'Help.', 3),
    out: '# HELP a_total Help.\n# TYPE a_total counter\na_total 3\n',
  },
  {
    name: 'a number beyond those that floats hold',
    in: single('a_total', 'counter', 'Help.', 18_446_744_073_709_551_615n),
    out: '# HELP a_total Help.\n# TYPE a_total counter\na_total 18446744073709551615\n',
  },
  {
    name: 'labels and help with everything that must be escaped',
    in: byLabel('a', 'gauge', 'b\\c\nd "e"', 'l', [['x"y\\z\n', Infinity]]),
    out: '# HELP a b\\\\c\\nd "e"\n# TYPE a gauge\na{l="x\\"y\\\\z\\n"} +Inf\n',
  },
  { name: 'nothing', in: byLabel('a', 'gauge', 'Help.', 'l', []), out: '' },
];

for (const { name, in: family, out } of ROWS) {
  test(`prints ${name}`, (t) => {
    t.is(printMetrics([family]), out);
  });
}

test('a histogram counts what is not larger than each bound', (t) => {
  const histogram = new Histogram('h_seconds', 'Help.', [1, 2.5]);
  for (const value of [0.5, 1, 2, 99]) histogram.observe(value);
  t.is(
    printMetrics([histogram.family()]),
    [
      '# HELP h_seconds Help.',
      '# TYPE h_seconds histogram',
      'h_seconds_bucket{le="1"} 2',
      'h_seconds_bucket{le="2.5"} 3',
      'h_seconds_bucket{le="+Inf"} 4',
      'h_seconds_sum 102.5',
      'h_seconds_count 4',
      '',
    ].join('\n'),
  );
});

test('a histogram has a series for each label, but not without end', (t) => {
  const histogram = new Histogram('h', 'Help.', [1], 'kind');
  for (let i = 0; i < 200; i++) histogram.observe(1, `k${i}`);
  const counts = histogram.family().samples.filter(({ suffix }) => suffix === '_count');
  t.is(counts.length, 65);
  t.is(
    counts.reduce((sum, { value }) => sum + Number(value), 0),
    200,
  );
  t.deepEqual(counts.at(-1)?.labels, { kind: 'other' });
});
