import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { followFile } from '../../../../agent/watch/one-file.ts';

test('a change is seen in a folder where others never cease to write', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'picket-one-file-'));
  const stop = new AbortController();
  let count = 0;
  const noise = setInterval(() => writeFileSync(join(folder, 'other'), String(count++)), 20);
  try {
    const path = join(folder, 'picket.yaml');
    writeFileSync(path, 'a');
    const changes = followFile(path, stop.signal, (why) => t.fail(why));
    await changes.next();
    writeFileSync(path, 'b');
    const { done } = await changes.next();
    t.false(done);
    t.true(count > 0);
    await changes.return();
  } finally {
    clearInterval(noise);
    stop.abort();
    rmSync(folder, { recursive: true });
  }
});
