/** `stagedAction`: what a staged policy stands for. Source: specification section 1.3. */
import { type Cursor, isAbsent, readWord, warn } from './reader.ts';

const ACTIONS = ['Set', 'Delete', 'Learn', 'Ignore'] as const;

/** There is nothing to stage then. `fields`: all of the spec; a deletion has no others than the tier. */
export function isStagedDeletion(at: Cursor, fields: Readonly<Record<string, Cursor>>): boolean {
  if (readWord(at, ACTIONS, 'exact') !== 'Delete') return false;
  for (const [name, field] of Object.entries(fields)) {
    if (isAbsent(field) || name === 'stagedAction' || name === 'tier') continue;
    warn(
      field,
      'staged-delete',
      'a staged deletion has no other fields than tier; this one is ignored',
    );
  }
  return true;
}
