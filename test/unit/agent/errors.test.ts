import test from 'ava';
import {
  AgentError,
  NetlinkNack,
  describeErrno,
  errnoName,
  syscallError,
} from '../../../agent/errors.ts';

test('a nack names the origin, the errno and what the kernel said', (t) => {
  const detail = {
    errno: 2,
    seq: 9,
    extAck: 'no such set',
    offset: 40,
    origin: 'rule web-allow#3',
  };
  const nack = new NetlinkNack(detail);
  t.is(nack.message, 'rule web-allow#3: ENOENT (no such file or directory): no such set');
  t.is(nack.code, 'ERR_NETLINK_NACK');
  t.is(nack.name, 'NetlinkNack');
  t.is(nack.retry, 'resync');
  t.deepEqual(nack.detail, detail);
  t.is(
    new NetlinkNack({ ...detail, extAck: '' }).message,
    'rule web-allow#3: ENOENT (no such file or directory)',
  );
});

const ERRNOS = [
  { errno: 22, name: 'EINVAL', text: 'EINVAL (invalid argument)' },
  { errno: 11, name: 'EAGAIN', text: 'EAGAIN (resource temporarily unavailable)' },
  { errno: 95, name: 'EOPNOTSUPP', text: 'EOPNOTSUPP (operation not supported on socket)' },
  { errno: 85, name: 'ERESTART', text: 'ERESTART' },
  { errno: 74, name: 'EBADMSG', text: 'EBADMSG' },
  { errno: 4000, name: 'errno 4000', text: 'errno 4000' },
] as const;

for (const { errno, name, text } of ERRNOS) {
  test(`errno ${errno} is described as ${text}`, (t) => {
    t.is(errnoName(errno), name);
    t.is(describeErrno(errno), text);
  });
}

test('a system call error keeps errno and meaning', (t) => {
  const error = syscallError('send', 105);
  t.true(error instanceof AgentError);
  t.is(error.message, 'send: ENOBUFS (no buffer space available)');
  t.is(error.code, 'ERR_NETLINK_OVERRUN');
});
