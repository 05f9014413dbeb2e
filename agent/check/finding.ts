/** What the host preflight is made of: probes, and what they find. Refuses to know: how findings are printed, what to exit with. */
import type { Config } from '../config/keys.ts';
import type { Native } from '../native/native.ts';

/** `warning`: Picket works, but not everything does as a reader of the policies would expect. */
export type Status = 'ok' | 'warning' | 'failed';

export interface Finding {
  readonly status: Status;
  /** What is so, and why it matters. */
  readonly message: string;
  /** What to do about it, in one line; only where there is something to do. */
  readonly advice?: string;
}

/** What probes look at. */
export interface CheckContext {
  readonly config: Config;
  readonly native: Native;
  /** The text of a file, such as one below /proc; `undefined` = absent or not readable. */
  readonly read: (path: string) => string | undefined;
  /** The names in a folder; none where it is absent or not readable. */
  readonly list: (path: string) => readonly string[];
}

/** One question about the machine. May reject with AgentError: that is a failure too, in its own words. */
export interface Probe {
  readonly name: string;
  readonly run: (context: CheckContext) => readonly Finding[] | Promise<readonly Finding[]>;
}

export function ok(message: string): Finding {
  return { status: 'ok', message };
}

export function warning(message: string, advice: string): Finding {
  return { status: 'warning', message, advice };
}

export function failed(message: string, advice: string): Finding {
  return { status: 'failed', message, advice };
}
