/** sd_notify: what is taken from the environment, and the bytes of each message. */
import test from 'ava';
import { reloading, takeNotifier } from '../../../../agent/obs/notify.ts';
import type { NotifyFields } from '../../../../agent/obs/notify.ts';

const PID = 77;
const SOCKET = { NOTIFY_SOCKET: '/run/systemd/notify' };

const ENVIRONMENTS = [
  { name: 'nothing', in: {}, out: 'silent' },
  { name: 'an empty path', in: { NOTIFY_SOCKET: '' }, out: 'silent' },
  { name: 'another address family', in: { NOTIFY_SOCKET: 'vsock:2:1' }, out: 'silent' },
  { name: 'an abstract name', in: { NOTIFY_SOCKET: '@notify' }, out: undefined },
  { name: 'no watchdog', in: SOCKET, out: undefined },
  { name: 'a watchdog', in: { ...SOCKET, WATCHDOG_USEC: '30000000' }, out: 30_000 },
  {
    name: 'a watchdog for us',
    in: { ...SOCKET, WATCHDOG_USEC: '500', WATCHDOG_PID: '77' },
    out: 0.5,
  },
  {
    name: 'a watchdog for our parent',
    in: { ...SOCKET, WATCHDOG_USEC: '500', WATCHDOG_PID: '78' },
    out: undefined,
  },
  { name: 'nonsense', in: { ...SOCKET, WATCHDOG_USEC: '-1' }, out: undefined },
  { name: 'zero', in: { ...SOCKET, WATCHDOG_USEC: '0' }, out: undefined },
] as const;

for (const { name, in: variables, out } of ENVIRONMENTS) {
  test(`environment: ${name}`, (t) => {
    const env: Record<string, string | undefined> = { ...variables, HOME: '/' };
    const notifier = takeNotifier(env, PID, () => 0);
    if (out === 'silent') t.is(notifier, undefined);
    else t.deepEqual(notifier?.watchdogMs, out);
    t.deepEqual(env, { HOME: '/' }, 'children get none of it');
  });
}

const MESSAGES: readonly { name: string; in: NotifyFields; out: string }[] = [
  { name: 'one field', in: { READY: 1 }, out: 'READY=1\n' },
  { name: 'two', in: { READY: 1, STATUS: 'in sync' }, out: 'READY=1\nSTATUS=in sync\n' },
  {
    name: 'a value that would be another field',
    in: { STATUS: 'a\nMAINPID=1\r\nb' },
    out: 'STATUS=a MAINPID=1 b\n',
  },
  { name: 'a long value', in: { STATUS: 'ä'.repeat(500) }, out: `STATUS=${'ä'.repeat(399)}…\n` },
  {
    name: 'a reload',
    in: reloading(1_234_567_899n),
    out: 'RELOADING=1\nMONOTONIC_USEC=1234567\n',
  },
];

for (const { name, in: fields, out } of MESSAGES) {
  test(`message: ${name}`, (t) => {
    const sent: string[] = [];
    const notifier = takeNotifier({ NOTIFY_SOCKET: '@x' }, PID, (path, bytes) => {
      sent.push(`${path} ${Buffer.from(bytes).toString()}`);
      return 0;
    });
    t.true(notifier?.send(fields));
    t.deepEqual(sent, [`@x ${out}`]);
  });
}

test('a message that is not taken is told', (t) => {
  const notifier = takeNotifier({ NOTIFY_SOCKET: '@x' }, PID, () => -11);
  t.false(notifier?.send({ READY: 1 }));
});
