/** Whatever a file of expectations holds: it is read or refused with places, never thrown at, and what is read can be asked. FC_RUNS sets how often. */
import * as fc from 'fast-check';
import test from 'ava';
import { check } from '../../agent/explain/check.ts';
import { PRINTERS } from '../../agent/explain/results.ts';
import { sceneOf } from '../../agent/explain/scene.ts';
import { readTestFile } from '../../agent/explain/test-file.ts';
import type { TestFile } from '../../agent/explain/test-file.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../compiler/oracle/world.ts';
import { arbitraryResources } from '../support/arbitrary.ts';
import { keyOf } from '../support/keys.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = { numRuns: Number(process.env['FC_RUNS'] ?? 200) };

const END = fc.constantFrom(
  'shop/web',
  'pay/db',
  'host',
  '10.0.0.1',
  'fd00::2',
  '203.0.113.9',
  'x',
  '',
);
const PORT = fc.constantFrom(
  'tcp/80',
  'udp/53',
  'icmp',
  'icmp/8/0',
  'icmpv6',
  '47',
  'tcp',
  'tpc/80',
);
const BY = fc.constantFrom(
  '',
  ' by gnp/a',
  ' by np/shop/a ingress[0]',
  ' by end of tier t1',
  ' by x',
);
const LINE = fc
  .tuple(fc.constantFrom('allow', 'deny', 'alow'), END, END, PORT, BY)
  .map(([verdict, from, to, port, by]) => `${verdict} ${from} -> ${to} ${port}${by}`);
const ENTRY = fc.oneof(
  LINE,
  fc.jsonValue(),
  fc.record({ expect: fc.constant('deny'), from: END, to: END, port: fc.oneof(PORT, fc.nat(300)) }),
);
const TEXT = fc.oneof(
  fc.string(),
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.array(ENTRY).map((tests) => JSON.stringify({ tests }, null, 1)),
);

function isPlaced({ expectations, problems }: TestFile): boolean {
  return (
    expectations.length + problems.length > 0 &&
    expectations.every(({ line, text }) => line >= 1 && text !== '') &&
    problems.every((problem) => /^t\.yaml(:\d+)?: \S/.test(problem))
  );
}

test('a file is read or refused, with places', (t) => {
  const property = fc.property(TEXT, (text) => isPlaced(readTestFile('t.yaml', text)));
  t.notThrows(() => fc.assert(property, RUNS));
});

test('what is read means the same when it is written again', (t) => {
  const property = fc.property(fc.array(LINE, { minLength: 1 }), (tests) => {
    const { expectations } = readTestFile('t.yaml', JSON.stringify({ tests }));
    const again = expectations.map(({ text }) => text);
    if (again.length === 0) return;
    const reread = readTestFile('t.yaml', JSON.stringify({ tests: again }));
    t.deepEqual(reread.problems, []);
    t.deepEqual(
      reread.expectations.map(({ text, question, by }) => ({ text, question, by })),
      expectations.map(({ text, question, by }) => ({ text, question, by })),
    );
  });
  fc.assert(property, RUNS);
});

test('whatever is asked of whatever world has a result, in every format', (t) => {
  const asked = fc.array(LINE, { minLength: 1, maxLength: 6 });
  const property = fc.property(asked, arbitraryResources, (tests, resources) => {
    const store = {
      resources: () => resources.map((each): [string, Resource] => [keyOf(each), each]),
      locate: () => ({ source: 'a<b>&"c".yaml', line: 1 }),
    };
    const scene = sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: undefined });
    const { expectations } = readTestFile('t.yaml', JSON.stringify({ tests }));
    const results = expectations.map((expectation) => check(scene, expectation));
    t.true(results.every(({ outcome, reason }) => (outcome === 'passed') === (reason === '')));
    const points = PRINTERS.tap(results).filter((line) => /^(not )?ok /.test(line));
    t.is(points.length, results.length);
    t.is(
      PRINTERS.human(results).at(-1)?.split(' ')[0],
      String(results.filter(({ outcome }) => outcome === 'passed').length),
    );
    const xml = PRINTERS.junit(results).join('\n');
    t.is(xml.match(/<testcase /g)?.length ?? 0, results.length);
    t.notRegex(xml, /&(?!(amp|lt|gt|quot);)/);
  });
  fc.assert(property, RUNS);
});
