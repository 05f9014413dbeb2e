/** Thousands of file events in a second: `picket run` stays responsive, and what it ends with is what is on disk. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { Bench, policy, WEB } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';

const CAPS = ['netns', 'addon'] as const;
const EVENTS = 10_000;
/** Files that are written, renamed and removed over and over. */
const FILES = 50;

kernelTest(`run: ${EVENTS} file events, then the right state`, CAPS, (t) =>
  Bench.with({ 'web.yaml': WEB, 'policy.yaml': policy('steady') }, async (bench) => {
    const agent = await bench.startApplied();
    const start = Date.now();
    // One round of a file: created and written, renamed (two events), every third removed.
    for (let event = 0, round = 0; event < EVENTS; round++) {
      const name = `churn-${round % FILES}`;
      const path = bench.path(`${name}.yaml`);
      writeFileSync(`${path}.new`, policy(name, `10.3.${round & 255}.0/24`));
      renameSync(`${path}.new`, path);
      event += 4;
      if (round % 3 === 0) {
        rmSync(path);
        event++;
      }
      if (round % 100 === 0) await breathe();
    }
    const stormMs = Date.now() - start;
    const kept: string[] = [];
    for (let index = 0; index < FILES; index++) {
      const name = `churn-${index}`;
      if (index % 2 === 0) rmSync(bench.path(`${name}.yaml`), { force: true });
      else bench.write(`${name}.yaml`, policy(name));
      if (index % 2 === 1) kept.push(name);
    }
    const quiet = Date.now();
    await bench.untilPolicies('steady', ...kept);
    t.log(`${EVENTS} events in ${stormMs} ms; right ${Date.now() - quiet} ms after the last`);
    t.deepEqual(
      agent.log().filter(({ level }) => Number(level) >= 50),
      [],
    );
    const { exitCode, stderr } = await agent.stop();
    t.is(exitCode, 0, 'it still listens to signals');
    t.is(stderr, '');
  }),
);
