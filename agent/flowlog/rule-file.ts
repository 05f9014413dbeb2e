/**
 * The rule book over a restart: a file of JSON in the run directory. What is in it is believed only where nobody but root or we could have
 * written it, and as far as it has the right form; without it, or with a broken one, old ids are unnamed, never misnamed.
 */
import { parseRuleId } from '../../compiler/nft/rule-id.ts';
import type { LoggedCause, RuleMeaning } from '../../compiler/nft/rule-id.ts';
import { readTrusted, writeDurably } from '../state/files.ts';
import type { SavedRule } from './rule-book.ts';

const VERSION = 1;
const MAX_BYTES = 64 << 20;

/** What was saved; empty where nothing usable is there. */
export function readRuleFile(path: string): SavedRule[] {
  const file = readTrusted(path, MAX_BYTES);
  if (!file.ok) return [];
  try {
    const text = Buffer.from(file.bytes).toString();
    const { version, rules } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    return version === VERSION && Array.isArray(rules) ? rules.flatMap(readSaved) : [];
  } catch {
    return [];
  }
}

/** Replaces the file as a whole. Rejects with what the system says. */
export async function writeRuleFile(path: string, rules: readonly SavedRule[]): Promise<void> {
  await writeDurably(path, [Buffer.from(JSON.stringify({ version: VERSION, rules }))]);
}

function readSaved(value: unknown): SavedRule[] {
  const { id, meaning } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof id !== 'string') return [];
  const parsed = parseRuleId(id);
  const read = parsed && readMeaning(meaning);
  // The id says verdict and direction itself.
  const isRight = read?.verdict === parsed?.verdict && read?.direction === parsed?.direction;
  return read === undefined || !isRight ? [] : [{ id, meaning: read }];
}

function readMeaning(value: unknown): RuleMeaning | undefined {
  const { verdict, direction, cause, counter } = (value ?? {}) as Partial<RuleMeaning>;
  const read = readCause(cause);
  if (verdict === undefined || direction === undefined || read === undefined) return undefined;
  return typeof counter === 'string' ? { verdict, direction, cause: read, counter } : undefined;
}

function readCause(cause: unknown): LoggedCause | undefined {
  const { kind, policy, index, reason, tier, selectedBy } = (cause ?? {}) as Readonly<
    Record<string, unknown>
  >;
  if (kind === 'rule') {
    if (typeof policy !== 'string' || !Number.isInteger(index)) return undefined;
    return { kind, policy, index: Number(index) };
  }
  if (kind !== 'implicit' || typeof reason !== 'string' || !Array.isArray(selectedBy)) {
    return undefined;
  }
  return {
    kind,
    reason,
    tier: typeof tier === 'string' ? tier : undefined,
    selectedBy: selectedBy.map(String),
  };
}
