import test from 'ava';
import { AgentError, describeErrno, errnoName, syscallError } from '../../../agent/errors.ts';

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
