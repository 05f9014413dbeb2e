/**
 * What a policy test expects, in words. Comes in: `allow web/client -> web/api tcp/80 by gnp/a ingress[0]`, or the same as a mapping. Goes
 * out: an expectation, or where it is wrong and what would be right. Refuses to know files and which names exist.
 */
import type { Path } from '../../compiler/model/issue.ts';
import { suggest } from '../../compiler/model/parse/nearest.ts';
import { POLICY_SHORT_NAMES } from '../../compiler/model/policy.ts';
import type { Direction } from '../../compiler/model/policy.ts';
import type { ImplicitReason, Verdict } from '../../compiler/oracle/decision.ts';
import { REASONS } from '../../compiler/oracle/explain.ts';
import { readQuestion } from './question.ts';
import type { Question, Read } from './question.ts';

/** What has to decide. */
export type Decider =
  | {
      readonly kind: 'rule';
      /** `np/shop/web`, `pro/kns.shop`. */
      readonly policy: string;
      /** `undefined` = any rule of it. */
      readonly rule: { readonly direction: Direction; readonly index: number } | undefined;
    }
  | { readonly kind: 'end-of-tier'; readonly tier: string }
  | { readonly kind: 'reason'; readonly reason: ImplicitReason };

export interface Expectation {
  /** As written, or as it would be written in one line. */
  readonly text: string;
  readonly verdict: Verdict;
  readonly question: Question;
  /** `undefined` = whatever decides. */
  readonly by: { readonly text: string; readonly decider: Decider } | undefined;
}

/** `path` is inside the expectation. */
export interface WrongExpectation {
  readonly path: Path;
  readonly message: string;
}

export type ReadExpectation =
  { readonly value: Expectation } | { readonly wrong: WrongExpectation };

export const EXAMPLE = 'allow shop/web -> shop/db tcp/5432';
const FORM = `"allow|deny SRC -> DST PROTO/PORT [via ADDRESS:PORT] [by RULE]", like "${EXAMPLE}"`;
const DECIDER_FORMS =
  'KIND/NAMESPACE/NAME, KIND/NAME or pro/PROFILE, with ingress[N] or egress[N] for one rule; "end of tier NAME"; or a reason';

const LINE = /^(\S+)\s+(\S+)\s+->\s+(\S+)\s+(\S+)(?:\s+via\s+(\S+))?(?:\s+by\s+(\S.*))?$/;
const KEYS = ['expect', 'from', 'to', 'port', 'via', 'by'] as const;
const REQUIRED = KEYS.slice(0, 4);

interface Words {
  readonly expect: string;
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly via?: string;
  readonly by?: string;
}

export function readExpectation(value: unknown): ReadExpectation {
  if (typeof value === 'string') return readLine(value);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return readMapping(value as Readonly<Record<string, unknown>>);
  }
  return wrong([], `expected ${FORM}, or a mapping of ${KEYS.join(', ')}`);
}

function readLine(text: string): ReadExpectation {
  const match = LINE.exec(text.trim());
  if (match === null) return wrong([], `${JSON.stringify(text)} is not ${FORM}`);
  const [, expect = '', from = '', to = '', port = '', via, by] = match;
  const words = {
    expect,
    from,
    to,
    port,
    ...(via === undefined ? {} : { via }),
    ...(by === undefined ? {} : { by }),
  };
  return readWords(words, () => []);
}

function readMapping(value: Readonly<Record<string, unknown>>): ReadExpectation {
  for (const [key, word] of Object.entries(value)) {
    if (!(KEYS as readonly string[]).includes(key)) {
      return wrong([key], `unknown key ${JSON.stringify(key)}${suggest(key, KEYS)}`);
    }
    // Protocol numbers are numbers in YAML.
    if (typeof word !== 'string' && !(key === 'port' && typeof word === 'number')) {
      return wrong([key], `${key}: expected text, found ${JSON.stringify(word)}`);
    }
  }
  const missing = REQUIRED.filter((key) => !Object.hasOwn(value, key));
  if (missing.length > 0)
    return wrong([], `${missing.join(', ')} missing; needed: ${REQUIRED.join(', ')}`);
  const words = { ...value, port: String(value['port']) } as Words;
  return readWords(words, (key) => [key]);
}

function readWords(words: Words, pathOf: (key: keyof Words) => Path): ReadExpectation {
  const { expect, from, to, port, via, by } = words;
  if (expect !== 'allow' && expect !== 'deny') {
    const hint = suggest(expect, ['allow', 'deny']);
    return wrong(
      pathOf('expect'),
      `expected allow or deny, found ${JSON.stringify(expect)}${hint}`,
    );
  }
  const question = readQuestion(from, to, port, via);
  if ('wrong' in question) return wrong([], question.wrong);
  const decider = by === undefined ? undefined : readDecider(by.trim());
  if (decider !== undefined && 'wrong' in decider) return wrong(pathOf('by'), decider.wrong);
  const text = `${expect} ${question.value.text}${by === undefined ? '' : ` by ${by.trim()}`}`;
  const named = decider && { text: by?.trim() ?? '', decider: decider.value };
  return { value: { text, verdict: expect, question: question.value, by: named } };
}

const KINDS = [...Object.values(POLICY_SHORT_NAMES), 'pro'];
const RULE = /^([a-z]+)\/([^\s/]+(?:\/[^\s/]+)?)(?:\s+(ingress|egress)\[(\d{1,5})\])?$/;
const END_OF_TIER = /^end of tier (\S+)$/;

function readDecider(text: string): Read<Decider> {
  const tier = END_OF_TIER.exec(text)?.[1];
  if (tier !== undefined) return { value: { kind: 'end-of-tier', tier } };
  if (isReason(text)) return { value: { kind: 'reason', reason: text } };
  const match = RULE.exec(text);
  if (match === null) {
    return {
      wrong: `by: ${JSON.stringify(text)} is not ${DECIDER_FORMS}${suggest(text, Object.keys(REASONS))}`,
    };
  }
  const [, kind = '', name = '', direction, index] = match;
  if (!KINDS.includes(kind)) {
    const hint = suggest(kind, KINDS);
    return { wrong: `by: unknown kind ${JSON.stringify(kind)}; known: ${KINDS.join(', ')}${hint}` };
  }
  const policy = `${kind}/${name}`;
  if (direction !== 'ingress' && direction !== 'egress') {
    return { value: { kind: 'rule', policy, rule: undefined } };
  }
  return { value: { kind: 'rule', policy, rule: { direction, index: Number(index) } } };
}

function isReason(text: string): text is ImplicitReason {
  return Object.hasOwn(REASONS, text);
}

function wrong(path: Path, message: string): { readonly wrong: WrongExpectation } {
  return { wrong: { path, message } };
}
