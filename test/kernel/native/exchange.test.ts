/** The addon's sockets and exchanges against the real kernel. */
import { readdirSync, readlinkSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { execa } from 'execa';
import { LOAD_ADDON, testAddon } from '../../support/addon.ts';
import { kernelTest } from '../../support/needs.ts';
import {
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  acks,
  batch,
  dumpLinks,
  linkNames,
  messages,
  newChain,
  newTable,
  noop,
  silence,
} from '../../support/netlink-bytes.ts';
import { openNetns, runIp, type Netns } from '../../support/netns.ts';
import { projectPath, requireSystemTool } from '../../support/tools.ts';

const BUFFER = 1 << 20;
/** For every answer that comes: only a test that fails takes as long. */
const ANSWER_MS = 60_000;
const ENOENT = 2;
const EPERM = 1;
const EBADF = 9;
const EBUSY = 16;
const EINVAL = 22;
const EMSGSIZE = 90;
const ENOBUFS = 105;
const ETIMEDOUT = 110;
const ECANCELED = 125;

const native = testAddon;

function fdCount(): number {
  return readdirSync('/proc/self/fd').length;
}

async function withNetns(fn: (netns: Netns) => Promise<void>): Promise<void> {
  const netns = await openNetns();
  try {
    await fn(netns);
  } finally {
    await netns.close();
  }
}

async function withSocket(
  t: ExecutionContext,
  protocol: number,
  netnsPath: string,
  fn: (handle: number) => Promise<void>,
): Promise<void> {
  const handle = native().open(protocol, netnsPath, BUFFER, BUFFER);
  t.true(handle >= 0, `open: ${handle}`);
  try {
    await fn(handle);
  } finally {
    native().close(handle);
  }
}

kernelTest('opening and closing thousands of times leaks no descriptor', ['addon'], (t) => {
  const before = fdCount();
  for (let round = 0; round < 5000; round++) {
    const handle = native().open(NETLINK_ROUTE, '', BUFFER, BUFFER);
    if (handle < 0) t.fail(`round ${round}: ${handle}`);
    native().close(handle);
    native().close(handle);
  }
  t.true(fdCount() <= before);
});

kernelTest('a thousand sockets may be open, then the table is full', ['addon'], (t) => {
  const before = fdCount();
  const handles: number[] = [];
  for (let result = 0; result >= 0;) {
    result = native().open(NETLINK_ROUTE, '', 0, 0);
    if (result >= 0) handles.push(result);
  }
  t.true(handles.length > 250, `${handles.length} handles`);
  t.is(new Set(handles).size, handles.length);
  for (const handle of handles) native().close(handle);
  t.true(fdCount() <= before);
});

kernelTest('a closed handle stays closed when its place is used again', ['addon'], async (t) => {
  const closed = native().open(NETLINK_ROUTE, '', BUFFER, BUFFER);
  native().close(closed);
  await withSocket(t, NETLINK_ROUTE, '', async (handle) => {
    t.not(handle, closed);
    t.is(native().portId(closed), -EBADF);
    t.is(native().sndbufBytes(closed), -EBADF);
    t.is(native().setSndbuf(closed, 1), -EBADF);
    t.is(native().join(closed, 1), -EBADF);
    t.is(
      native().startReader(closed, 0, () => {}),
      -EBADF,
    );
    t.deepEqual(await native().exchange(closed, noop(1), 'acks', 1, 100), {
      errno: EBADF,
      bytes: new Uint8Array(),
    });
    native().close(closed);
    t.true(native().portId(handle) > 0);
  });
});

kernelTest('wrong arguments are EINVAL, not exceptions', ['addon'], async (t) => {
  await withSocket(t, NETLINK_ROUTE, '', async (handle) => {
    const rows: readonly [string, unknown][] = [
      ['path with NUL', native().open(NETLINK_ROUTE, '/proc\0/x', 0, 0)],
      ['no path', native().open(NETLINK_ROUTE, undefined as never, 0, 0)],
      ['no callback', native().startReader(handle, 0, undefined as never)],
      ['no group', native().join(handle, 'x' as never)],
      ['no size', native().setSndbuf(handle, {} as never)],
    ];
    for (const [name, result] of rows) t.is(result, -EINVAL, name);
    const exchanges = [
      native().exchange(handle, new Uint8Array(), 'acks', 1, 10),
      native().exchange(handle, new Uint16Array(8) as never, 'acks', 1, 10),
      native().exchange(handle, noop(1), 'all' as never, 1, 10),
      native().exchange(handle, noop(1), 'acks', 1, -1),
      native().exchange(handle, undefined as never, 'acks', 1, 10),
    ];
    for (const result of await Promise.all(exchanges)) t.is(result.errno, EINVAL);
    t.is(native().portId('x' as never), -EBADF);
  });
});

kernelTest('a path that is no namespace is an errno', ['addon'], (t) => {
  const rows: readonly [string, number][] = [
    ['/run/netns/picket-no-such', -ENOENT],
    [import.meta.filename, -EINVAL],
    [`/${'x'.repeat(5000)}`, -36],
  ];
  for (const [path, errno] of rows) t.is(native().open(NETLINK_ROUTE, path, 0, 0), errno, path);
});

kernelTest('a socket opened by path is in that namespace, we are not', ['addon', 'netns'], (t) =>
  withNetns(async (netns) => {
    const own = readlinkSync('/proc/thread-self/ns/net');
    await runIp(netns, ['link add name only-there type veth peer name its-peer']);
    const before = fdCount();
    await withSocket(t, NETLINK_ROUTE, netns.path, async (handle) => {
      const { errno, bytes } = await native().exchange(handle, dumpLinks(7), 'dump', 7, ANSWER_MS);
      t.is(errno, 0);
      t.deepEqual([...linkNames(bytes)].sort(), ['its-peer', 'lo', 'only-there']);
    });
    t.is(readlinkSync('/proc/thread-self/ns/net'), own);
    t.true(fdCount() <= before);
  }),
);

kernelTest('a dump of many datagrams comes whole and in order', ['addon', 'netns'], (t) =>
  withNetns(async (netns) => {
    const names = Array.from({ length: 150 }, (_, i) => `v${i}`);
    await runIp(
      netns,
      names.map((name) => `link add name ${name} type veth peer name p${name}`),
    );
    await withSocket(t, NETLINK_ROUTE, netns.path, async (handle) => {
      const { errno, bytes } = await native().exchange(handle, dumpLinks(8), 'dump', 8, ANSWER_MS);
      t.is(errno, 0);
      t.true(bytes.length > 65536, `${bytes.length} bytes`);
      t.is(linkNames(bytes).length, 2 * names.length + 1);
    });
  }),
);

kernelTest('a batch answers one ack per message, in order', ['addon', 'netns', 'nft'], (t) =>
  withNetns(async (netns) => {
    await withSocket(t, NETLINK_NETFILTER, netns.path, async (handle) => {
      const bytes = batch(10, [newTable(11, 'a'), newChain(12, 'a', 'c'), newTable(13, 'b')]);
      const answer = await native().exchange(handle, bytes, 'acks', 13, ANSWER_MS);
      t.is(answer.errno, 0);
      t.deepEqual(acks(answer.bytes), [
        [11, 0],
        [12, 0],
        [13, 0],
      ]);
    });
  }),
);

kernelTest('a refused batch answers at once with every error', ['addon', 'netns', 'nft'], (t) =>
  withNetns(async (netns) => {
    await withSocket(t, NETLINK_NETFILTER, netns.path, async (handle) => {
      const parts = [newTable(11, 'a'), newChain(12, 'no', 'c'), newChain(13, 'none', 'c')];
      const answer = await native().exchange(handle, batch(10, parts), 'acks', 13, ANSWER_MS);
      t.is(answer.errno, 0);
      const refused = acks(answer.bytes).filter(([, code]) => code !== 0);
      t.deepEqual(refused, [
        [12, -ENOENT],
        [13, -ENOENT],
      ]);
      // The whole batch was rolled back, and the socket is usable again.
      const again = batch(20, [newChain(21, 'a', 'c')]);
      t.deepEqual(acks((await native().exchange(handle, again, 'acks', 21, ANSWER_MS)).bytes), [
        [21, -ENOENT],
      ]);
    });
  }),
);

kernelTest('lost acks end an exchange at once, as ENOBUFS', ['addon', 'netns', 'nft'], (t) =>
  withNetns(async (netns) => {
    const handle = native().open(NETLINK_NETFILTER, netns.path, BUFFER, 4096);
    const parts = Array.from({ length: 500 }, (_, i) => newTable(11 + i, `t${i}`));
    const lost = await native().exchange(handle, batch(10, parts), 'acks', 510, 60_000);
    t.is(lost.errno, ENOBUFS);
    t.true(acks(lost.bytes).length < parts.length);
    const again = batch(600, [newTable(601, 'again')]);
    t.is((await native().exchange(handle, again, 'acks', 601, ANSWER_MS)).errno, 0);
    native().close(handle);
  }),
);

kernelTest('a batch without a right is refused by its header', ['addon', 'netns', 'root'], (t) =>
  withNetns(async (netns) => {
    const { stdout, stderr } = await unprivilegedBatch(netns);
    t.is(stdout.trim(), JSON.stringify({ errno: 0, acks: [[10, -EPERM]] }), stderr);
  }),
);

kernelTest('an exchange without an answer ends by its timeout', ['addon'], async (t) => {
  await withSocket(t, NETLINK_ROUTE, '', async (handle) => {
    t.is((await native().exchange(handle, silence(1), 'acks', 1, 20)).errno, ETIMEDOUT);
    t.is((await native().exchange(handle, noop(2), 'acks', 2, ANSWER_MS)).errno, 0);
  });
});

kernelTest('answers of an abandoned exchange do not reach the next', ['addon'], async (t) => {
  await withSocket(t, NETLINK_ROUTE, '', async (handle) => {
    // Waits for a sequence number that never comes; its own ack is read, the second request's stays queued.
    const both = Buffer.concat([noop(3), dumpLinks(4)]);
    t.is((await native().exchange(handle, both, 'acks', 3, ANSWER_MS)).errno, 0);
    const { bytes } = await native().exchange(handle, noop(5), 'acks', 5, ANSWER_MS);
    t.deepEqual([...new Set(messages(bytes).map(({ seq }) => seq))], [5]);
  });
});

kernelTest('one exchange at a time', ['addon'], async (t) => {
  await withSocket(t, NETLINK_ROUTE, '', async (handle) => {
    const first = native().exchange(handle, silence(1), 'acks', 1, ANSWER_MS);
    t.is((await native().exchange(handle, noop(2), 'acks', 2, ANSWER_MS)).errno, EBUSY);
    t.is(
      native().startReader(handle, 0, () => {}),
      -EBUSY,
    );
    native().close(handle);
    t.is((await first).errno, ECANCELED);
  });
});

kernelTest('close cancels a waiting exchange', ['addon'], async (t) => {
  const before = fdCount();
  for (let round = 0; round < 50; round++) {
    const handle = native().open(NETLINK_ROUTE, '', BUFFER, BUFFER);
    const waiting = native().exchange(handle, silence(1), 'acks', 1, 60_000);
    // Before the thread has started, while it sends, while it waits.
    if (round % 3 > 0) await new Promise((resolve) => setTimeout(resolve, round % 3));
    native().close(handle);
    t.is((await waiting).errno, ECANCELED);
  }
  t.true(fdCount() <= before);
});

kernelTest('the request may be changed once exchange was called', ['addon'], async (t) => {
  await withSocket(t, NETLINK_ROUTE, '', async (handle) => {
    const bytes = noop(6);
    const answer = native().exchange(handle, bytes, 'acks', 6, ANSWER_MS);
    bytes.fill(0xff);
    t.deepEqual(acks((await answer).bytes), [[6, 0]]);
  });
});

kernelTest('a batch larger than the send buffer needs it to grow', ['addon', 'root'], async (t) => {
  await withSocket(t, NETLINK_ROUTE, '', async (handle) => {
    const large = noop(7, 8 << 20);
    t.is((await native().exchange(handle, large, 'acks', 7, ANSWER_MS)).errno, EMSGSIZE);
    t.true(native().setSndbuf(handle, large.length) >= large.length);
    t.is(native().sndbufBytes(handle), native().setSndbuf(handle, large.length));
    t.deepEqual(acks((await native().exchange(handle, large, 'acks', 7, ANSWER_MS)).bytes), [
      [7, 0],
    ]);
  });
});

/** Sends a batch from a process that has lost every capability. */
async function unprivilegedBatch(netns: Netns): Promise<{ stdout: string; stderr: string }> {
  const script = `
    ${LOAD_ADDON}
    const { acks, batch, newTable } = await import(${JSON.stringify(projectPath('test/support/netlink-bytes.ts'))});
    const handle = native.open(${NETLINK_NETFILTER}, '', 0, 0);
    const answer = await native.exchange(handle, batch(10, [newTable(11, 'a')]), 'acks', 11, ${ANSWER_MS});
    console.log(JSON.stringify({ errno: answer.errno, acks: acks(answer.bytes) }));`;
  return execa(requireSystemTool('nsenter'), [
    `--net=${netns.path}`,
    '--',
    requireSystemTool('setpriv'),
    '--bounding-set=-all',
    '--inh-caps=-all',
    '--',
    process.execPath,
    '--input-type=module',
    '-e',
    script,
  ]);
}
