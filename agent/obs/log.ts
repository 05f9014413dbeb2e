/** One JSON line per event (pino), or short lines for people. Steady state is silent. */
import { pino } from 'pino';
import type { Logger } from 'pino';
import { plainLine } from './plain-text.ts';

export type Log = Logger;

/** `text` prints `LEVEL message key=value…`; both go to standard output, synchronously, so that the last lines before an exit are kept. */
export function openLog(format: 'json' | 'text'): Log {
  const sync = pino.destination({ dest: 1, sync: true });
  if (format === 'json')
    return pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, sync);
  return pino({ base: null, timestamp: false }, { write: (line) => sync.write(toText(line)) });
}

const LEVELS: Readonly<Record<number, string>> = {
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
};

function toText(line: string): string {
  const { level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.entries(rest).map(([key, value]) => {
    return ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
  });
  return `${plainLine(`${LEVELS[Number(level)] ?? 'info'} ${String(msg)}${fields.join('')}`)}\n`;
}
