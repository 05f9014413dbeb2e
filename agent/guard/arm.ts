/**
 * Arms the guard before a change. Comes in: the state to go back to and for how long the change may go unconfirmed. Goes out: a change that is
 * undone by itself, or the reason why nothing may be changed now. See adr/0010-commit-confirm.md.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { KernelTable } from '../../compiler/nft/table.ts';
import { encodeTable, whyNotRestorable } from '../state/batch.ts';
import { explainSystemError } from '../state/files.ts';
import type { Digests, PendingFields, SnapshotHeader } from '../state/snapshot.ts';
import { monotonicMs, readBootId } from './clock.ts';
import { claimToSettle, makeDirectory, putPending, replacePending } from './pending.ts';
import type { PendingSnapshot } from './pending.ts';
import type { UndoParts } from './undo.ts';

export interface Arming {
  /** The state to go back to, as a table or as the transaction that makes it; `undefined` = no table. */
  readonly before: KernelTable | Uint8Array | undefined;
  readonly header: SnapshotHeader;
  readonly confirmMs: number;
  readonly scope: PendingFields['scope'];
  readonly tried: Digests;
}

export type Armed =
  | { readonly ok: true; readonly change: PendingSnapshot }
  /** Nothing has been changed. */
  | { readonly ok: false; readonly message: string };

/** How long the guard may take to start, milliseconds. */
const READY_MS = 30_000;

/** Starts the process that `guard` runs in; its first line of output says that it is ready. */
export type StartGuard = (id: string) => ChildProcess;

export async function arm(
  { directories }: Pick<UndoParts, 'directories'>,
  arming: Arming,
  startGuard: StartGuard,
): Promise<Armed> {
  const { before, confirmMs, scope, tried } = arming;
  const isTable = before !== undefined && !(before instanceof Uint8Array);
  const odd = isTable ? whyNotRestorable(before) : undefined;
  if (odd !== undefined) {
    const message = `table inet picket has something that is not Picket's (${odd}), so it could not be restored exactly`;
    return { ok: false, message };
  }
  const id = randomUUID();
  const batch = before instanceof Uint8Array ? before : encodeTable(before);
  const fields = { id, bootId: readBootId(), scope, tried };
  const changeUntil = (deadlineMs: number): PendingSnapshot => {
    return { header: { ...arming.header, pending: { ...fields, deadlineMs } }, batch };
  };
  try {
    await makeDirectory(directories.run);
    // The time to start is not taken from the operator's.
    const starting = changeUntil(monotonicMs() + READY_MS + confirmMs);
    if (!(await putPending(directories.run, starting))) {
      return { ok: false, message: 'another change is waiting for its confirmation' };
    }
  } catch (error) {
    const why = `the state to go back to cannot be kept below ${directories.run}`;
    return { ok: false, message: `${why}: ${explainSystemError(error)}` };
  }
  const problem = await waitReady(startGuard(id));
  if (problem === undefined) {
    const change = changeUntil(monotonicMs() + confirmMs);
    await replacePending(directories.run, change);
    return { ok: true, change };
  }
  await claimToSettle(directories.run, id);
  return { ok: false, message: `the guard did not start: ${problem}` };
}

/** Why it is not ready; `undefined` = it is, and goes on alone. */
async function waitReady(child: ChildProcess): Promise<string | undefined> {
  const problem = await new Promise<string | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(`no answer within ${READY_MS} ms`), READY_MS);
    const end = (why: string | undefined): void => {
      clearTimeout(timer);
      resolve(why);
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, signal) => end(`it ended with ${signal ?? `exit code ${code}`}`));
    child.stdout?.once('data', () => end(undefined));
  });
  child.removeAllListeners();
  child.stdout?.destroy();
  if (problem !== undefined) child.kill('SIGKILL');
  child.unref();
  return problem;
}

/**
 * The command line that is running now, as another command, detached: in a session of its own, holding no terminal and no pipe open. `folder`
 * is not left to it, so that it keeps nothing mounted.
 */
export function spawnSelf(args: readonly string[]): ChildProcess {
  const [, main = ''] = process.argv;
  return spawn(process.execPath, [...process.execArgv, main, ...args], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}
