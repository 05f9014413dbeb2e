/**
 * What rule ids mean: those in force, and for a while those that were. Comes in: ids as they come and go. Goes out: the meaning, or nothing
 * where two meanings claim one id: better unnamed than misnamed. Refuses to know the clock and where it is kept over a restart.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RuleMeaning } from '../../compiler/nft/rule-id.ts';

export interface RuleBookLimits {
  /** How long an id that is no longer in force is remembered. */
  readonly retentionMs: number;
  /** Of those, how many at most: the oldest are forgotten first. */
  readonly maxRetired: number;
}

interface RetiredRule {
  readonly meaning: RuleMeaning;
  readonly retiredMs: number;
}

/** One line of the file that survives a restart. */
export interface SavedRule {
  readonly id: string;
  readonly meaning: RuleMeaning;
}

export class RuleBook {
  readonly #limits: RuleBookLimits;
  readonly #inForce = new Map<string, RuleMeaning>();
  /** In order of retirement. */
  readonly #retired = new Map<string, RetiredRule>();
  readonly #ambiguous = new Set<string>();
  /** Something came or went since `save` was asked last. */
  isChanged = false;

  constructor(limits: RuleBookLimits) {
    this.#limits = limits;
  }

  put(id: string, meaning: RuleMeaning): void {
    const known = this.#inForce.get(id) ?? this.#retired.get(id)?.meaning;
    if (known !== undefined && !isSame(known, meaning)) this.#ambiguous.add(id);
    this.#retired.delete(id);
    this.#inForce.set(id, meaning);
    this.isChanged = true;
  }

  retire(id: string, nowMs: number): void {
    const meaning = this.#inForce.get(id);
    if (meaning === undefined) return;
    this.#inForce.delete(id);
    this.#remember(id, meaning, nowMs);
    this.isChanged = true;
  }

  /** `undefined` = never heard of, forgotten, or not certain. */
  find(id: string): RuleMeaning | undefined {
    if (this.#ambiguous.has(id)) return undefined;
    return this.#inForce.get(id) ?? this.#retired.get(id)?.meaning;
  }

  /** Forgets what was retired too long ago. */
  expire(nowMs: number): void {
    for (const [id, { retiredMs }] of this.#retired) {
      if (nowMs - retiredMs <= this.#limits.retentionMs) return;
      this.#forget(id);
    }
  }

  /** Rules that another run of the agent had put into the kernel; those that are in force by now stay as they are. */
  load(saved: readonly SavedRule[], nowMs: number): void {
    for (const { id, meaning } of saved) {
      const known = this.#inForce.get(id);
      if (known === undefined) this.#remember(id, meaning, nowMs);
      else if (!isSame(known, meaning)) this.#ambiguous.add(id);
    }
  }

  /** Everything that is known for certain. */
  save(): SavedRule[] {
    this.isChanged = false;
    const retired = [...this.#retired].map(([id, { meaning }]) => ({ id, meaning }));
    const inForce = [...this.#inForce].map(([id, meaning]) => ({ id, meaning }));
    return [...retired, ...inForce].filter(({ id }) => !this.#ambiguous.has(id));
  }

  #remember(id: string, meaning: RuleMeaning, nowMs: number): void {
    this.#retired.set(id, { meaning, retiredMs: nowMs });
    const [oldest] = this.#retired.keys();
    if (this.#retired.size > this.#limits.maxRetired && oldest !== undefined) this.#forget(oldest);
  }

  #forget(id: string): void {
    this.#retired.delete(id);
    if (!this.#inForce.has(id)) this.#ambiguous.delete(id);
    this.isChanged = true;
  }
}

function isSame(a: RuleMeaning, b: RuleMeaning): boolean {
  return isDeepStrictEqual(a, b);
}
