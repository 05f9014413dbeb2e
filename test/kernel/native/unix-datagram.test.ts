/** The addon's unix datagrams, at real sockets. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testAddon } from '../../support/addon.ts';
import { isStopped, until } from '../../support/cli.ts';
import { receiveDatagrams } from '../../support/datagrams.ts';
import { kernelTest } from '../../support/needs.ts';

const ENOENT = 2;
const EAGAIN = 11;
const EINVAL = 22;
const ENAMETOOLONG = 36;
const EMSGSIZE = 90;
const ECONNREFUSED = 111;

const folder = mkdtempSync(join(tmpdir(), 'picket-datagram-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const send = (path: string, bytes: Uint8Array): number => testAddon().sendUnixDatagram(path, bytes);

for (const [name, path] of [
  ['a file', join(folder, 'notify')],
  ['an abstract name', `@picket-test-${process.pid}`],
  ['the longest file', join(folder, 'x'.repeat(107 - folder.length - 1))],
  ['the longest abstract name', `@picket-${process.pid}-`.padEnd(108, 'x')],
] as const) {
  kernelTest(`datagrams arrive in order at ${name}`, ['addon', 'cc'], async (t) => {
    const receiver = await receiveDatagrams(path);
    try {
      const large = new Uint8Array(100_000).fill(7);
      const sent = [Buffer.from('READY=1'), Buffer.from(''), Buffer.from('zwölf\0'), large];
      for (const bytes of sent) t.is(send(path, bytes), 0);
      await until('four datagrams', () => receiver.received.length === sent.length);
      t.deepEqual(
        receiver.received.map(({ bytes }) => Buffer.from(bytes)),
        sent.map((bytes) => Buffer.from(bytes)),
      );
      t.true(receiver.received.every(({ pid }) => pid === process.pid));
    } finally {
      await receiver.close();
    }
  });
}

kernelTest('what cannot be sent is an errno, and leaks nothing', ['addon'], (t) => {
  const file = join(folder, 'no-socket');
  writeFileSync(file, '');
  const bytes = new Uint8Array(1);
  const rows: readonly (readonly [string, unknown, unknown, number])[] = [
    ['nobody', join(folder, 'nobody'), bytes, -ENOENT],
    ['nobody, abstract', '@picket-nobody', bytes, -ECONNREFUSED],
    ['a plain file', file, bytes, -ECONNREFUSED],
    ['empty', '', bytes, -EINVAL],
    ['relative', 'run/systemd/notify', bytes, -EINVAL],
    ['another family', 'vsock:2:1234', bytes, -EINVAL],
    ['NUL inside', '/run/a\0b', bytes, -EINVAL],
    ['too long', `/${'x'.repeat(107)}`, bytes, -ENAMETOOLONG],
    ['too long, abstract', `@${'x'.repeat(108)}`, bytes, -ENAMETOOLONG],
    ['much too long', `/${'x'.repeat(100_000)}`, bytes, -ENAMETOOLONG],
    ['no path', undefined, bytes, -EINVAL],
    ['no bytes', file, undefined, -EINVAL],
    ['text', file, 'READY=1', -EINVAL],
    ['other array', file, new Uint16Array(1), -EINVAL],
  ];
  const before = readdirSync('/proc/self/fd').length;
  for (const [name, path, data, errno] of rows) {
    t.is(send(path as string, data as Uint8Array), errno, name);
  }
  t.is(readdirSync('/proc/self/fd').length, before);
});

kernelTest('a receiver that does not read never blocks the sender', ['addon', 'cc'], async (t) => {
  const path = join(folder, 'stuck');
  const receiver = await receiveDatagrams(path);
  try {
    t.is(send(path, new Uint8Array(64 << 20)), -EMSGSIZE);
    process.kill(receiver.pid, 'SIGSTOP');
    await until('it is stopped', () => isStopped(receiver.pid));
    let sent = 0;
    while (send(path, new Uint8Array(10_000)) === 0) sent++;
    t.is(send(path, new Uint8Array(10_000)), -EAGAIN);
    process.kill(receiver.pid, 'SIGCONT');
    await until('what was queued', () => receiver.received.length === sent);
  } finally {
    await receiver.close();
  }
});
