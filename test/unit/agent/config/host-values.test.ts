/** Keys of host policy: what is read, how it is printed, and what a wrong value is told. */
import test from 'ava';
import { FAILSAFE, MARK_BIT } from '../../../../agent/config/host-values.ts';
import { DEFAULT_CONFIG } from '../../../../agent/config/keys.ts';

const FAILSAFES: readonly { in: unknown; out: string | undefined }[] = [
  { in: 'tcp:22', out: "'tcp:22'" },
  { in: 'udp:0', out: "'udp:0'" },
  { in: 'tcp:65535', out: "'tcp:65535'" },
  { in: 'tcp:10.0.0.0/8:22', out: "'tcp:10.0.0.0/8:22'" },
  { in: 'udp:[fd00::/8]:53', out: "'udp:[fd00::/8]:53'" },
  { in: 'tcp:65536', out: undefined },
  { in: 'tcp:', out: undefined },
  { in: 'sctp:22', out: undefined },
  { in: 'TCP:22', out: undefined },
  { in: '22', out: undefined },
  { in: 22, out: undefined },
  { in: 'tcp:fd00::/8:22', out: undefined },
  { in: 'tcp:[10.0.0.0/8]:22', out: undefined },
  { in: 'tcp:10.0.0.0/33:22', out: undefined },
  { in: 'tcp:10.0.0.1:22', out: undefined },
  { in: { protocol: 'tcp', port: 22 }, out: undefined },
];

for (const { in: value, out } of FAILSAFES) {
  test(`failsafe ${JSON.stringify(value)}`, (t) => {
    const read = FAILSAFE.read(value);
    t.is('wrong' in read ? undefined : FAILSAFE.print(read.value), out);
    if ('wrong' in read) t.regex(read.wrong.message, /tcp:22, tcp:10\.0\.0\.0\/8:22/);
  });
}

const BITS: readonly { in: string; out: string | undefined }[] = [
  { in: '0x10000000', out: '0x10000000' },
  { in: '1', out: '0x1' },
  { in: '0x80000000', out: '0x80000000' },
  { in: '0x100000000', out: undefined },
  { in: '0', out: undefined },
  { in: '3', out: undefined },
  { in: '-1', out: undefined },
  { in: 'bit', out: undefined },
];

for (const { in: text, out } of BITS) {
  test(`mark bit ${text}`, (t) => {
    const read = MARK_BIT.read(MARK_BIT.fromText(text));
    t.is('wrong' in read ? undefined : MARK_BIT.print(read.value), out);
  });
}

test("the defaults are the specification's lists", (t) => {
  const lists = [DEFAULT_CONFIG.failsafeInboundHostPorts, DEFAULT_CONFIG.failsafeOutboundHostPorts];
  const texts = lists.map((list) => list.map((each) => FAILSAFE.print(each).replaceAll("'", '')));
  const common = [
    'tcp:179',
    'tcp:2379',
    'tcp:2380',
    'tcp:5473',
    'tcp:6443',
    'tcp:6666',
    'tcp:6667',
  ];
  t.deepEqual(texts, [
    ['tcp:22', 'udp:68', ...common],
    ['udp:53', 'udp:67', ...common],
  ]);
});
