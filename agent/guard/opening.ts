/**
 * An emergency opening wins over whatever is under way. Comes in: a dataplane. Goes out: one that commits nothing once the mark is there, and
 * takes back what crossed the opening: the mark is left before the table is deleted, so whoever sees none after a commit was in time.
 */
import type { NftOp } from '../../compiler/nft/program.ts';
import type { CommitResult, Dataplane } from '../dataplane/dataplane.ts';
import { readPanicMark } from '../state/panic.ts';
import type { Directories, PanicMark } from '../state/panic.ts';

/** `onOpen` throws what whoever commits is to hear. */
export function yieldToOpening(
  dataplane: Dataplane,
  directories: Directories,
  onOpen: (panic: PanicMark) => never,
): Dataplane {
  return {
    dump: () => dataplane.dump(),
    async commit(ops: readonly NftOp[]): Promise<CommitResult> {
      const before = readPanicMark(directories);
      if (before !== undefined) onOpen(before);
      const result = await dataplane.commit(ops);
      const after = readPanicMark(directories);
      if (after === undefined) return result;
      // Where there is none any more this is refused, which is as well.
      await dataplane.commit([{ op: 'delete-table', origin: 'opened in an emergency' }]);
      return onOpen(after);
    },
  };
}
