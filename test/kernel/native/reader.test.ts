/** The addon's reader thread against real event storms, closings and ends of threads and processes. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { execa } from 'execa';
import type { ExecutionContext } from 'ava';
import { LOAD_ADDON, testAddon } from '../../support/addon.ts';
import { until } from '../../support/cli.ts';
import { kernelTest } from '../../support/needs.ts';
import {
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NFNLGRP_NFTABLES,
  RTNLGRP_LINK,
  batch,
  messages,
  newTable,
  silence,
} from '../../support/netlink-bytes.ts';
import { openNetns, runIp, type Netns } from '../../support/netns.ts';
import { requireSystemTool } from '../../support/tools.ts';

const BUFFER = 16 << 20;
const NEWTABLE = 0x0a00;
const NEWOBJ = 0x0a12;
const COUNTERS = 2000;

interface Events {
  readonly handle: number;
  readonly batches: { readonly bytes: Uint8Array; readonly lost: number }[];
  /** Resolves once `enough` says so of what came so far. */
  until(enough: () => boolean): Promise<void>;
  lost(): number;
  count(type: number): number;
}

const native = testAddon;

function fdCount(): number {
  return readdirSync('/proc/self/fd').length;
}

function blockEventLoop(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A socket that has joined `group`; reads from `start` on. */
function listen(protocol: number, path: string, group: number, rcvbufBytes = BUFFER): number {
  const handle = native().open(protocol, path, 0, rcvbufBytes);
  if (handle < 0) throw new Error(`open: ${handle}`);
  const joined = native().join(handle, group);
  if (joined < 0) throw new Error(`join: ${joined}`);
  return handle;
}

function start(handle: number, ignorePortId = 0): Events {
  const batches: { bytes: Uint8Array; lost: number }[] = [];
  let wake: (() => void) | undefined;
  const started = native().startReader(handle, ignorePortId, (bytes, lost) => {
    batches.push({ bytes, lost });
    wake?.();
  });
  if (started < 0) throw new Error(`startReader: ${started}`);
  return {
    handle,
    batches,
    until: async (enough) => {
      while (!enough()) await new Promise<void>((resolve) => (wake = resolve));
    },
    lost: () => batches.reduce((sum, { lost }) => sum + lost, 0),
    count: (type) =>
      batches.flatMap(({ bytes }) => messages(bytes)).filter((seen) => seen.type === type).length,
  };
}

async function withNetns(fn: (netns: Netns) => Promise<void>): Promise<void> {
  const netns = await openNetns();
  // A reader does not keep the process alive, and ava ends a file whose promises can no longer settle.
  const alive = setInterval(() => {}, 1000);
  try {
    await fn(netns);
  } finally {
    clearInterval(alive);
    await netns.close();
  }
}

function manyCounters(table: string): string {
  const names = Array.from({ length: COUNTERS }, (_, i) => `counter c${i} {}`);
  return `table inet ${table} {\n${names.join('\n')}\n}\n`;
}

async function nft(netns: Netns, text: string): Promise<void> {
  await netns.run(requireSystemTool('nft'), ['-f', '-'], text);
}

kernelTest(
  'a burst arrives whole though the event loop is blocked',
  ['addon', 'netns', 'nft'],
  (t) =>
    withNetns(async (netns) => {
      const events = start(listen(NETLINK_NETFILTER, netns.path, NFNLGRP_NFTABLES));
      const loaded = nft(netns, manyCounters('burst'));
      // Long enough for nft to commit while nothing here can run.
      blockEventLoop(300);
      await loaded;
      await events.until(() => events.count(NEWOBJ) >= COUNTERS || events.lost() > 0);
      native().close(events.handle);
      t.is(events.lost(), 0);
      t.is(events.count(NEWOBJ), COUNTERS);
      t.true(events.batches.every(({ bytes }) => bytes.length <= 256 * 1024));
    }),
);

kernelTest('events of our own port are ignored', ['addon', 'netns', 'nft'], (t) =>
  withNetns(async (netns) => {
    const own = native().open(NETLINK_NETFILTER, netns.path, BUFFER, BUFFER);
    const events = start(
      listen(NETLINK_NETFILTER, netns.path, NFNLGRP_NFTABLES),
      native().portId(own),
    );
    const answer = await native().exchange(own, batch(1, [newTable(2, 'own')]), 'acks', 2, 5000);
    t.is(answer.errno, 0);
    await nft(netns, 'table inet theirs {}\n');
    await events.until(() => events.count(NEWTABLE) > 0);
    const text = Buffer.concat(events.batches.map(({ bytes }) => bytes)).toString('latin1');
    native().close(events.handle);
    native().close(own);
    t.true(text.includes('theirs'));
    t.false(text.includes('own\0'));
  }),
);

kernelTest('what the kernel dropped is counted as lost', ['addon', 'netns', 'nft'], (t) =>
  withNetns(async (netns) => {
    const handle = listen(NETLINK_NETFILTER, netns.path, NFNLGRP_NFTABLES, 4096);
    await nft(netns, manyCounters('toomany'));
    const events = start(handle);
    await events.until(() => events.lost() > 0);
    // After an overrun the reader goes on.
    await nft(netns, 'table inet later {}\n');
    await events.until(() => events.count(NEWTABLE) > 0);
    native().close(handle);
    t.pass();
  }),
);

kernelTest('closing while events pour in is safe', ['addon', 'netns', 'nft'], (t) =>
  withNetns(async (netns) => {
    const before = fdCount();
    const storm = netns.run('sh', [
      '-c',
      `for i in $(seq 30); do ${requireSystemTool('nft')} add table inet s$i; done`,
    ]);
    for (let round = 0; round < 200; round++) {
      const handle = listen(NETLINK_NETFILTER, netns.path, NFNLGRP_NFTABLES);
      // Every second one closes itself from its own callback.
      native().startReader(handle, 0, () => {
        if (round % 2 === 0) native().close(handle);
      });
      await new Promise((resolve) => setTimeout(resolve, round % 4));
      native().close(handle);
    }
    await storm;
    // Pipes of an earlier child may still have been open then; those of this one may be now.
    await until('descriptors are closed', () => fdCount() <= before);
    t.pass();
  }),
);

kernelTest('nothing is called back after close', ['addon', 'netns'], (t) =>
  withNetns(async (netns) => {
    const events = start(listen(NETLINK_ROUTE, netns.path, RTNLGRP_LINK));
    await runIp(netns, ['link add name v0 type veth peer name v1']);
    blockEventLoop(20);
    native().close(events.handle);
    const seen = events.batches.length;
    await runIp(netns, ['link del v0']);
    t.is(events.batches.length, seen);
  }),
);

kernelTest('a reader and an exchange do not share a socket', ['addon'], async (t) => {
  const events = start(listen(NETLINK_ROUTE, '', RTNLGRP_LINK));
  t.is((await native().exchange(events.handle, silence(1), 'acks', 1, 10)).errno, 16);
  t.is(
    native().startReader(events.handle, 0, () => {}),
    -16,
  );
  native().close(events.handle);
});

/** Module code that opens a reader and an exchange that nothing will end. */
const BUSY = `
  ${LOAD_ADDON}
  const reader = native.open(0, '', 0, 0);
  native.join(reader, 1);
  native.startReader(reader, 0, () => {});
  const exchange = native.open(0, '', 0, 0);
  const request = new Uint8Array([16, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
`;

async function exitOf(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once('exit', resolve);
    worker.once('error', reject);
  });
}

