/** Exit codes, the same for every command. */
export const EXIT = {
  good: 0,
  failed: 1,
  usage: 2,
  /** explain: the packet is denied; test: an expectation does not hold; diff: something differs; apply: it would deny the caller's own ssh. */
  denied: 3,
  /** Applied, but something was left out: see the messages. */
  degraded: 4,
} as const;

/** A failure whose message says it all; printed without a stack. */
export class CommandError extends Error {
  readonly exitCode: number;
  /** What programs get beside the message, with `-o json`. */
  readonly details: object;

  constructor(
    message: string,
    exitCode: number = EXIT.failed,
    options: ErrorOptions & { readonly details?: object } = {},
  ) {
    super(message, options);
    this.name = 'CommandError';
    this.exitCode = exitCode;
    this.details = options.details ?? {};
  }
}
