import test from 'ava';
import { AgentError } from '../../../../agent/errors.ts';
import type { Native } from '../../../../agent/native/native.ts';
import { NetlinkSocket } from '../../../../agent/netlink/socket.ts';

const HANDLE = 7;
const ignore = (): void => {};

/** An addon that answers as told and remembers what it was asked. */
function scripted(answers: Partial<Native>): { native: Native; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const defaults: Native = {
    open: () => HANDLE,
    portId: () => 4242,
    sndbufBytes: () => 4096,
    setSndbuf: (_handle, bytes) => 2 * bytes,
    join: () => 0,
    exchange: async () => ({ errno: 0, bytes: new Uint8Array([1]) }),
    startReader: () => 0,
    close: () => undefined,
    sendUnixDatagram: () => 0,
    queuedBytes: () => 0,
    trimMemory: () => 0,
  };
  const native = Object.fromEntries(
    Object.entries({ ...defaults, ...answers }).map(([name, fn]) => [
      name,
      (...args: never[]) => {
        calls.push([name, ...args]);
        return Reflect.apply(fn, undefined, args) as unknown;
      },
    ]),
  ) as unknown as Native;
  return { native, calls };
}

function open(native: Native, netnsPath = ''): NetlinkSocket {
  return NetlinkSocket.open(native, { protocol: 12, netnsPath });
}

const OPEN_ERRORS = [
  { netns: '/run/netns/x', errno: 2, code: 'ERR_NETNS', says: /\/run\/netns\/x.*no such file/ },
  { netns: '/etc/passwd', errno: 22, code: 'ERR_NETNS', says: /not a network namespace/ },
  { netns: '/run/netns/x', errno: 1, code: 'ERR_NO_PERMISSION', says: /EPERM.*CAP_SYS_ADMIN/ },
  { netns: '/run/netns/x', errno: 13, code: 'ERR_NO_PERMISSION', says: /EACCES/ },
  { netns: '', errno: 93, code: 'ERR_NETLINK_UNSUPPORTED', says: /protocol 12.*EPROTONOSUPPORT/ },
  { netns: '', errno: 24, code: 'ERR_NETLINK_IO', says: /EMFILE/ },
  { netns: '', errno: 2, code: 'ERR_NETLINK_IO', says: /ENOENT/ },
] as const;

for (const { netns, errno, code, says } of OPEN_ERRORS) {
  test(`open: errno ${errno} for '${netns}' is ${code}`, (t) => {
    const { native } = scripted({ open: () => -errno });
    const error = t.throws(() => open(native, netns), { instanceOf: AgentError, message: says });
    t.is(error.code, code);
  });
}

const EXCHANGE_ERRORS = [
  { errno: 105, code: 'ERR_NETLINK_OVERRUN', retry: 'resync' },
  { errno: 110, code: 'ERR_NETLINK_TIMEOUT', retry: 'resync' },
  { errno: 125, code: 'ERR_NETLINK_CLOSED', retry: 'never' },
  { errno: 9, code: 'ERR_NETLINK_CLOSED', retry: 'never' },
  { errno: 1, code: 'ERR_NO_PERMISSION', retry: 'never' },
  { errno: 74, code: 'ERR_NETLINK_IO', retry: 'backoff' },
] as const;

for (const { errno, code, retry } of EXCHANGE_ERRORS) {
  test(`exchange: errno ${errno} is ${code}`, async (t) => {
    const { native } = scripted({ exchange: async () => ({ errno, bytes: new Uint8Array() }) });
    const failed = open(native).exchange(new Uint8Array(20), 'acks', 1, 10);
    const error = await t.throwsAsync(failed, { instanceOf: AgentError });
    t.is(error.code, code);
    t.is(error.retry, retry);
    t.deepEqual(error.detail, { errno });
  });
}

test('exchange: one after the other, also after a failure', async (t) => {
  const answer: (() => void)[] = [];
  let running = 0;
  const { native } = scripted({
    exchange: async (_handle, _bytes, _expect, seq) => {
      t.is(++running, 1);
      await new Promise<void>((resolve) => answer.push(resolve));
      running--;
      return { errno: seq === 1 ? 110 : 0, bytes: new Uint8Array([seq]) };
    },
  });
  const socket = open(native);
  const results = [1, 2, 3].map((seq) => socket.exchange(new Uint8Array(20), 'dump', seq, 10));
  const settled = Promise.allSettled(results);
  for (let seq = 1; seq <= 3; seq++) {
    while (answer.length === 0) await new Promise((resolve) => setImmediate(resolve));
    t.is(answer.length, 1);
    answer.pop()?.();
  }
  t.deepEqual(
    (await settled).map((result) => (result.status === 'fulfilled' ? result.value[0] : 'failed')),
    ['failed', 2, 3],
  );
});

test('exchange: the send buffer grows only when a batch needs it', async (t) => {
  const { native, calls } = scripted({});
  const socket = open(native);
  await socket.exchange(new Uint8Array(4096 - 32), 'acks', 1, 10);
  t.false(calls.some(([name]) => name === 'setSndbuf'));
  await socket.exchange(new Uint8Array(4096 - 31), 'acks', 2, 10);
  t.deepEqual(
    calls.filter(([name]) => name === 'setSndbuf'),
    [['setSndbuf', HANDLE, 4097]],
  );
});

test('exchange: a batch the buffer cannot grow to is not sent', async (t) => {
  const { native, calls } = scripted({ setSndbuf: () => 8192 });
  const failed = open(native).exchange(new Uint8Array(10_000), 'acks', 1, 10);
  const error = await t.throwsAsync(failed, { instanceOf: AgentError, message: /wmem_max/ });
  t.is(error.code, 'ERR_NETLINK_TOO_BIG');
  t.deepEqual(error.detail, { lengthBytes: 10_000, sndbufBytes: 8192 });
  t.false(calls.some(([name]) => name === 'exchange'));
});

test('read: joins before it reads', (t) => {
  const { native, calls } = scripted({});
  open(native).read([7, 9], ignore, 4242);
  t.deepEqual(calls.slice(2), [
    ['join', HANDLE, 7],
    ['join', HANDLE, 9],
    ['startReader', HANDLE, 4242, ignore],
  ]);
});

test('read: a group that cannot be joined is an error', (t) => {
  const { native } = scripted({ join: () => -1 });
  const error = t.throws(() => open(native).read([7], ignore), { message: /group 7: EPERM/ });
  t.is((error as AgentError).code, 'ERR_NO_PERMISSION');
});

test('close: hands the handle back, also as a disposable', (t) => {
  const { native, calls } = scripted({});
  {
    using socket = open(native);
    t.is(socket.portId, 4242);
  }
  t.deepEqual(calls.at(-1), ['close', HANDLE]);
});
