/** Building blocks of rules that every policy language shares. */
import { type Action, ANY_ENTITY, type Rule, type RuleMatch } from '../policy.ts';
import { deepFreeze } from './reader.ts';

/** Matches every packet. */
export const ANY_MATCH: RuleMatch = deepFreeze({
  ipVersion: undefined,
  protocol: undefined,
  notProtocol: undefined,
  icmp: undefined,
  notIcmp: undefined,
  source: ANY_ENTITY,
  destination: ANY_ENTITY,
});

/** Stands for a rule that cannot be used: it keeps its place and widens nothing (design section 8). */
export function brokenRule(action: Action, index: number, name?: string): Rule {
  return { action, index, name, match: action === 'deny' ? 'everything' : 'nothing' };
}

/** What becomes of an invalid rule, for messages. */
export const RULE_EFFECTS: Readonly<Record<Action, string>> = {
  allow: 'this rule allows nothing until it is corrected',
  deny: 'this rule denies everything until it is corrected',
  pass: 'this rule passes nothing until it is corrected',
  log: 'this rule logs nothing until it is corrected',
};
