/**
 * Names that a packet's log record carries: a rule's id is what its kernel log prefix says. The id holds a digest of everything the rule
 * says, so it never comes back with another meaning: an edited rule has another id. Text in the kernel, the meaning in the agent.
 *
 *   Di/np/shop/web/0#0123456789    denied, ingress, rule 0 of a policy
 *   De/end-of-tier/default#…       denied, egress, by the end of a tier
 */
import { shortHash } from '../hash.ts';
import type { Direction } from '../model/policy.ts';

/** What became of the packet; `log`: a Log rule, which decides nothing. */
export type LoggedVerdict = 'deny' | 'allow' | 'log';

/** `forward`: neither end's own direction, as for packets that found no service. */
export type LoggedDirection = Direction | 'forward';

export type LoggedCause =
  | {
      readonly kind: 'rule';
      /** `np/<ns>/<name>`, `pro/<name>`. */
      readonly policy: string;
      /** Index of the rule in its manifest's list. */
      readonly index: number;
    }
  | {
      readonly kind: 'implicit';
      /** `end-of-tier`, `no-profile`, or the name of a built-in such as `unknown-interface`. */
      readonly reason: string;
      /** With `end-of-tier`. */
      readonly tier: string | undefined;
      /** Ids of the policies or profiles that govern the endpoint there, in order. */
      readonly selectedBy: readonly string[];
    };

/** Who decides, and about which way of the packet. */
export interface LoggedSubject {
  readonly direction: LoggedDirection;
  readonly cause: LoggedCause;
  /** Whatever the configuration says. */
  readonly isLogged?: boolean;
}

export interface RuleMeaning extends Omit<LoggedSubject, 'isLogged'> {
  readonly verdict: LoggedVerdict;
  /** The named counter that counts every packet, logged or not; other ids may share it. */
  readonly counter: string;
}

/** NF_LOG_PREFIXLEN is 128, but Calico and others have learnt to expect 64 with NUL. */
export const MAX_PREFIX_BYTES = 63;

/** Hex digits, 4 bits each: two versions of one rule with the same digest are not met by chance. */
const DIGEST_LENGTH = 10;

const VERDICT_LETTERS: Readonly<Record<LoggedVerdict, string>> = {
  deny: 'D',
  allow: 'A',
  log: 'L',
};
const DIRECTION_LETTERS: Readonly<Record<LoggedDirection, string>> = {
  ingress: 'i',
  egress: 'e',
  forward: 'f',
};

/** `says`: everything else that the rule says, as text that differs where rules differ. ASCII, at most MAX_PREFIX_BYTES. */
export function ruleId(meaning: RuleMeaning, says: string): string {
  const { verdict, direction, cause } = meaning;
  const label =
    cause.kind === 'rule'
      ? `${cause.policy}/${cause.index}`
      : [cause.reason, ...(cause.tier === undefined ? [] : [cause.tier])].join('/');
  const digest = shortHash(JSON.stringify([verdict, direction, cause, says]), DIGEST_LENGTH);
  const begin = `${VERDICT_LETTERS[verdict]}${DIRECTION_LETTERS[direction]}/`;
  const room = MAX_PREFIX_BYTES - begin.length - 1 - DIGEST_LENGTH;
  const legal = label.replaceAll(/[^A-Za-z0-9/_.-]/g, '_').slice(0, room);
  return `${begin}${legal}#${digest}`;
}

/** What an id tells by itself, of a rule that nobody remembers. */
export interface ParsedRuleId {
  readonly verdict: LoggedVerdict;
  readonly direction: LoggedDirection;
  /** Readable, maybe cut: good to show, no proof of anything. */
  readonly label: string;
}

const FORM = /^([DAL])([ief])\/([A-Za-z0-9/_.-]*)#[0-9a-f]{10}$/;

/** `undefined` for a prefix that is none of ours. */
export function parseRuleId(text: string): ParsedRuleId | undefined {
  const [, verdictLetter, directionLetter, label] = FORM.exec(text) ?? [];
  const verdict = keyOf(VERDICT_LETTERS, verdictLetter);
  const direction = keyOf(DIRECTION_LETTERS, directionLetter);
  if (verdict === undefined || direction === undefined || label === undefined) return undefined;
  return { verdict, direction, label };
}

function keyOf<K extends string>(
  table: Readonly<Record<K, string>>,
  value: string | undefined,
): K | undefined {
  for (const key in table) if (table[key] === value) return key;
  return undefined;
}
