/**
 * Whether the running agent may change the kernel. Comes in: what the policies are now. Goes out: go on, or HeldError: after an emergency
 * opening; after a change was undone, until it is another one. A change of host policy arms the guard first, where that is configured.
 * See adr/0010-commit-confirm.md.
 */
import type { NftOp } from '../../compiler/nft/program.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';
import type { CommitResult, Dataplane } from '../dataplane/dataplane.ts';
import type { Engine } from '../engine/engine.ts';
import type { Log } from '../obs/log.ts';
import { isSystemError } from '../state/files.ts';
import { settledTable, whyNotRestorable } from '../state/batch.ts';
import { readHostDigest, readLastGood } from '../state/last-good.ts';
import { readTable, sendBatch, withNetfilter } from '../state/load.ts';
import { readPanicMark } from '../state/panic.ts';
import type { PanicMark } from '../state/panic.ts';
import type { Digests, PendingFields, SnapshotHeader } from '../state/snapshot.ts';
import { arm } from './arm.ts';
import type { StartGuard } from './arm.ts';
import { monotonicMs } from './clock.ts';
import { digestsOf } from './digest.ts';
import { HeldError } from './held.ts';
import { yieldToOpening } from './opening.ts';
import { claimToSettle, forgetUndone, isPending, isUndoing, readUndone } from './pending.ts';
import type { Undone } from './pending.ts';
import { settleOverdue } from './undo.ts';
import type { UndoParts } from './undo.ts';

/** How often it looks whether somebody has decided, while there is something to decide. */
const LOOK_MS = 1_000;

/** The guard of a change gets so much longer than the change has, before somebody else looks after it. */
const GRACE_MS = 2_000;

export interface GateParts extends UndoParts {
  readonly node: string;
  /** How long a change of host policy may go unconfirmed; 0 = it need not be confirmed. */
  readonly confirmMs: number;
  readonly startGuard: StartGuard;
  /** Of the state before a change that is made now. */
  readonly header: () => SnapshotHeader;
  readonly log: Log;
}

/** A change that waits. */
interface Armed {
  readonly pending: PendingFields;
  /** The transaction back; `undefined` = another process has armed it. */
  readonly batch: Uint8Array | undefined;
  hasCommitted: boolean;
}

export class Gate {
  readonly #parts: GateParts;
  /** Of the host policy that somebody lives with. */
  #settledHost: string;
  #armed: Armed | undefined;
  #digests: { readonly version: number; readonly digests: Digests } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onDecided: () => void = () => undefined;
  #onConfirmed: () => void = () => undefined;

  constructor(parts: GateParts) {
    this.#parts = parts;
    this.#settledHost = readHostDigest(parts.directories.state);
  }

  /** `decided`: somebody may have decided, so that the agent should look again. `confirmed`: a change stays. */
  listen(on: { readonly decided: () => void; readonly confirmed: () => void }): void {
    this.#onDecided = on.decided;
    this.#onConfirmed = on.confirmed;
  }

  /** Whether what is in the kernel may still be undone. */
  get isWaiting(): boolean {
    return this.#armed !== undefined;
  }

  /** Of what the policies are now. */
  digests({ store }: Engine): Digests {
    const version = store.policyVersion;
    if (this.#digests?.version !== version) {
      this.#digests = { version, digests: digestsOf(store.resources(), this.#parts.node) };
    }
    return this.#digests.digests;
  }

