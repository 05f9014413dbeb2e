import test from 'ava';
import { evalProgram, ruleMatches } from '../../../../compiler/ir/eval.ts';
import type { IrPolicy, IrProgram, IrRule, IrVerdict, Test } from '../../../../compiler/ir/ir.ts';
import { printProgram } from '../../../../compiler/ir/print.ts';
import type { Packet } from '../../../../compiler/model/packet.ts';
import { packet, portless } from '../../../support/world.ts';

const TCP_80 = packet('10.0.0.1', '10.0.0.2', 80);
const PING = portless('10.0.0.1', '10.0.0.2', 1, { type: 8, code: 0 });
const GRE = portless('10.0.0.1', '10.0.0.2', 47);

const range = (
  field: 'dport' | 'icmp' | 'protocol' | 'saddr',
  first: bigint,
  last = first,
): Test => ({
  kind: 'ranges',
  field,
  negate: false,
  ranges: [{ first, last }],
});
const member = (...fields: ('daddr' | 'protocol' | 'dport')[]): Test => ({
  kind: 'member',
  fields,
  negate: false,
  set: 'set',
});
const not = (of: Test): Test => ({ ...of, negate: true });

/** `set` holds 10.0.0.2 and (10.0.0.2, tcp, 80). */
function memberOf(set: string, values: readonly bigint[]): boolean {
  return set === 'set' && ['167772162', '167772162,6,80'].includes(values.join());
}

const ROWS: readonly { name: string; in: Test; packet: Packet; out: boolean }[] = [
  { name: 'in a range', in: range('dport', 80n, 81n), packet: TCP_80, out: true },
  { name: 'below a range', in: range('dport', 81n, 82n), packet: TCP_80, out: false },
  { name: 'not in a range', in: not(range('dport', 81n)), packet: TCP_80, out: true },
  { name: 'no port', in: range('dport', 0n, 65535n), packet: GRE, out: false },
  { name: 'no port, negated', in: not(range('dport', 80n)), packet: GRE, out: false },
  { name: 'icmp is type and code', in: range('icmp', 0x0800n), packet: PING, out: true },
  { name: 'no icmp, negated', in: not(range('icmp', 0x0800n)), packet: TCP_80, out: false },
  { name: 'address', in: range('saddr', 0x0a000001n), packet: TCP_80, out: true },
  { name: 'member', in: member('daddr'), packet: TCP_80, out: true },
  { name: 'tuple', in: member('daddr', 'protocol', 'dport'), packet: TCP_80, out: true },
  {
    name: 'not a tuple',
    in: not(member('daddr', 'protocol', 'dport')),
    packet: TCP_80,
    out: false,
  },
  {
    name: 'tuple without a port',
    in: member('daddr', 'protocol', 'dport'),
    packet: GRE,
    out: false,
  },
  {
    name: 'no port is in no tuple',
    in: not(member('daddr', 'protocol', 'dport')),
    packet: GRE,
    out: true,
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    const rule: IrRule = { tests: [row.in], verdict: 'allow', index: 0 };
    t.is(ruleMatches(rule, row.packet, memberOf), row.out);
  });
}

const to80 = range('dport', 80n);
const rule = (verdict: IrVerdict, tests: readonly Test[] = [], index = 0): IrRule => ({
  tests,
  verdict,
  index,
});
const policy = (id: string, ...rules: readonly IrRule[]): IrPolicy => ({
  id,
  direction: 'ingress',
  family: 4,
  rules,
});
const program = (
  tiers: Readonly<Record<string, readonly [end: 'deny' | 'pass', ...IrPolicy[]]>>,
  ...profiles: readonly IrPolicy[]
): IrProgram => ({
  direction: 'ingress',
  family: 4,
  tiers: Object.entries(tiers).map(([name, [end, ...policies]]) => ({ name, end, policies })),
  profiles,
});

const PROFILE = policy('pro/kns.shop', rule('allow'));

const PROGRAMS: readonly { name: string; in: IrProgram; out: string }[] = [
  { name: 'nothing at all', in: program({}), out: 'deny no-profile' },
  { name: 'profile', in: program({}, PROFILE), out: 'allow pro/kns.shop[0]' },
  {
    name: 'pass in a profile goes on with the next',
    in: program({}, policy('pro/a', rule('pass')), PROFILE),
    out: 'allow pro/kns.shop[0]',
  },
  {
    name: 'deny in a profile',
    in: program({}, policy('pro/a', rule('deny')), PROFILE),
    out: 'deny pro/a[0]',
  },
  {
    name: 'first terminal rule decides',
    in: program({
      t: ['deny', policy('p', rule('log'), rule('deny', [to80], 1), rule('allow', [], 2))],
    }),
    out: 'deny p[1], logged p[0]',
  },
  {
    name: 'alternatives of one log rule count once',
    in: program({ t: ['deny', policy('p', rule('log'), rule('log', [to80]), rule('log', [], 1))] }),
    out: 'deny end-of-tier t, logged p[0] p[1]',
  },
  {
    name: 'pass leaves the tier and its end',
    in: program({ t: ['deny', policy('p', rule('pass')), policy('q', rule('deny'))] }, PROFILE),
    out: 'allow pro/kns.shop[0]',
  },
  {
    name: 'a tier that passes at its end',
    in: program({ t: ['pass', policy('p')], u: ['deny', policy('q', rule('allow'))] }),
    out: 'allow q[0]',
  },
  {
    name: 'a tier that denies at its end',
    in: program({ t: ['deny', policy('p')], u: ['deny', policy('q', rule('allow'))] }, PROFILE),
    out: 'deny end-of-tier t',
  },
];

for (const row of PROGRAMS) {
  test(`program: ${row.name}`, (t) => {
    const { verdict, by, logged } = evalProgram(row.in, TCP_80, memberOf);
    const cause =
      by.kind === 'rule'
        ? `${by.rule.policy}[${by.rule.index}]`
        : by.kind === 'end-of-tier'
          ? `end-of-tier ${by.tier}`
          : by.kind;
    const log = logged.map((ref) => `${ref.policy}[${ref.index}]`).join(' ');
    t.is(`${verdict} ${cause}${log === '' ? '' : `, logged ${log}`}`, row.out);
  });
}

test('a packet of the other family is an error', (t) => {
  t.throws(() => evalProgram(program({}), packet('fd00::1', 'fd00::2', 80), memberOf), {
    instanceOf: RangeError,
  });
});

test('print', (t) => {
  const tests = [
    range('protocol', 6n),
    range('saddr', 0x0a000000n, 0x0a0000ffn),
    {
      ...not(to80),
      ranges: [
        { first: 80n, last: 81n },
        { first: 90n, last: 90n },
      ],
    } as Test,
    not(range('icmp', 0x0304n)),
    member('daddr', 'protocol', 'dport'),
  ];
  const printed = printProgram(
    program({ t: ['deny', policy('np/a/b', rule('deny', tests, 3), rule('log'))] }, PROFILE),
  );
  t.is(
    printed,
    [
      'program ingress ipv4',
      '  tier t (end: deny)',
      '    np/a/b',
      '      [3] deny protocol tcp, saddr 10.0.0.0-10.0.0.255, dport !{80-81 90}, icmp !3/4, daddr.protocol.dport @set',
      '      [0] log all',
      '  profiles',
      '    pro/kns.shop',
      '      [0] allow all',
      '',
    ].join('\n'),
  );
});
