/** What the addon does with freed memory. */
import { readFileSync } from 'node:fs';
import { testAddon } from '../../support/addon.ts';
import { kernelTest } from '../../support/needs.ts';

kernelTest('freed memory goes back, and what lives stays', ['addon'], (t) => {
  const kept = readFileSync(import.meta.filename);
  const before = Buffer.from(kept);
  t.true([0, 1].includes(testAddon().trimMemory()));
  t.deepEqual(kept, before);
});