  /** The dataplane, but for what must not be committed any more when the time comes. */
  over(dataplane: Dataplane): Dataplane {
    const checked = {
      dump: () => dataplane.dump(),
      commit: (ops: readonly NftOp[]): Promise<CommitResult> => {
        this.#checkCommit();
        return dataplane.commit(ops);
      },
    };
    return yieldToOpening(checked, this.#parts.directories, (panic) => this.#holdOpen(panic));
  }

  /** Before each step. Throws HeldError, also where files cannot be read or written, and AgentError of the kernel. */
  async admit(engine: Engine): Promise<void> {
    try {
      await this.#admit(engine);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      const text = `nothing is changed, since what waits for its confirmation cannot be kept: ${error.message}`;
      this.#hold('unguarded', text, this.#parts.now());
    }
  }

  async #admit(engine: Engine): Promise<void> {
    const { directories, confirmMs } = this.#parts;
    this.#checkEmergency();
    await this.#lookAtArmed();
    const undone = readUndone(directories.run);
    if (undone === undefined && confirmMs === 0) return;
    const tried = this.digests(engine);
    if (undone !== undefined) await this.#checkUndone(undone, tried);
    if (confirmMs === 0 || this.#armed !== undefined || tried.host === this.#settledHost) return;
    await this.#arm(tried, engine);
  }

  /** After a step. A change that changed nothing in the kernel needs no confirmation. */
  async applied(hasCommitted: boolean, isLast: boolean): Promise<void> {
    if (this.#armed === undefined) return;
    this.#armed.hasCommitted ||= hasCommitted;
    if (!isLast || this.#armed.hasCommitted) return;
    const { id, tried } = this.#armed.pending;
    // Where that fails it waits on, and its guard has nothing to undo.
    const isMine = await claimToSettle(this.#parts.directories.run, id).catch(() => false);
    if (!isMine) return;
    this.#armed = undefined;
    this.#settledHost = tried.host;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #checkCommit(): void {
    const { run } = this.#parts.directories;
    if (this.#armed === undefined || isPending(run)) return;
    const isUndone = isUndoing(run) || readUndone(run)?.id === this.#armed.pending.id;
    if (isUndone) this.#hold('undone', 'the change under way is being undone', this.#parts.now());
  }

  #checkEmergency(): void {
    const panic = readPanicMark(this.#parts.directories);
    if (panic !== undefined) this.#holdOpen(panic);
  }

  #holdOpen({ path, sinceMs }: PanicMark): never {
    // What waited is forgotten, which confirms nothing.
    this.#armed = undefined;
    const text = `OPEN: opened in an emergency (${path}), nothing is enforced until somebody says: picket panic-open --undo`;
    this.#hold('emergency', text, sinceMs);
  }

  /** What became of the change that waits. Where its guard has died, it is undone here. */
  async #lookAtArmed(): Promise<void> {
    const { run } = this.#parts.directories;
    const armed = this.#armed;
    if (armed === undefined) return this.#adopt();
    const { id, deadlineMs } = armed.pending;
    if (isPending(run) && monotonicMs() < deadlineMs + GRACE_MS) return;
    await settleOverdue(this.#parts);
    if (isPending(run)) return;
    if (isUndoing(run)) this.#hold('undone', 'a change is being undone', this.#parts.now());
    this.#armed = undefined;
    const undone = readUndone(run);
    if (undone?.id !== id) {
      this.#settledHost = armed.pending.tried.host;
      this.#parts.log.info('the change is confirmed');
      this.#onConfirmed();
    } else if (armed.batch !== undefined) {
      // A transaction of ours may have come just behind the guard's.
      const { batch } = armed;
      const { native, netns } = this.#parts;
      await withNetfilter(native, netns, (socket) => sendBatch(socket, batch));
    }
  }

  /** One that was armed before we were here, or that nobody lived to undo. */
  async #adopt(): Promise<void> {
    const { run } = this.#parts.directories;
    if (!isPending(run) && !isUndoing(run)) return;
    const waiting = await settleOverdue(this.#parts);
    if (waiting.kind !== 'waiting') return;
    this.#armed = { pending: waiting.pending.header.pending, batch: undefined, hasCommitted: true };
    this.#parts.log.warn(
      { leftMs: waiting.leftMs },
      'a change waits for its confirmation: picket confirm',
    );
    this.#startLooking();
  }

  async #checkUndone(undone: Undone, tried: Digests): Promise<void> {
    const { scope } = undone;
    const key = scope === 'host' ? 'host' : 'policy';
    if (undone.tried[key] !== tried[key]) return forgetUndone(this.#parts.directories.run);
    const text =
      'UNDONE: nobody confirmed the last change of policy, so the rules before are in force; ' +
      'they stay until the policies are changed again, and what else changes is not enforced meanwhile';
    this.#hold('undone', text, undone.atMs);
  }

  async #arm(tried: Digests, engine: Engine): Promise<void> {
    const { confirmMs, header, startGuard, log } = this.#parts;
    const before = await this.#before(engine);
    const arming = { before, header: header(), confirmMs, scope: 'host', tried } as const;
    const armed = await arm(this.#parts, arming, startGuard);
    if (!armed.ok) {
      const text = `host policy has changed, and is not applied: ${armed.message}`;
      this.#hold('unguarded', text, this.#parts.now());
    }
    const { header: head, batch } = armed.change;
    this.#armed = { pending: head.pending, batch, hasCommitted: false };
    log.warn(
      { confirmMs },
      'host policy changes: undone unless somebody says in time: picket confirm',
    );
    this.#startLooking();
  }

  /**
   * The state to go back to: what the kernel has. Where somebody has put things into it that cannot be made again, such as a dormant table,
   * what was there by our hand, else the last good state: an agent that waited for a table of its own would leave the host open.
   */
  async #before(engine: Engine): Promise<KernelTable | Uint8Array | undefined> {
    const { native, netns, directories, log } = this.#parts;
    const found = await readTable(native, netns);
    const odd = found === undefined ? undefined : whyNotRestorable(found);
    if (odd === undefined) return found;
    log.warn(
      { odd },
      'somebody has changed table inet picket: an undone change brings back our last rules',
    );
    const own = settledTable(engine.table);
    if (own.chains.size > 0) return own;
    const kept = readLastGood(directories.state);
    return kept.ok ? kept.snapshot.batch : found;
  }

  #hold(why: HeldError['why'], message: string, sinceMs: number): never {
    this.#startLooking();
    throw new HeldError(why, message, sinceMs);
  }

  /** Goes on until the gate is closed: cheap, and there only where something has happened. */
  #startLooking(): void {
    this.#timer ??= setInterval(() => this.#onDecided(), LOOK_MS);
  }
}
