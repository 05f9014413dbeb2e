/** A program as stable text, for people and goldens. One line per tier, policy and rule; ends with a line break. */
import type { FieldName, FieldTable } from '../model/fields.ts';
import { printAddress } from '../model/ip.ts';
import type { Family } from '../model/ip.ts';
import type { IrPolicy, IrProgram, IrRule, Range, Test } from './ir.ts';

type PrintValue = (value: bigint, family: Family) => string;

/** Known protocols by name; IANA protocol numbers. */
const PROTOCOL_NAMES: ReadonlyMap<bigint, string> = new Map([
  [1n, 'icmp'],
  [6n, 'tcp'],
  [17n, 'udp'],
  [58n, 'icmpv6'],
  [132n, 'sctp'],
  [136n, 'udplite'],
]);

const printAddressValue: PrintValue = (value, family) => printAddress({ family, value });
const printNumber: PrintValue = (value) => value.toString();

const PRINT_VALUES: FieldTable<PrintValue> = {
  saddr: printAddressValue,
  daddr: printAddressValue,
  protocol: (value) => PROTOCOL_NAMES.get(value) ?? value.toString(),
  sport: printNumber,
  dport: printNumber,
  icmp: (value) => `${value >> 8n}/${value & 0xffn}`,
};

/**
 * Layout: `program`, `tier` lines, `policy` below, numbered rules below those; then `profiles`, or what becomes of packets that no tier
 * decides.
 */
export function printProgram(program: IrProgram, isDecided = true): string {
  const lines = [`program ${program.direction} ipv${program.family}`];
  for (const tier of program.tiers) {
    lines.push(`  tier ${tier.name} (end: ${tier.end})`);
    for (const policy of tier.policies) lines.push(...printPolicyLines(policy, '    '));
  }
  lines.push(isDecided ? '  profiles' : '  undecided: goes on');
  for (const profile of program.profiles) lines.push(...printPolicyLines(profile, '    '));
  return `${lines.join('\n')}\n`;
}

/** `allow protocol tcp, dport 80-81, saddr @s:abc`; the tests that are negated have a `!`. */
export function printRule(rule: IrRule, family: Family): string {
  const tests = rule.tests.map((test) => printTest(test, family));
  return `${rule.verdict} ${tests.length === 0 ? 'all' : tests.join(', ')}`;
}

function printPolicyLines(policy: IrPolicy, indent: string): string[] {
  const rules = policy.rules.map(
    (rule) => `${indent}  [${rule.index}] ${printRule(rule, policy.family)}`,
  );
  return [`${indent}${policy.id}`, ...rules];
}

function printTest(test: Test, family: Family): string {
  const not = test.negate ? '!' : '';
  switch (test.kind) {
    case 'ranges': {
      const ranges = test.ranges.map((range) => printRange(range, test.field, family));
      return `${test.field} ${not}${ranges.length === 1 ? ranges.join('') : `{${ranges.join(' ')}}`}`;
    }
    case 'member':
      return `${test.fields.join('.')} ${not}@${test.set}`;
  }
}

function printRange({ first, last }: Range, field: FieldName, family: Family): string {
  const print = PRINT_VALUES[field];
  const text = print(first, family);
  return first === last ? text : `${text}-${print(last, family)}`;
}
