/** The words of questions: every form, and what is said about what is none. */
import test from 'ava';
import { printAddress } from '../../../../compiler/model/ip.ts';
import { readQuestion } from '../../../../agent/explain/question.ts';
import type { EndWord } from '../../../../agent/explain/question.ts';

const SERVICES = [
  { in: 'tcp/80', out: '4:6/80 6:6/80' },
  { in: 'UDP/53', out: '4:17/53 6:17/53' },
  { in: 'sctp/1', out: '4:132/1 6:132/1' },
  { in: 'udplite/7', out: '4:136/7 6:136/7' },
  { in: 'tcp/0', out: '4:6/0 6:6/0' },
  { in: 'icmp', out: '4:1 8.0 6:58 128.0' },
  { in: 'icmp/3/1', out: '4:1 3.1' },
  { in: 'icmp/8', out: '4:1 8.0' },
  { in: 'icmpv6', out: '6:58 128.0' },
  { in: 'icmpv6/135/0', out: '6:58 135.0' },
  { in: '47', out: '4:47 6:47' },
];

for (const row of SERVICES) {
  test(`service ${row.in}`, (t) => {
    const read = readQuestion('a/b', 'c/d', row.in);
    if ('wrong' in read) return t.fail(read.wrong);
    const shown = Object.entries(read.value.service).map(([family, header]) => {
      const { protocol, dport, icmpType, icmpCode } = header;
      const port = dport === undefined ? '' : `/${dport}`;
      return `${family}:${protocol}${port}${icmpType === undefined ? '' : ` ${icmpType}.${icmpCode}`}`;
    });
    return t.is(shown.join(' '), row.out);
  });
}

const ENDS = [
  { in: 'shop/web', out: 'workload shop/web' },
  { in: '10.0.0.1', out: 'address 10.0.0.1' },
  { in: 'fd00:0::1', out: 'address fd00::1' },
  { in: 'host', out: 'host' },
  { in: 'host@eth0', out: 'host at eth0' },
  { in: '10.0.0.1@eth1.5', out: 'address 10.0.0.1 at eth1.5' },
  { in: 'fd00::1@wg-0', out: 'address fd00::1 at wg-0' },
];

for (const row of ENDS) {
  test(`end ${row.in}`, (t) => {
    const read = readQuestion(row.in, row.in, 'tcp/80');
    if ('wrong' in read) return t.fail(read.wrong);
    return t.deepEqual([printEnd(read.value.from), printEnd(read.value.to)], [row.out, row.out]);
  });
}

function printEnd(end: EndWord): string {
  if (end.kind === 'workload') return `workload ${end.id}`;
  const at = end.interface === undefined ? '' : ` at ${end.interface}`;
  return end.kind === 'host' ? `host${at}` : `address ${printAddress(end.address)}${at}`;
}

const VIAS = [
  { in: '192.0.2.1:30080', out: '192.0.2.1 30080' },
  { in: '192.0.2.1', out: '192.0.2.1' },
  { in: 'fd00::1', out: 'fd00::1' },
  { in: '[fd00::1]:443', out: 'fd00::1 443' },
  { in: '10.96.0.1:80@eth0', out: '10.96.0.1 80 eth0' },
];

for (const row of VIAS) {
  test(`via ${row.in}`, (t) => {
    const read = readQuestion('a/b', 'c/d', 'tcp/80', row.in);
    if ('wrong' in read) return t.fail(read.wrong);
    const { via } = read.value;
    if (via === undefined) return t.fail();
    const words = [printAddress(via.address), via.port, via.interface];
    t.is(words.filter((word) => word !== undefined).join(' '), row.out);
    return t.is(read.value.text, `a/b -> c/d tcp/80 via ${row.in}`);
  });
}

const WRONG_VIAS = [
  '',
  'web',
  '192.0.2.1:70000',
  '192.0.2.1:',
  'fd00::1]:80',
  '192.0.2.1@a b',
  '192.0.2.1@a@b',
];

for (const word of WRONG_VIAS) {
  test(`refused: via ${JSON.stringify(word)}`, (t) => {
    const read = readQuestion('a/b', 'c/d', 'tcp/80', word);
    t.regex('wrong' in read ? read.wrong : '', /^via: .* is no destination: say ADDRESS/);
  });
}

test('via of another family than an end', (t) => {
  const read = readQuestion('203.0.113.9', 'c/d', 'tcp/80', 'fd00::1');
  t.regex('wrong' in read ? read.wrong : '', /of different IP families/);
});

const WRONG = [
  {
    name: 'a misspelt protocol',
    in: 'a/b c/d tpc/80',
    says: /unknown protocol; did you mean "tcp"/,
  },
  {
    name: 'no port',
    in: 'a/b c/d tcp',
    says: /"tcp" is no PROTO\/PORT: the port is missing; say tcp\/80/,
  },
  { name: 'a port too large', in: 'a/b c/d tcp/65536', says: /a port is a number from 0 to 65535/ },
  { name: 'a port name', in: 'a/b c/d tcp/http', says: /a port is a number/ },
  { name: 'a second port', in: 'a/b c/d tcp/80/81', says: /a port is a number/ },
  { name: 'a type too large', in: 'a/b c/d icmp/256', says: /type and code are 0 to 255/ },
  { name: 'a protocol with a name, by number', in: 'a/b c/d 6', says: /protocol 6 is said as tcp/ },
  { name: 'protocol 0', in: 'a/b c/d 0', says: /unknown protocol/ },
  { name: 'protocol 256', in: 'a/b c/d 256', says: /unknown protocol/ },
  { name: 'a port of a protocol by number', in: 'a/b c/d 47/80', says: /has no ports/ },
  {
    name: 'a bare name',
    in: 'web c/d tcp/80',
    says: /"web" is no end of a connection: say NAMESPACE\/POD/,
  },
  { name: 'a prefix', in: '10.0.0.0/8 c/d tcp/80', says: undefined },
  { name: 'upper case', in: 'A/b c/d tcp/80', says: /"A\/b" is no end/ },
  { name: 'an interface of a pod', in: 'a/b@eth0 c/d tcp/80', says: /"a\/b@eth0" is no end/ },
  { name: 'two interfaces', in: 'host@a@b c/d tcp/80', says: /"host@a@b" is no end/ },
  { name: 'no interface', in: 'host@ c/d tcp/80', says: /"host@" is no end/ },
  { name: 'mixed families', in: '10.0.0.1 fd00::1 tcp/80', says: /different IP families/ },
  {
    name: 'everything at once',
    in: 'x y z',
    says: /"x" is no end.*"y" is no end.*"z" is no PROTO/,
  },
];

for (const row of WRONG) {
  test(`wrong: ${row.name}`, (t) => {
    const [from = '', to = '', service = ''] = row.in.split(' ');
    const read = readQuestion(from, to, service);
    // A prefix has the form of a name; that there is no such pod is said later.
    if (row.says === undefined) return t.true('value' in read);
    return t.regex('wrong' in read ? read.wrong : '', row.says);
  });
}
