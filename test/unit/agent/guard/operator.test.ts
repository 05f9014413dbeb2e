import test from 'ava';
import { findSshPort, toConnection } from '../../../../agent/guard/operator.ts';
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

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue';

for (const { name, in: lines, out } of [
  { name: 'nobody listens', in: [HEAD], out: undefined },
  { name: 'sshd', in: [HEAD, '   0: 00000000:0016 00000000:0000 0A 00000000:00000000'], out: 22 },
  { name: 'a client of another', in: ['   0: 0100007F:0016 0100007F:9C40 01 0:0'], out: undefined },
  { name: 'another service', in: ['   0: 00000000:0050 00000000:0000 0A 0:0'], out: undefined },
  { name: 'no table', in: [''], out: undefined },
]) {
  test(`whether sshd listens: ${name}`, (t) =>
    t.is(
      findSshPort(() => lines.join('\n')),
      out,
    ));
}
