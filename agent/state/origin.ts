/**
 * Where the rules in force come from, for `picket status`. A small file beside the control socket, written by whoever changed them last: it is
 * gone with the rules when the machine restarts.
 */
import { join } from 'node:path';
import { readTrusted, writeDurably } from './files.ts';

export interface EnforcedOrigin {
  /**
   * `boot`: the last good state, loaded at boot. `fallback`: the built-in rules, since there was no usable state. `apply`, `run`: these
   * commands. `rollback`: the state before a change that nobody confirmed. `undo`: the last good state, after an emergency.
   */
  readonly source: 'boot' | 'fallback' | 'apply' | 'run' | 'rollback' | 'undo';
  /** Milliseconds since the epoch: since when. */
  readonly sinceMs: number;
  /** Of a state: when it was the state of the kernel. */
  readonly stateMs: number | undefined;
  /** For people: whose state it is. */
  readonly text: string;
}

const FILE = 'origin.json';
const MAX_BYTES = 16 * 1024;

/** `undefined` = nothing of Picket's is known to be in force, or nobody could write it down. */
export function readEnforcedOrigin(runDirectory: string): EnforcedOrigin | undefined {
  const file = readTrusted(join(runDirectory, FILE), MAX_BYTES);
  if (!file.ok) return undefined;
  try {
    return toOrigin(JSON.parse(Buffer.from(file.bytes).toString()));
  } catch {
    return undefined;
  }
}

/** True when it could be written: nothing that is enforced depends on it. */
export async function noteEnforcedOrigin(
  runDirectory: string,
  origin: EnforcedOrigin,
): Promise<boolean> {
  try {
    await writeDurably(join(runDirectory, FILE), [Buffer.from(JSON.stringify(origin))]);
    return true;
  } catch {
    return false;
  }
}

const SOURCES: readonly EnforcedOrigin['source'][] = [
  'boot',
  'fallback',
  'apply',
  'run',
  'rollback',
  'undo',
];

function toOrigin(value: unknown): EnforcedOrigin | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { source, sinceMs, stateMs, text } = value as Record<string, unknown>;
  const known = SOURCES.find((each) => each === source);
  if (known === undefined || typeof sinceMs !== 'number' || typeof text !== 'string') {
    return undefined;
  }
  return {
    source: known,
    sinceMs,
    stateMs: typeof stateMs === 'number' ? stateMs : undefined,
    text,
  };
}
