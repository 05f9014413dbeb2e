/**
 * Rules of Calico policies and profiles. Comes in: the list as written; goes out: one `Rule` per entry, at its place. An entry
 * with any error has no conditions any more: it allows nothing or denies everything. Source: specification 1.14, appendix B.
 */
import type { Cidr, Family } from '../ip.ts';
import type {
  Action,
  EntityMatch,
  IcmpMatch,
  PortMatch,
  ProtocolMatch,
  Rule,
  RuleMatch,
} from '../policy.ts';
import { type RuleScope, readEntity } from './entity.ts';
import { refuseHttp } from './http.ts';
import { ICMP, ICMPV6, hasPorts, readProtocol } from './protocol.ts';
import {
  type Cursor,
  attempt,
  fail,
  fieldOf,
  isAbsent,
  isObject,
  readFields,
  readInteger,
  readTextMap,
  readWord,
  requirePresent,
  show,
} from './reader.ts';
import { RULE_EFFECTS, brokenRule } from './rule-parts.ts';

/** Entries of one rule list. */
export const MAX_RULES = 1024;

const FIELDS = [
  'action',
  'ipVersion',
  'protocol',
  'notProtocol',
  'icmp',
  'notICMP',
  'source',
  'destination',
  'http',
  'metadata',
] as const;

type RuleFields = Readonly<Record<(typeof FIELDS)[number], Cursor>>;

export function readRules(list: readonly Cursor[], scope: RuleScope): readonly Rule[] {
  return list.map((at, index) => readRule(at, index, scope));
}

function readRule(at: Cursor, index: number, scope: RuleScope): Rule {
  const action = attempt(at, UNKNOWN_ACTION, readAction);
  if (action === undefined) return brokenRule('deny', index);
  const name = readRuleName(fieldOf(at, 'metadata'));
  const match = attempt(at, RULE_EFFECTS[action], (rule) => readMatch(rule, action, scope));
  return match === undefined ? brokenRule(action, index, name) : { action, index, name, match };
}

const UNKNOWN_ACTION = 'this rule denies everything, because what it should do is not known';

const ACTIONS: Readonly<Record<'Allow' | 'Deny' | 'Log' | 'Pass', Action>> = {
  Allow: 'allow',
  Deny: 'deny',
  Log: 'log',
  Pass: 'pass',
};

const ACTION_NAMES = ['Allow', 'Deny', 'Log', 'Pass'] as const;

function readAction(at: Cursor): Action | undefined {
  if (!isObject(at.value))
    return fail(at, 'not-an-object', `expected a rule, found ${show(at.value)}`);
  const action = fieldOf(at, 'action');
  if (!requirePresent(action, 'the action')) return undefined;
  const word = readWord(action, ACTION_NAMES, 'exact');
  return word === undefined ? undefined : ACTIONS[word];
}

/** Has no effect on matching, so nothing wrong with it does. */
function readRuleName(at: Cursor): string | undefined {
  const quiet = { ...at, sink: { issues: [], errors: 0, dropped: 0 } };
  return readTextMap(fieldOf(quiet, 'annotations')).get('name');
}

function readMatch(at: Cursor, action: Action, scope: RuleScope): RuleMatch {
  const fields = readFields(at, FIELDS, 'strict');
  refuseHttp(fields.http, action, scope.direction, fields.protocol);
  const match: RuleMatch = {
    ipVersion: readIpVersion(fields.ipVersion),
    protocol: readProtocol(fields.protocol),
    notProtocol: readProtocol(fields.notProtocol),
    icmp: readIcmp(fields.icmp),
    notIcmp: readNotIcmp(fields.notICMP),
    source: readEntity(fields.source, 'source', scope),
    destination: readEntity(fields.destination, 'destination', scope),
  };
  checkIcmp(fields, match);
  checkPorts(fields, match);
  checkFamilies(at, match);
  return match;
}

