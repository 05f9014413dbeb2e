/** `picket apply --confirm`: the guard around one apply. Throws CommandError wherever the change could not be undone. */
import type { Config } from '../config/keys.ts';
import { arm } from '../guard/arm.ts';
import { claimToSettle, claimToUndo, isUndoing, readUndone } from '../guard/pending.ts';
import type { PendingSnapshot } from '../guard/pending.ts';
import { finishUndoing } from '../guard/undo.ts';
import type { UndoParts } from '../guard/undo.ts';
import { sendBatch, readTable, withNetfilter } from '../state/load.ts';
import type { Digests } from '../state/snapshot.ts';
import { CommandError } from './exit.ts';
import { guardStarter, headerOf, whoAmI } from './guarded.ts';
import { runningAgent } from './lock.ts';

/** Nothing is changed yet; from now on whatever is changed is undone unless it is confirmed. */
export async function armApply(
  config: Config,
  parts: UndoParts,
  { confirmMs, tried }: { readonly confirmMs: number; readonly tried: Digests },
): Promise<PendingSnapshot> {
  const agent = await runningAgent(config.netns);
  if (agent !== undefined) {
    throw new CommandError(
      `nothing applied: picket run (process ${agent}) enforces the manifests by itself, and would do so again after they ` +
        'were undone. Stop it first, or set confirmHostPolicyChanges in its configuration and change the manifests',
    );
  }
  const before = await readTable(parts.native, config.netns);
  const header = headerOf(config, whoAmI('apply', config));
  const arming = { before, header, confirmMs, scope: 'all', tried } as const;
  const armed = await arm(parts, arming, guardStarter(config));
  if (!armed.ok) throw new CommandError(`nothing applied: ${armed.message}`);
  return armed.change;
}

/** The kernel refused it, maybe after a first part: nobody has to wait for the rules before. */
export async function undoFailed(parts: UndoParts, change: PendingSnapshot): Promise<void> {
  if (await claimToUndo(parts.directories.run, change.header.pending.id)) {
    await finishUndoing(parts, 'asked');
  }
}

/** Nothing differed, so there is nothing to confirm. */
export async function disarmUnchanged(parts: UndoParts, change: PendingSnapshot): Promise<void> {
  await claimToSettle(parts.directories.run, change.header.pending.id);
}

/**
 * The time may have been over before the last transaction was in the kernel: then the guard has undone only a part of them. A change that does
 * not wait any more without that was confirmed, or made way for an emergency opening.
 */
export async function finishIfUndone(
  { native, netns, directories }: UndoParts,
  { header, batch }: PendingSnapshot,
): Promise<void> {
  const { run } = directories;
  if (!isUndoing(run) && readUndone(run)?.id !== header.pending.id) return;
  await withNetfilter(native, netns, (socket) => sendBatch(socket, batch));
  throw new CommandError(
    'undone: the time for picket confirm was over before everything was applied; the rules are those before',
  );
}
