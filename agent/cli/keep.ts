/** Keeps what is in the kernel now as the last good state. A failure is told, and changes nothing that is enforced. */
import type { Config } from '../config/keys.ts';
import type { UndoParts } from '../guard/undo.ts';
import { encodeTable, whyNotRestorable } from '../state/batch.ts';
import { explainSystemError } from '../state/files.ts';
import { keepLastGood } from '../state/last-good.ts';
import { readTable } from '../state/load.ts';
import { headerOf } from './guarded.ts';

/** `origin` says whose state it is. */
export async function keepGoodState(
  config: Config,
  { native, netns, directories }: UndoParts,
  origin: string,
  hostDigest: string,
): Promise<void> {
  const table = await readTable(native, netns);
  if (table === undefined) return;
  const odd = whyNotRestorable(table);
  if (odd !== undefined) return warn(`table inet picket has what is not Picket's (${odd})`);
  try {
    const snapshot = { header: headerOf(config, origin), batch: encodeTable(table) };
    await keepLastGood(directories.state, snapshot, hostDigest);
  } catch (error) {
    warn(`${directories.state}: ${explainSystemError(error)}`);
  }
}

function warn(why: string): void {
  process.stderr.write(
    `warning: the state is enforced, but it is not kept for the next boot: ${why}\n`,
  );
}
