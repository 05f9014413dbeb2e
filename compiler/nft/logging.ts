/**
 * Rules that log, made from rules that decide. Comes in: the rules of a chain, as `match, counter, ending`. Goes out: the same, and before each
 * one whose packets are to be logged another one with the same match, a token bucket and the log: `match, limit, log`. So an empty
 * bucket, or a log that fails, never costs a verdict, no chain gets deeper, and the counters stay exact. A Log rule has its bucket behind
 * its counter. Refuses to know: who reads the group.
 */
import type { Expr, NftRule } from './program.ts';
import { printExpr } from './print.ts';
import { ruleId } from './rule-id.ts';
import type { LoggedDirection, LoggedSubject, LoggedVerdict, RuleMeaning } from './rule-id.ts';

export interface LogConfig {
  /** NFLOG group. */
  readonly group: number;
  /** Whose packets are logged, besides those of Log rules. */
  readonly verdicts: readonly Exclude<LoggedVerdict, 'log'>[];
  /** Token bucket of each rule, packets; `undefined` = none. */
  readonly limit: { readonly perSecond: number; readonly burst: number } | undefined;
}

/** Calico uses groups 1 and 2. */
export const LOG_GROUP = 5;

/** Log rules only. */
export const DEFAULT_LOG_CONFIG: LogConfig = { group: LOG_GROUP, verdicts: [], limit: undefined };

/** What rules can match on, with IPv6 and some extension headers before it. */
const SNAPLEN_BYTES = 128;

export interface LoggedRule {
  readonly id: string;
  readonly meaning: RuleMeaning;
}

export function withLogging(
  rules: readonly NftRule[],
  config: LogConfig,
): { readonly rules: readonly NftRule[]; readonly logged: readonly LoggedRule[] } {
  const logged: LoggedRule[] = [];
  const all = rules.flatMap((rule) => {
    const decision = decisionOf(rule);
    if (decision === undefined) return [rule];
    const { verdict, at, counter } = decision;
    const { direction, cause, isLogged = false } = rule.subject ?? builtInSubject(counter);
    const isWanted = isLogged || verdict === 'log' || config.verdicts.includes(verdict);
    if (!isWanted) return [rule];
    const meaning = { direction, cause, verdict, counter };
    const id = ruleId(meaning, rule.exprs.map(printExpr).join(' '));
    logged.push({ id, meaning });
    const match = rule.exprs.slice(0, verdict === 'log' ? at + 1 : at);
    const logging = { ...rule, exprs: [...match, ...logExprs(id, config)], comment: undefined };
    return verdict === 'log' ? [logging] : [logging, rule];
  });
  return { rules: all, logged };
}

interface DecisionPlace {
  readonly verdict: LoggedVerdict;
  /** Where the counter is; before it stands the match. */
  readonly at: number;
  readonly counter: string;
}

/** Of a rule that counts and then decides, or logs. */
function decisionOf({ exprs }: NftRule): DecisionPlace | undefined {
  const at = exprs.findIndex(({ kind }) => kind === 'counter');
  const counter = exprs[at];
  const verdict = verdictOf(exprs.at(-1));
  if (counter?.kind !== 'counter' || verdict === undefined) return undefined;
  return { verdict, at, counter: counter.name };
}

function verdictOf(end: Expr | undefined): LoggedVerdict | undefined {
  if (end?.kind === 'reject') return 'deny';
  if (end?.kind === 'log') return 'log';
  if (end?.kind !== 'verdict') return undefined;
  const verdicts = { drop: 'deny', accept: 'allow' } as const;
  const { kind } = end.verdict;
  return kind === 'drop' || kind === 'accept' ? verdicts[kind] : undefined;
}

/** Counters of built-ins are named `<layer>/<what>`. */
function builtInSubject(counter: string): LoggedSubject {
  const [layer = '', ...rest] = counter.split('/');
  const cause = {
    kind: 'implicit',
    reason: rest.join('/'),
    tier: undefined,
    selectedBy: [],
  } as const;
  return { direction: directionOf(layer), cause };
}

function directionOf(layer: string): LoggedDirection {
  if (/ingress|pre-dnat/.test(layer)) return 'ingress';
  return /egress|dnat/.test(layer) ? 'egress' : 'forward';
}

function logExprs(id: string, { group, limit }: LogConfig): Expr[] {
  const log: Expr = { kind: 'log', group, prefix: id, snaplenBytes: SNAPLEN_BYTES };
  return limit === undefined ? [log] : [{ kind: 'limit', ...limit }, log];
}
