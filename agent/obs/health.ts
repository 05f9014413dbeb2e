/** Conditions and how probes get them: one line each, good or why not. Comes in: conditions. Goes out: a status code and text. */

export interface Condition {
  /** `kernel-in-sync`: short, for machines and people. */
  readonly name: string;
  /** Why it does not hold; `undefined` = it does. */
  readonly wrong: string | undefined;
}

export interface Health {
  /** 200, or 503 when a condition does not hold. */
  readonly status: number;
  readonly body: string;
}

/** Without `isVerbose` only what does not hold is told. */
export function healthOf(conditions: readonly Condition[], isVerbose: boolean): Health {
  const bad = conditions.filter(({ wrong }) => wrong !== undefined);
  const shown = isVerbose ? conditions : bad;
  const lines = shown.map(({ name, wrong }) =>
    wrong === undefined ? `[+] ${name}` : `[-] ${name}: ${wrong}`,
  );
  const end = bad.length === 0 ? 'ok' : `not ok: ${bad.map(({ name }) => name).join(', ')}`;
  return { status: bad.length === 0 ? 200 : 503, body: `${[...lines, end].join('\n')}\n` };
}
