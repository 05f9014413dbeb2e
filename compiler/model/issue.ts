/** Findings about input, as values. Bad input is never thrown (style section 2.9). */

/** Path into the object as written: keys and list indexes. */
export type Path = readonly (string | number)[];

export interface Issue {
  readonly severity: 'error' | 'warning';
  /** Row of ISSUES in issues.ts, for scripts; the message is for people. */
  readonly code: string;
  readonly path: Path;
  /** The value found there, as written. */
  readonly got: unknown;
  /** What is wrong, what would be right, and what Picket does about it. One sentence or two, no final line break. */
  readonly message: string;
}

/** A value, possibly with fail-closed parts, and everything that was found wrong on the way. */
export interface Checked<T> {
  /** `undefined` = nothing usable. */
  readonly value: T | undefined;
  readonly issues: readonly Issue[];
}

/** `spec.ingress[0].source.nets[1]`. */
export function printPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `["${part}"]`;
  }
  return text;
}