async function runWorker(code: string, terminate: boolean): Promise<number> {
  // A data: URL, for eval'd workers are CommonJS.
  const source = `${code}\nimport { parentPort } from 'node:worker_threads'; parentPort.postMessage('up');`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  const exited = exitOf(worker);
  await Promise.race([once(worker, 'message'), exited]);
  if (terminate) await worker.terminate();
  return exited;
}

kernelTest('a worker that exits ends its reader and its exchange', ['addon'], async (t) => {
  const rows: readonly [string, string, boolean, number][] = [
    ['a reader alone does not keep it', '', false, 0],
    ['exits by itself', 'setTimeout(() => process.exit(3), 5);', false, 3],
    ['is terminated', 'setInterval(() => {}, 1000);', true, 1],
    [
      'exits while an exchange waits',
      "native.exchange(exchange, request, 'acks', 1, 600_000); setTimeout(() => process.exit(4), 5);",
      false,
      4,
    ],
    [
      'is terminated while an exchange waits',
      "native.exchange(exchange, request, 'acks', 1, 600_000);",
      true,
      1,
    ],
  ];
  await runWorker(BUSY, true);
  const before = fdCount();
  for (const [name, code, terminate, exitCode] of rows) {
    for (let round = 0; round < 5; round++) {
      t.is(await runWorker(BUSY + code, terminate), exitCode, name);
    }
  }
  t.true(fdCount() <= before);
});

kernelTest('a process ends whatever is under way', ['addon', 'netns'], async (t) => {
  const rows: readonly [string, string, number][] = [
    ['a reader alone does not keep it', '', 0],
    ['process.exit', "native.exchange(exchange, request, 'acks', 1, 600_000); process.exit(5);", 5],
    ['a throwing callback is uncaught', THROWING_CALLBACK, 7],
    [
      'an exchange keeps it until its timeout',
      "native.exchange(exchange, request, 'acks', 1, 30).then(({ errno }) => process.exit(errno));",
      110,
    ],
  ];
  for (const [name, code, exitCode] of rows) await checkProcess(t, name, BUSY + code, exitCode);
});

/** The reader's first event throws; the handler shows that Node treats it as uncaught. */
const THROWING_CALLBACK = `
  process.on('uncaughtException', (error) => process.exit(error.message === 'ours' ? 7 : 8));
  const { spawnSync } = await import('node:child_process');
  const loud = native.open(0, '', 0, 0);
  native.join(loud, 1);
  native.startReader(loud, 0, () => { throw new Error('ours'); });
  setTimeout(() => process.exit(9), 60_000);
  spawnSync('ip', ['link', 'add', 'picket-throw0', 'type', 'veth', 'peer', 'name', 'picket-throw1']);
  spawnSync('ip', ['link', 'del', 'picket-throw0']);
`;

async function checkProcess(
  t: ExecutionContext,
  name: string,
  code: string,
  exitCode: number,
): Promise<void> {
  const command = [process.execPath, '--input-type=module', '-e', code];
  const result = await execa(requireSystemTool('unshare'), ['--net', '--', ...command], {
    reject: false,
  });
  t.is(result.exitCode, exitCode, `${name}: ${result.stderr}`);
}
