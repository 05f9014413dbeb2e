/** What a lint rule is and what it says. */
import type { Path } from '../model/issue.ts';
import type { LintWorld } from './world.ts';

/** Legal, but surely not meant. */
export interface LintWarning {
  /** Row of LINT_RULES. */
  readonly code: string;
  /** Key of the object. */
  readonly key: string;
  /** Into the object as written; what is not there stands for its nearest ancestor. */
  readonly path: Path;
  /** What is so, and what it means. */
  readonly message: string;
}

/** A warning before its rule's code is put on it. */
export type Warning = Omit<LintWarning, 'code'>;

export type FindWarnings = (world: LintWorld) => readonly Warning[];
