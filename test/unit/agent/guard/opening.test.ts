import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { FakeDataplane } from '../../../../agent/dataplane/fake.ts';
import { yieldToOpening } from '../../../../agent/guard/opening.ts';
import { leavePanicMark } from '../../../../agent/state/panic.ts';
import { FaultyDataplane } from '../../../support/faults.ts';
import { namespaceObject, openEngine, pod, put } from '../../../support/raw-events.ts';

const ROWS = [
  { name: 'nobody opens', when: 'never', isOpen: false, commits: 1 },
  { name: 'opened before the commit: nothing is sent', when: 'before', isOpen: true, commits: 0 },
  { name: 'opened during the commit: taken back', when: 'during', isOpen: true, commits: 2 },
] as const;

for (const { name, when, isOpen, commits } of ROWS) {
  test(name, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'picket-opening-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const directories = { run: join(folder, 'run'), state: join(folder, 'state') };
    const fake = new FakeDataplane();
    const faulty = new FaultyDataplane(fake);
    let seen = 0;
    faulty.onCommit = () => {
      if (++seen === 1 && when === 'during') leavePanicMark(directories);
    };
    if (when === 'before') leavePanicMark(directories);
    const engine = openEngine(
      yieldToOpening(faulty, directories, ({ path }) => {
        throw new RangeError(path);
      }),
    );
    engine.take([namespaceObject('shop'), pod('shop/web', ['10.0.0.1'])].map(put));
    if (isOpen) {
      const message = join(directories.state, 'panic-open');
      await t.throwsAsync(engine.apply(), { instanceOf: RangeError, message });
    } else await engine.apply();
    t.is((await fake.dump()) === undefined, isOpen);
    t.is(seen, commits);
  });
}
