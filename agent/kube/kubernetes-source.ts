/**
 * The Kubernetes API as a source of objects. Comes in: a connection; goes out: batches of events, bounded in size, and whether everything that
 * is needed was listed. An API server that goes away changes nothing: what it said last stays.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Batch, Source } from '../watch/source.ts';
import type { Access } from './access.ts';
import { ApiClient } from './client.ts';
import { Fleet } from './fleet.ts';
import { Outbox } from './outbox.ts';
import type { KubeLimits, Timing } from './timing.ts';
import { isUrgent } from './urgency.ts';

export interface KubernetesParts {
  /** Name of this node: its own pods come first. */
  readonly node: string;
  readonly access: Access;
  readonly timing: Timing;
  readonly limits: KubeLimits;
}

/** Events per batch, about 20 ms of work: what comes meanwhile, and the transaction that is due, wait no longer than that. */
export const BATCH_SIZE = 100;

export class KubernetesSource implements Source {
  readonly name = 'kubernetes';
  readonly parts: KubernetesParts;

  constructor(parts: KubernetesParts) {
    this.parts = parts;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<Batch, void, void> {
    const { node, access, timing, limits } = this.parts;
    const outbox = new Outbox(limits.maxWaiting, timing.now, (event) => isUrgent(event, node));
    const client = new ApiClient(access, limits);
    const fleet = new Fleet({ client, outbox, timing, limits });
    const stop = new AbortController();
    const ending = AbortSignal.any([signal, stop.signal]);
    const running = fleet.run(ending).catch((error: unknown) => outbox.fail(error));
    let isSynced = false;
    try {
      for (;;) {
        await outbox.wait(ending);
        if (ending.aborted) return;
        const receivedMs = outbox.sinceMs;
        const events = outbox.take(BATCH_SIZE);
        // Once complete it stays so: a resource that appears later must not stop the others from being applied.
        isSynced ||= outbox.size === 0 && fleet.isComplete;
        const batch = { events, issues: fleet.issues(), isSynced };
        yield receivedMs === undefined ? batch : { ...batch, receivedMs };
        await nextTurn();
      }
    } finally {
      stop.abort();
      outbox.close();
      await running;
      access.close();
    }
  }
}
