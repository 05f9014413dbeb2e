import test from 'ava';
import { toConnection } from '../../../../agent/guard/operator.ts';
import { printConnection } from '../../../../agent/guard/denied.ts';

for (const { name, in: text, out } of [
  {
    name: 'IPv4',
    in: '192.0.2.9 50000 192.0.2.1 22',
    out: 'tcp 192.0.2.9:50000 -> 192.0.2.1:22',
  },
  {
    name: 'IPv6 with a zone',
    in: 'fe80::2%eth0 50000 fe80::1%eth0 22',
    out: 'tcp [fe80::2]:50000 -> [fe80::1]:22',
  },
  {
    name: 'IPv4 in IPv6',
    in: '::ffff:192.0.2.9 50000 ::ffff:192.0.2.1 22',
    out: 'tcp 192.0.2.9:50000 -> 192.0.2.1:22',
  },
  { name: 'nothing', in: '', out: undefined },
  { name: 'a console', in: 'UNKNOWN 65535 UNKNOWN 65535', out: undefined },
  { name: 'too few words', in: '192.0.2.9 50000 192.0.2.1', out: undefined },
  { name: 'too many', in: '192.0.2.9 50000 192.0.2.1 22 x', out: undefined },
  { name: 'no port', in: '192.0.2.9 0 192.0.2.1 22', out: undefined },
  { name: 'two families', in: '192.0.2.9 50000 2001:db8::1 22', out: undefined },
]) {
  test(`SSH_CONNECTION: ${name}`, (t) => {
    const connection = toConnection(text);
    t.is(connection && printConnection(connection), out);
  });
}

for (const { name, in: text, out } of [
  { name: 'link-local', in: 'fe80::2%eth0 50000 fe80::1%eth0 22', out: 'eth0' },
  { name: 'of everywhere', in: '2001:db8::9 50000 2001:db8::1 22', out: undefined },
]) {
  test(`SSH_CONNECTION: the interface of an address that is ${name}`, (t) => {
    t.is(toConnection(text)?.zone, out);
  });
}
