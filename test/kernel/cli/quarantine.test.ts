/** A rule that the kernel refuses, as a user sees it: named with the kernel's words, the rest enforced, exit 4 or an error in the log. */
import { Bench, picket, policy, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon'] as const;
const FILES = {
  'web.yaml': WEB,
  'good.yaml': policy('good'),
  'bad.yaml': policy('bad'),
  'spoil.flag': '',
};
const ORIGIN = 'gnp/bad ingress[0]';
const SAYS = /gnp\/bad ingress\[0\] \(add-rule\): ERANGE/;

kernelTest(
  'apply: a refused rule is named, the rest is applied, exit 4 until it is accepted',
  CAPS,
  (t) =>
    Bench.with(FILES, async (bench) => {
      const env = bench.spoiling(ORIGIN, 'spoil.flag');
      const args = ['apply', ...bench.options()];
      const text = await picket(args, [], env);
      t.is(text.exitCode, 4, text.stderr);
      t.regex(text.stderr, SAYS);
      t.regex(text.stdout, /^applied: /);
      t.deepEqual(await bench.policies(), ['good']);

      const json = await picket([...args, '-o', 'json'], [], env);
      t.is(json.exitCode, 4);
      const { applied, degraded, quarantined } = JSON.parse(json.stdout) as Record<string, unknown>;
      t.deepEqual({ applied, degraded }, { applied: true, degraded: true });
      t.regex(String(quarantined), SAYS);

      bench.remove('spoil.flag');
      t.is((await picket(args, [], env)).exitCode, 0);
      t.deepEqual(await bench.policies(), ['bad', 'good']);
    }),
);

kernelTest(
  'run: a refused rule is logged once, the rest is applied and stays followed',
  CAPS,
  (t) =>
    Bench.with(FILES, async (bench) => {
      const agent = bench.start(bench.spoiling(ORIGIN, 'spoil.flag'));
      t.regex(String((await agent.logged(/^quarantined/))['refusal']), SAYS);
      await bench.untilPolicies('good');
      bench.write('more.yaml', policy('more'));
      await bench.untilPolicies('good', 'more');
      t.is(agent.log().filter(({ msg }) => msg?.startsWith('quarantined')).length, 1);
      bench.remove('spoil.flag');
      bench.write('bad.yaml', policy('bad', '10.7.0.0/16'));
      await bench.untilPolicies('bad', 'good', 'more');
      t.is((await agent.stop()).exitCode, 0);
    }),
);