function readIpVersion(at: Cursor): Family | undefined {
  if (isAbsent(at)) return undefined;
  if (at.value === 4 || at.value === 6) return at.value;
  return fail(at, 'out-of-range', `ipVersion ${show(at.value)} is neither 4 nor 6`);
}

function readIcmp(at: Cursor): IcmpMatch | undefined {
  if (isAbsent(at)) return undefined;
  const fields = readFields(at, ['type', 'code'], 'strict');
  const type = readInteger(fields.type, 0, 254);
  const code = readInteger(fields.code, 0, 255);
  if (code !== undefined && isAbsent(fields.type)) {
    return fail(fields.code, 'icmp-code-without-type', 'ICMP code specified without an ICMP type');
  }
  return type === undefined ? undefined : { type, code };
}

/** `notICMP: {}` would negate nothing in particular, so it is not a condition that can be kept. */
function readNotIcmp(at: Cursor): IcmpMatch | undefined {
  const match = readIcmp(at);
  if (!isAbsent(at) && match === undefined) fail(at, 'missing', 'notICMP must have a type');
  return match;
}

function checkIcmp(fields: RuleFields, { protocol, notProtocol, ipVersion }: RuleMatch): void {
  const isIcmp = protocol?.number === ICMP || protocol?.number === ICMPV6;
  // notICMP implies the protocol where none is given; beside another one it could never match.
  const misplaced = [fields.icmp, ...(protocol === undefined ? [] : [fields.notICMP])];
  for (const at of isIcmp ? [] : misplaced.filter((field) => !isAbsent(field))) {
    const text = 'ICMP fields require protocol to be ICMP or ICMPv6';
    fail(at, 'icmp-without-protocol', text);
  }
  const named: readonly [Cursor, ProtocolMatch | undefined][] = [
    [fields.protocol, protocol],
    [fields.notProtocol, notProtocol],
  ];
  for (const [at, found] of named) {
    if (found?.number === ICMP && ipVersion === 6) {
      fail(at, 'icmp-family', 'protocol ICMP requires ipVersion 4');
    }
    if (found?.number === ICMPV6 && ipVersion === 4) {
      fail(at, 'icmp-family', 'protocol ICMPv6 requires ipVersion 6');
    }
  }
}

function checkPorts(fields: RuleFields, match: RuleMatch): void {
  const sides: readonly [Cursor, EntityMatch][] = [
    [fields.source, match.source],
    [fields.destination, match.destination],
  ];
  for (const [at, side] of sides) {
    checkPortList(fieldOf(at, 'ports'), side.ports, match.protocol);
    checkPortList(fieldOf(at, 'notPorts'), side.notPorts, match.protocol);
  }
}

function checkPortList(
  at: Cursor,
  ports: readonly PortMatch[],
  protocol: ProtocolMatch | undefined,
): void {
  if (protocol === undefined && ports.some(({ kind }) => kind === 'range')) {
    const text = 'rules that specify ports must set protocol to TCP or UDP or SCTP';
    fail(at, 'ports-without-protocol', text);
  }
  if (protocol !== undefined && ports.length > 0 && !hasPorts(protocol.number)) {
    const text =
      'rules that specify ports must set protocol to TCP or UDP or SCTP, this one has no ports';
    fail(at, 'ports-with-protocol', text);
  }
}

function checkFamilies(at: Cursor, { ipVersion, source, destination }: RuleMatch): void {
  const nets: readonly Cidr[] = [source, destination].flatMap((side) => [
    ...side.nets,
    ...side.notNets,
  ]);
  const families = new Set(nets.map(({ family }) => family));
  if (families.size > 1) {
    fail(
      at,
      'mixed-families',
      'rules that specify nets must not mix IPv4 and IPv6, write one rule for each',
    );
  } else if (ipVersion !== undefined && families.size === 1 && !families.has(ipVersion)) {
    fail(
      at,
      'mixed-families',
      `rules with ipVersion ${ipVersion} must have IPv${ipVersion} nets only`,
    );
  }
}
