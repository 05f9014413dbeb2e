/** What /proc/net/tcp and tcp6 say, as text of Linux 6.18. */
import test from 'ava';
import { printConnection } from '../../../../agent/guard/denied.ts';
import {
  establishedConnections,
  listeningPorts,
  withoutTracked,
} from '../../../../agent/guard/sockets.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid';

const V4 = [
  HEAD,
  '   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0',
  // 192.0.2.1:22 from 192.0.2.9:50000
  '   1: 010200C0:0016 090200C0:C350 01 00000000:00000000 00:00000000 00000000     0',
  // 192.0.2.1:40000 to 192.0.2.9:5432
  '   2: 010200C0:9C40 090200C0:1538 01 00000000:00000000 00:00000000 00000000     0',
  // closed, TIME_WAIT
  '   3: 010200C0:9C41 090200C0:1538 06 00000000:00000000 00:00000000 00000000     0',
  '',
].join('\n');

const V6 = [
  HEAD,
  '   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000',
  // [2001:db8::1]:80 from [2001:db8::9]:50001
  '   1: B80D0120000000000000000001000000:0050 B80D0120000000000000000009000000:C351 01 00000000:00000000',
  // [::ffff:192.0.2.1]:80 from [::ffff:192.0.2.9]:50002
  '   2: 0000000000000000FFFF0000010200C0:0050 0000000000000000FFFF0000090200C0:C352 01 00000000:00000000',
  '',
].join('\n');

const read = (path: string): string => (path.endsWith('6') ? V6 : V4);

test('who listens', (t) => {
  t.deepEqual([...listeningPorts(read)], [22, 80]);
});

test('connections that stand, with who began them', (t) => {
  t.deepEqual(establishedConnections(read).map(printConnection), [
    'tcp 192.0.2.9:50000 -> 192.0.2.1:22',
    'tcp 192.0.2.1:40000 -> 192.0.2.9:5432',
    'tcp [2001:db8::9]:50001 -> [2001:db8::1]:80',
    'tcp 192.0.2.9:50002 -> 192.0.2.1:80',
  ]);
});

test('what is tracked is left out, whoever began it and whatever it was translated to', (t) => {
  const [ssh, out, web, mapped] = establishedConnections(read);
  if (!ssh || !out || !web || !mapped) return t.fail();
  const { saddr: daddr, daddr: saddr, sport: dport, dport: sport } = out.sent;
  const turned = { ...out.sent, saddr, daddr, sport, dport };
  const redirected = { sent: { ...mapped.sent, dport: 8080 }, arrived: mapped.arrived };
  const tracked = [{ sent: turned, arrived: turned }, redirected];
  t.deepEqual(withoutTracked([ssh, out, web, mapped], tracked), [ssh, web]);
});

test('without tables there is nothing', (t) => {
  t.deepEqual(
    establishedConnections(() => ''),
    [],
  );
});
