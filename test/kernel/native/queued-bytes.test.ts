/** What the addon says of unread bytes, on real pipes and sockets. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testAddon } from '../../support/addon.ts';
import { kernelTest } from '../../support/needs.ts';

kernelTest('bytes in a pipe until they are read; files and wrong descriptors', ['addon'], (t) => {
  const addon = testAddon();
  const folder = mkdtempSync(join(tmpdir(), 'picket-queued-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const fd = openSync(pipe, 'r+');
  t.is(addon.queuedBytes(fd), 0);
  writeSync(fd, 'hello');
  t.is(addon.queuedBytes(fd), 5);
  readSync(fd, Buffer.alloc(2));
  t.is(addon.queuedBytes(fd), 3);
  closeSync(fd);
  const file = openSync(join(folder, 'file'), 'w');
  writeSync(file, 'hello');
  t.is(addon.queuedBytes(file), 0);
  closeSync(file);
  t.is(addon.queuedBytes(-1), -9);
  t.is(addon.queuedBytes('x' as unknown as number), -22);
});
