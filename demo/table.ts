/** The demo's result as text: rows in, an aligned table out. Colours are asked for by the caller. */
import { styleText } from 'node:util';

export interface Row {
  readonly client: string;
  readonly server: string;
  /** `TCP 80`. */
  readonly service: string;
  readonly expected: Verdict;
  readonly observed: Verdict | 'only IPv4' | 'only IPv6';
  readonly decidedBy: string;
}

export type Verdict = 'allowed' | 'blocked';

const HEADER = ['who', '', 'whom', 'service', 'expected', 'observed', '', 'decided by'];
const OBSERVED_COLUMN = 5;
const MARK_COLUMN = 6;

export function isAsExpected(row: Row): boolean {
  return row.expected === row.observed;
}

/** Lines, widest cell decides each column; mismatches are marked in words too, not by colour alone. */
export function printTable(rows: readonly Row[], colours: boolean): string {
  const cells = rows.map((row) => [
    row.client,
    '→',
    row.server,
    row.service,
    row.expected,
    row.observed,
    isAsExpected(row) ? 'ok' : 'WRONG',
    row.decidedBy,
  ]);
  const widths = HEADER.map((title, column) =>
    Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const pad = (line: readonly string[]) =>
    line.map((cell, column) => cell.padEnd(widths[column] ?? 0));
  const body = cells.map((line, i) => {
    const padded = pad(line);
    return (colours ? paint(padded, rows[i]) : padded).join('  ').trimEnd();
  });
  const header = pad(HEADER).join('  ').trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  return [colours ? styleText('bold', header) : header, rule, ...body].join('\n');
}

function paint(line: readonly string[], row: Row | undefined): string[] {
  const observed = row?.observed === 'allowed' ? 'green' : 'yellow';
  return line.map((cell, column) => {
    if (column === OBSERVED_COLUMN) return styleText(observed, cell);
    if (column === MARK_COLUMN && row !== undefined && !isAsExpected(row)) {
      return styleText('red', cell);
    }
    return column > MARK_COLUMN ? styleText('dim', cell) : cell;
  });
}
